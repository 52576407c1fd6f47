import Encoding
import Glibc
import System
import Testing
import TrainingContract

@testable import TrainerCommand

/// The built trainer as a process of its own; it dies with the test.
struct TrainerProcess {
    let pid: Int32
    let log: String

    /// The executable beside this test.
    static func path() throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // swift-testing's helper of the toolchain loads the bundle from the build folder, which is then argument 1.
        for candidate in [own] + CommandLine.arguments {
            let folder = candidate.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            let path = folder.joined(separator: "/") + "/trainyard-trainer"
            if access(path, X_OK) == 0 { return path }
        }
        throw Missing(description: "trainyard-trainer does not lie beside \(own): build it first (swift build)")
    }

    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    init(_ arguments: [String], _ environment: [String: String] = [:], log: String) throws {
        let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        defer { close(output) }
        self.log = log
        let all = environment.merging(["PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no"]) { own, _ in own }
        pid = try Subprocess.start(
            try TrainerProcess.path(), arguments, environment: all.map { "\($0.key)=\($0.value)" }, output: output,
            error: output)
    }

    /// Waits for its end.
    func end(within limit: Duration = .seconds(120)) async throws -> Subprocess.Exit {
        let deadline = ContinuousClock.now + limit
        while true {
            if let exit = Subprocess.exit(of: pid) {
                Subprocess.reap(pid)
                return exit
            }
            guard ContinuousClock.now < deadline else {
                Subprocess.reap(pid)
                throw Missing(description: "the trainer did not end; its log:\n\(text)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    var text: String {
        String(decoding: ((try? FolderStorage.read(log)) ?? nil) ?? [], as: UTF8.self)
    }
}

/// A dataset of full size images and few of them, and the outputs of runs over it.
struct TrainerFolder {
    let folder: String

    static func with(_ body: (TrainerFolder) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            for (stem, count) in [("train", 72), ("t10k", 20)] {
                var state: UInt64 = 1
                let pixels = (0..<(count * 784)).map { _ -> UInt8 in
                    state = state &* 6_364_136_223_846_793_005 &+ 1
                    return UInt8(truncatingIfNeeded: state >> 60) << 4
                }
                try FolderStorage.write("\(folder)data/\(stem)-images-idx3-ubyte", idx([count, 28, 28], pixels))
                try FolderStorage.write(
                    "\(folder)data/\(stem)-labels-idx1-ubyte", idx([count], (0..<count).map { UInt8($0 % 10) }))
            }
            try await body(TrainerFolder(folder: folder))
        }
    }

    private static func idx(_ extents: [Int], _ bytes: [UInt8]) -> [UInt8] {
        [0, 0, 8, UInt8(extents.count)] + extents.flatMap { [0, 0, UInt8($0 >> 8), UInt8($0 & 255)] } + bytes
    }

    /// Two epochs with nine steps each when the batches of all processes have eight images.
    func start(
        _ output: String, batchSize: Int = 8, processes: Int = 1, attempt: Int = 1,
        _ environment: [String: String] = [:]
    ) throws -> TrainerProcess {
        var arguments = [
            "train", "--data", folder + "data", "--output", folder + output, "--set", "epochs=2", "--set",
            "batchSize=\(batchSize)", "--set", "threads=1",
        ]
        if processes > 1 { arguments += ["--processes", String(processes)] }
        return try TrainerProcess(
            arguments, environment.merging([TrainingEnvironment.attempt: String(attempt)]) { $1 },
            log: folder + output + ".log")
    }

    func run(
        _ output: String, batchSize: Int = 8, processes: Int = 1, attempt: Int = 1,
        _ environment: [String: String] = [:]
    ) async throws -> Subprocess.Exit {
        try await start(output, batchSize: batchSize, processes: processes, attempt: attempt, environment).end()
    }

    func log(_ output: String) -> String {
        String(decoding: ((try? FolderStorage.read(folder + output + ".log")) ?? nil) ?? [], as: UTF8.self)
    }

    func model(_ output: String) throws -> [UInt8]? { try FolderStorage.read("\(folder)\(output)/model.safetensors") }

    /// `metrics.json` without the speeds.
    func metrics(_ output: String) throws -> JSONValue {
        let bytes = try #require(try FolderStorage.read("\(folder)\(output)/metrics.json"))
        var value = try JSONValue(parsing: bytes)
        value["images_per_second"] = nil
        return value
    }

    /// Whether two outputs are the same in every bit, speeds aside.
    func expectSame(_ output: String, _ other: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let model = try model(output), otherModel = try self.model(other)
        #expect(model != nil && model == otherModel, sourceLocation: sourceLocation)
        #expect(try metrics(output) == metrics(other), sourceLocation: sourceLocation)
    }

    /// Steps of the checkpoints that are complete.
    func checkpoints(_ output: String) throws -> [Int] {
        try FolderStorage.list("\(folder)\(output)/checkpoints/").filter { $0.hasSuffix("/manifest.json") }
            .compactMap { $0.split(separator: "/").dropLast().last.flatMap { Int($0.dropFirst(5)) } }.sorted()
    }
}
