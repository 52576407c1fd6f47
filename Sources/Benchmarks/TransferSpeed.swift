import Encoding
import Glibc
import GoogleCloud
import HTTP
import Sandbox
import Telemetry

/// What `trainyard artifact push` and `pull` move a second against the simulated Cloud Storage, which is a process of its
/// own with its objects on the same disk; how much memory they need meanwhile; and that a killed transfer goes on and a
/// flipped bit is found.
struct TransferSpeed {
    private static let mebibyte = 1 << 20
    private static let bucket = "transfer-bucket"

    private var isJSON = false
    private var objectCount = 1000
    private var megabytes = 2048
    private var parallelism = 8

    init(_ arguments: some Collection<String>) throws {
        var flags = Flags(arguments)
        while let flag = flags.next() {
            switch flag {
            case "--json": isJSON = true
            case "--objects": objectCount = try flags.number(1...100_000)
            case "--megabytes": megabytes = try flags.number(1...65_536)
            case "--parallel": parallelism = try flags.number(1...64)
            default: throw flags.unknown
            }
        }
    }

    private struct Figures {
        var push = 0.0
        var pull = 0.0
        var disk = 0.0
        var resident = 0.0
    }

    func run() async throws {
        let folders = try TransferFolders()
        defer { withExtendedLifetime(folders) {} }
        let server = try await TransferServer(folders)
        let transport = try CurlTransport(
            options: CurlOptions(overrides: [
                EndpointOverride(hosts: ["storage.googleapis.com"], endpoint: server.origin)
            ]))
        let result: Result<Figures, any Error>
        do {
            result = .success(try await measure(folders, transport))
        } catch {
            result = .failure(error)
        }
        await transport.shutDown()
        report(try result.get())
    }

    private func measure(_ folders: TransferFolders, _ transport: CurlTransport) async throws -> Figures {
        let storage = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: SystemClock()))
        _ = try await storage.insertBucket(
            BucketConfiguration(name: Self.bucket, location: "us-central1"), project: "bench-project")
        guard let place = StorageURI(bucket: Self.bucket, path: "models/v1/") else { throw BenchmarkError("no place") }
        say("writing \(megabytes) MiB in \(objectCount) files …")
        var figures = Figures()
        let total = Double(try folders.fill(objectCount, bytes: megabytes * Self.mebibyte))
        figures.disk = try folders.diskSpeed()
        // From here on: what the transfers need.
        try Machine.write("5", to: "/proc/self/clear_refs")
        let transfer = FolderTransfer(storage, parallelism: parallelism)
        say("pushing …")
        figures.push = try await Self.megabytesPerSecond(total) {
            let progress = try await transfer.push(folders.source, to: place)
            guard progress.skippedCount == 0, Double(progress.bytes) == total else {
                throw BenchmarkError("not everything was pushed")
            }
        }
        say("pulling …")
        figures.pull = try await Self.megabytesPerSecond(total) {
            let progress = try await transfer.pull(place, to: folders.target)
            guard progress.skippedCount == 0, Double(progress.bytes) == total else {
                throw BenchmarkError("not everything was pulled")
            }
        }
        figures.resident = try Self.peakMemory()
        say("looking at every byte again, with one bit flipped and one file half gone …")
        try await Self.checkMending(folders, transfer, place, objectCount)
        return figures
    }

    /// A file with another bit and a file that a killed pull left half are brought again, and only they.
    private static func checkMending(
        _ folders: TransferFolders, _ transfer: FolderTransfer, _ place: StorageURI, _ count: Int
    ) async throws {
        try folders.damage(first: 0, half: count - 1)
        let progress = try await transfer.pull(place, to: folders.target)
        guard count - progress.skippedCount == (count > 1 ? 2 : 1) else {
            throw BenchmarkError("\(count - progress.skippedCount) files were brought again")
        }
        let last = try await transfer.pull(place, to: folders.target)
        guard last.skippedCount == count else { throw BenchmarkError("a flipped bit was not mended") }
    }

    private static func megabytesPerSecond(_ bytes: Double, _ body: () async throws -> Void) async throws -> Double {
        let start = Machine.nanoseconds
        try await body()
        return bytes / 1e6 / (Double(Machine.nanoseconds - start) * 1e-9)
    }

    /// `VmHWM` of this process in MB.
    private static func peakMemory() throws -> Double {
        let lines = Machine.read("/proc/self/status")?.split(separator: "\n") ?? []
        guard let line = lines.first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap({ Double($0) })
        else { throw BenchmarkError("/proc/self/status has no VmHWM") }
        return kilobytes * 1024 / 1e6
    }

    private func report(_ figures: Figures) {
        let values: [(String, Double, String)] = [
            ("pushMBPerSecond", figures.push, "to the local emulator, checksums included; target ≥ 300, or the disk"),
            ("pullMBPerSecond", figures.pull, "from the local emulator, checksums included; target ≥ 300, or the disk"),
            ("diskMBPerSecond", figures.disk, "written and synced to this disk by one process"),
            ("residentMB", figures.resident, "most memory of the transferring process; target < 210 (200 MiB)"),
        ]
        guard isJSON else {
            let rows = values.map { [$0.0, Text.number($0.1), $0.2] }
            return print(Text.columns([["figure", "value", "what"]] + rows))
        }
        let members = values.map { ($0.0, JSONValue.number(Text.rounded($0.1))) }
        print(JSONValue.object(Dictionary(members) { $1 }).serializedText())
    }
}

