import Encoding
import Glibc
import HTTP
import Synchronization
import Telemetry
import Testing

/// A folder of its own, removed with the value.
final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/trainyard-config-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                unlink("\(path)/\(name)")
            }
            closedir(directory)
        }
        rmdir(path)
    }

    /// Writes a file; returns its path.
    @discardableResult
    func write(_ name: String, _ text: String, isExecutable: Bool = false) throws -> String {
        let file = try #require(fopen("\(path)/\(name)", "w"))
        #expect(fputs(text, file) >= 0)
        fclose(file)
        if isExecutable { try #require(chmod("\(path)/\(name)", 0o755) == 0) }
        return "\(path)/\(name)"
    }

    func read(_ name: String) -> String? {
        guard let file = fopen("\(path)/\(name)", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

/// A clock that a test moves.
final class HandClock: WallClock {
    private let moment = Mutex(Timestamp(seconds: 1_800_000_000))

    var now: Timestamp { moment.withLock { $0 } }

    func advance(by duration: Duration) { moment.withLock { $0 = $0 + duration } }

    /// Nobody sleeps here.
    func sleep(until moment: Timestamp) async throws(CancellationError) {}
}

/// Keeps log lines.
final class LogBook: LogSink {
    private let kept = Mutex<[LogLine]>([])

    var lines: [LogLine] { kept.withLock { $0 } }
    var log: Log { Log(level: .debug, sink: self) }

    func write(_ line: LogLine) { kept.withLock { $0.append(line) } }
}

/// The error of a call that is expected to fail; nil when it does not.
func failure<Value>(_ body: () async throws(APIError) -> Value) async -> APIError? {
    do throws(APIError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}
