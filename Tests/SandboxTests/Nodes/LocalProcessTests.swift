import Encoding
import Glibc
import Testing

@testable import Sandbox

@Suite struct LocalProcessTests {
    private let temporary: TemporaryDirectory
    private var directory: String { temporary.path }

    init() throws { temporary = try TemporaryDirectory() }

    private func start(_ script: String, environment: [String: String] = ["PATH": "/usr/bin:/bin"]) throws
        -> LocalProcess
    {
        try LocalProcess(
            LocalProcess.Command(
                arguments: ["/bin/sh", "-c", script], environment: environment, directory: directory,
                logPath: directory + "/log"))
    }

    /// Waits for the end, at most a minute.
    private func outcome(of process: LocalProcess) async throws -> ContainerOutcome? {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if let outcome = process.peek() { return outcome }
            try await Task.sleep(for: .milliseconds(5))
        }
        return process.peek()
    }

    private func log() -> String {
        String(decoding: LocalFiles.read(directory + "/log", limit: 1 << 20) ?? [], as: UTF8.self)
    }

    /// Waits until the log holds a text, at most a minute.
    private func waitForLog(_ text: String) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !log().contains(text), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        try #require(log().contains(text))
    }

    @Test func `its exit code and both outputs are kept`() async throws {
        let process = try start("echo out; echo err >&2; pwd; echo $GREETING; exit 7", environment: ["GREETING": "hi"])
        #expect(try await outcome(of: process) == ContainerOutcome(exitCode: 7))
        #expect(log() == "out\nerr\n\(directory)\nhi\n")
        #expect(process.peek() == ContainerOutcome(exitCode: 7))
    }

    @Test func `SIGTERM reaches it and it may answer`() async throws {
        let process = try start("trap 'echo stopping; exit 75' TERM; echo ready; while :; do sleep 0.01; done")
        try await waitForLog("ready")
        await process.terminate(now: Sample.now)
        #expect(try await outcome(of: process) == ContainerOutcome(exitCode: 75))
        #expect(log().contains("stopping"))
    }

    @Test func `a kill ends it and what it started`() async throws {
        let process = try start("sleep 300 & echo $!; wait")
        try await waitForLog("\n")
        let child = try #require(pid_t(String(log().split(separator: "\n").first ?? "")))
        await process.kill(now: Sample.now)
        #expect(try await outcome(of: process) == .killed)
        let deadline = ContinuousClock.now + .seconds(60)
        while Self.isAlive(child), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(!Self.isAlive(child))
    }

    /// A zombie that nobody reaped yet is dead.
    private static func isAlive(_ process: pid_t) -> Bool {
        guard let text = TestFile.read("/proc/\(process)/stat") else { return false }
        return !text.contains(") Z ") && !text.contains(") X ")
    }

    @Test func `a program that is not there is told with its name`() {
        #expect(throws: ContainerStartError(message: "exec /no/such/program: No such file or directory")) {
            _ = try LocalProcess(
                LocalProcess.Command(
                    arguments: ["/no/such/program"], environment: [:], directory: directory,
                    logPath: directory + "/log"))
        }
    }

    @Test func `a log beyond its limit moves aside and goes on`() throws {
        let path = directory + "/grown"
        LocalFiles.append(Array("0123456789".utf8), to: path)
        LocalFiles.rotate(path, limit: 10)
        #expect(LocalFiles.size(path) == 10)
        LocalFiles.append([0x61], to: path)
        LocalFiles.rotate(path, limit: 10)
        #expect(LocalFiles.size(path) == 0)
        #expect(LocalFiles.read(path + ".1", limit: 100) == Array("0123456789a".utf8))
    }

    @Test(arguments: [
        ("$(A) and $(B)", "1 and $(B)"), ("$$(A)", "$(A)"), ("a$", "a$"), ("$(A", "$(A"), ("x", "x"), ("$A", "$A"),
    ])
    func `variables in values`(text: String, expected: String) {
        #expect(Expansion.expanded(text, ["A": "1"]) == expected)
    }
}
