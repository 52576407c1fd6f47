import Glibc
import System

/// Why a benchmark could not be run: a sentence.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Clocks and memory of this machine.
enum Machine {
    /// CLOCK_MONOTONIC in nanoseconds: one clock for all processes of a machine.
    static var nanoseconds: Int64 { read(CLOCK_MONOTONIC) }

    /// CPU time of this process, all threads.
    static var cpuSeconds: Double { Double(read(CLOCK_PROCESS_CPUTIME_ID)) * 1e-9 }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    static func sleep(milliseconds: Int) async { try? await Task.sleep(for: .milliseconds(milliseconds)) }

    /// A file below /proc or elsewhere, 1 MiB at most.
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while bytes.count < 1 << 20, case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 {
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchmarkError("cannot write \(path)") }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw BenchmarkError("cannot write \(path)") }
            rest = rest.dropFirst(count)
        }
    }

    /// Another program of this package, which lies beside this one.
    static func sibling(_ name: String) throws -> String {
        let path = try programFolder() + "/\(name)"
        guard access(path, X_OK) == 0 else {
            throw BenchmarkError("\(path) is missing: swift build -c release --product \(name)")
        }
        return path
    }

    /// The folder of this program.
    static func programFolder() throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? -1
        }
        guard count > 0 else { throw BenchmarkError("/proc/self/exe cannot be read") }
        let path = String(decoding: buffer[..<count], as: UTF8.self)
        return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }
}

/// Others' programs that ours are compared with.
enum Peers {
    /// A file of `peers`, beside this one: benchmarks are run from a clone.
    static func script(_ name: String) -> String {
        #filePath.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/peers/\(name)"
    }

    /// Where a program lies, as a shell finds it.
    static func program(_ name: String) throws(BenchmarkError) -> String {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        let places = name.contains("/") ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
        guard let found = places.first(where: { access($0, X_OK) == 0 }) else {
            throw BenchmarkError("there is no \(name)")
        }
        return found
    }
}

/// A folder for a benchmark's files; it and all in it go with the last reference.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/trainyard-benchmarks-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchmarkError("cannot make a folder in \(parent)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                guard name != ".", name != ".." else { continue }
                if unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
            }
            closedir(folder)
        }
        rmdir(path)
    }
}

/// A process that a benchmark started; it is killed with the benchmark, or when the last reference goes.
final class Child: Sendable {
    let identifier: pid_t

    /// - Parameter log: what it prints goes there.
    init(_ path: String, _ arguments: [String], environment: [String] = [], log: String) throws {
        let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw BenchmarkError("cannot write \(log)") }
        defer { close(output) }
        do throws(Subprocess.StartError) {
            identifier = try Subprocess.start(
                path, arguments, environment: ["PATH=/usr/bin:/bin", "HOME=/tmp"] + environment, output: output,
                error: output)
        } catch {
            throw BenchmarkError("cannot start \(path): \(error)")
        }
    }

    deinit { Subprocess.reap(identifier) }

    func signal(_ number: Int32) { kill(identifier, number) }

    /// Whether it still runs.
    var isRunning: Bool { Subprocess.exit(of: identifier) == nil }

    /// A line of /proc/PID/status in bytes, e.g. `VmRSS`.
    func memory(_ key: String) throws -> Double {
        let lines = Machine.read("/proc/\(identifier)/status")?.split(separator: "\n") ?? []
        guard let line = lines.first(where: { $0.hasPrefix(key + ":") }),
            let kilobytes = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap({ Double($0) })
        else { throw BenchmarkError("process \(identifier) has no \(key): it has ended") }
        return kilobytes * 1024
    }

    /// Makes the present memory the peak (`VmHWM`).
    func resetPeak() throws { try Machine.write("5", to: "/proc/\(identifier)/clear_refs") }

    /// CPU time in clock ticks.
    private var ticks: Int {
        // Behind the name, which is in parentheses: state is field 3, utime and stime are 14 and 15.
        let fields = Machine.read("/proc/\(identifier)/stat")?.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12 else { return 0 }
        return (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
    }

    /// CPU time so far, to a hundredth.
    var cpuSeconds: Double { Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK))) }

    /// Waits until it has used next to no CPU for a second.
    func settle(within limit: Duration = .seconds(60)) async throws {
        let deadline = ContinuousClock.now + limit
        var quiet = 0
        var last = ticks
        while quiet < 4 {
            guard ContinuousClock.now < deadline else { throw BenchmarkError("process \(identifier) never rests") }
            await Machine.sleep(milliseconds: 250)
            let now = ticks
            quiet = now - last <= 1 ? quiet + 1 : 0
            last = now
        }
    }
}