/// The folders of a transfer's measurement.
final class TransferFolders: Sendable {
    private let folder: TemporaryFolder
    let source: String
    let target: String
    let server: String

    init() throws {
        folder = try TemporaryFolder()
        source = "\(folder.path)/source"
        target = "\(folder.path)/target"
        server = "\(folder.path)/server"
        for path in [source, target, server] where mkdir(path, 0o700) != 0 {
            throw BenchmarkError("cannot make \(path)")
        }
    }

    private static func name(_ index: Int) -> String { "part-\(index)" }

    /// Files of noise.
    ///
    /// - Returns: the bytes of all of them.
    func fill(_ count: Int, bytes: Int) throws -> Int {
        let size = max(1, bytes / count)
        var generator = SystemRandomNumberGenerator()
        var noise = [UInt8](repeating: 0, count: size)
        noise.withUnsafeMutableBytes { buffer in
            for offset in stride(from: 0, to: buffer.count - 7, by: 8) {
                buffer.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
            }
        }
        for index in 0..<count {
            // No two are the same.
            for (place, byte) in String(index).utf8.enumerated() where place < size { noise[place] = byte }
            // On the disk: what is still to be written of this would be a push's time.
            try Self.write(noise, to: "\(source)/\(Self.name(index))", syncs: true)
        }
        return size * count
    }

    /// MB a second that one process writes and syncs.
    func diskSpeed() throws -> Double {
        let bytes = [UInt8](repeating: 1, count: 64 << 20)
        let path = "\(folder.path)/speed"
        let start = Machine.nanoseconds
        for _ in 0..<4 { try Self.write(bytes, to: path, syncs: true) }
        let seconds = Double(Machine.nanoseconds - start) * 1e-9
        unlink(path)
        return Double(bytes.count * 4) / 1e6 / seconds
    }

    /// Flips a bit of one file, and makes another what a killed pull leaves behind.
    func damage(first: Int, half: Int) throws {
        let path = "\(target)/\(Self.name(first))"
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw BenchmarkError("cannot open \(path)") }
        defer { close(descriptor) }
        var byte: UInt8 = 0
        guard pread(descriptor, &byte, 1, 0) == 1 else { throw BenchmarkError("cannot read \(path)") }
        byte ^= 16
        guard pwrite(descriptor, &byte, 1, 0) == 1 else { throw BenchmarkError("cannot write \(path)") }
        guard half != first else { return }
        let other = "\(target)/\(Self.name(half))"
        var information = stat()
        guard stat(other, &information) == 0, truncate(other, information.st_size / 2) == 0 else {
            throw BenchmarkError("cannot shorten \(other)")
        }
    }

    private static func write(_ bytes: [UInt8], to path: String, syncs: Bool = false) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchmarkError("cannot write \(path)") }
        defer { close(descriptor) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            guard count > 0 else { throw BenchmarkError("cannot write \(path): is the disk full?") }
            done += count
        }
        if syncs { fsync(descriptor) }
    }
}

/// The simulated Cloud Storage as a process of its own, so that its memory is not the transfer's.
final class TransferServer: Sendable {
    let origin: String
    private let child: Child

    /// This program again, as `transfer-server FOLDER`.
    static func serve(_ arguments: [String]) async throws {
        guard let folder = arguments.first else { throw BenchmarkError("transfer-server: a folder, please") }
        var configuration = CloudConfiguration(project: "bench-project", clock: SystemClock())
        configuration.stateDirectory = folder
        let server = try HTTPServer(handler: SimulatedCloud(configuration))
        try Machine.write(server.origin, to: "\(folder)/port.part")
        guard rename("\(folder)/port.part", "\(folder)/port") == 0 else {
            throw BenchmarkError("cannot write \(folder)")
        }
        while !Task.isCancelled { try await Task.sleep(for: .seconds(3600)) }
    }

    init(_ folders: TransferFolders) async throws {
        child = try Child("/proc/self/exe", ["transfer-server", folders.server], log: "\(folders.server)/log")
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            if let origin = Machine.read("\(folders.server)/port"), !origin.isEmpty {
                self.origin = origin
                return
            }
            guard child.isRunning, ContinuousClock.now < deadline else {
                throw BenchmarkError("the server does not start: " + (Machine.read("\(folders.server)/log") ?? ""))
            }
            await Machine.sleep(milliseconds: 10)
        }
    }
}
