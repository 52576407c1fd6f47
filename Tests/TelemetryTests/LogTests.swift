import Encoding
import Glibc
import Synchronization
import Telemetry
import Testing

struct FixedClock: WallClock {
    let now = Timestamp(seconds: 1_795_255_200)

    func sleep(until moment: Timestamp) async throws(CancellationError) {}
}

final class Lines: Sendable {
    private let lines = Mutex<[LogLine]>([])
    var all: [LogLine] { lines.withLock { $0 } }

    func log(_ level: LogLevel) -> Log {
        Log(level: level, sink: ClosureLogSink { line in self.lines.withLock { $0.append(line) } }, clock: FixedClock())
    }
}

struct LogTests {
    @Test func `a line is one JSON object in Cloud Logging's words`() {
        let lines = Lines()
        lines.log(.info).warning("bucket is not ours", [.object: .string("ns/a\n"), .attempt: 2, .duration: 1.5])
        #expect(
            lines.all.map { $0.json.serializedText() } == [
                #"{"attempt":2,"duration.ms":1.5,"message":"bucket is not ours","object":"ns/a\n","severity":"WARNING","time":"2026-11-21T10:00:00Z"}"#
            ])
    }

    @Test func `lines below the level are not written, nor is their metadata computed`() {
        let lines = Lines()
        let log = lines.log(.warning)
        func metadata() -> LogMetadata {
            Issue.record("computed")
            return [:]
        }
        log.debug("a", metadata())
        log.info("b", metadata())
        log.error("c")
        #expect(lines.all.map(\.message) == ["c"])
    }

    @Test func `bound metadata is in every line of the task and its children`() async {
        let lines = Lines()
        let log = lines.log(.debug)
        await Log.withMetadata([.controller: "trainingjob", .object: "ns/a"]) {
            await Log.withMetadata([.object: "ns/b"]) {
                async let child: Void = log.info("child")
                await child
            }
            log.info("parent", [.controller: "own"])
        }
        log.info("outside")
        #expect(
            lines.all.map(\.metadata) == [
                [.controller: "trainingjob", .object: "ns/b"], [.controller: "own", .object: "ns/a"], [:],
            ])
    }

    @Test func `long texts are cut`() {
        let value = LogValue.string(String(repeating: "x", count: 10_000)).json
        #expect((value.stringValue?.count ?? 0) < 2100)
    }

    @Test func `a descriptor gets whole lines, and a closed one is no error`() throws {
        var pipeEnds: [Int32] = [0, 0]
        #expect(pipe(&pipeEnds) == 0)
        let log = Log(level: .info, sink: DescriptorLogSink(descriptor: pipeEnds[1]), clock: FixedClock())
        log.info("one")
        log.info("two", [.count: 2])
        var buffer = [UInt8](repeating: 0, count: 1000)
        let count = read(pipeEnds[0], &buffer, buffer.count)
        let text = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
        #expect(
            try text.split(separator: "\n").map { try JSONValue(parsing: String($0))["message"] } == ["one", "two"])
        close(pipeEnds[0])
        signal(SIGPIPE, SIG_IGN)
        log.info("three")
        close(pipeEnds[1])
        log.info("four")
    }

    @Test func `levels are read by name`() {
        #expect(["debug", "Info", "WARNING", "error"].map { LogLevel(name: $0) } == [.debug, .info, .warning, .error])
        #expect(LogLevel(name: "loud") == nil)
    }
}

struct SystemClockTests {
    @Test func `sleeping ends at the moment, or at once when it has passed`() async throws {
        let clock = SystemClock()
        let start = clock.now
        try await clock.sleep(until: start + .milliseconds(20))
        #expect(clock.now - start >= .milliseconds(20))
        try await clock.sleep(until: start)
    }

    @Test func `sleeping ends when cancelled`() async {
        let task = Task { try await SystemClock().sleep(until: SystemClock().now + .seconds(600)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
