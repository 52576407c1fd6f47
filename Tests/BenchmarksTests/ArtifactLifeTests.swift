import Encoding
import Glibc
import System
import Testing

/// `Benchmarks googlecloud`, small: the real operator is killed in the middle of creates and deletes.
@Suite struct ArtifactLifeTests {
    @Test(.timeLimit(.minutes(3)))
    func `nothing of sixty artifacts is left, made twice or not ours, wherever the operator is killed`() async throws {
        let program = try BenchmarkProgram(
            ["googlecloud", "--json", "--objects", "60", "--latency-milliseconds", "40", "--in-flight", "16"])
        let status = try await program.ended()
        #expect(status == .status(0), "\(program.complaints)")
        let figures = try JSONValue(parsing: program.output)
        let safety = ["orphans", "duplicates", "foreignTouched", "requestsRefused"].map { figures[$0]?.doubleValue }
        #expect(safety == [0, 0, 0, 0], "\(program.complaints)")
        #expect(figures["artifactsPerSecond"]?.doubleValue ?? 0 > 1)
        // Homes, prefixes and their objects, made and deleted: some calls each, all of them compared where that is possible.
        let checked = figures["requestsChecked"]?.doubleValue ?? -1
        if getenv("TRAINYARD_DISCOVERY") == nil { #expect(checked == 0) } else { #expect(checked > 600) }
    }

    @Test(arguments: [
        (["googlecloud", "--objects", "7"], "--objects: a number from 8 to 100000, please\n"),
        (["googlecloud", "--in-flight", "many"], "--in-flight: a number from 1 to 256, please\n"),
        (["kubernetes", "--json", "--objects", "0"], "--objects: a number from 1 to 1000000, please\n"),
        (["kubernetes", "--only", "everything"], "unknown benchmark everything\nusage: "),
        (["training", "--processes", "1,two"], "--processes: numbers from 1 to 64, please\n"),
        (["serving", "--seconds", "0"], "--seconds: a number from 0.1 to 600.0, please\n"),
        (["transfer", "--megabytes"], "--megabytes?\nusage: "),
        (["compare", "--objekts", "5"], "unknown argument --objekts\nusage: "),
    ])
    func `a wrong command line is answered with a sentence`(arguments: [String], answer: String) async throws {
        let program = try BenchmarkProgram(arguments)
        #expect(try await program.ended() == .status(1))
        #expect(program.complaints.hasPrefix("Benchmarks: " + answer), "\(program.complaints)")
    }

    @Test func `a comparison needs a server, and rounds that are a number`() async throws {
        let program = try BenchmarkProgram(["compare", "--rounds", "0"])
        #expect(try await program.ended() == .status(1))
        #expect(program.complaints == "Benchmarks: --rounds: a number from 1 to 20, please\n")
        let serverless = try BenchmarkProgram(["compare"])
        #expect(try await serverless.ended() == .status(1))
        #expect(serverless.complaints.hasPrefix("Benchmarks: --kubeconfig is needed\nusage: "))
    }
}

/// The built program; it and what it started end with the test.
private final class BenchmarkProgram: Sendable {
    private let folder: String
    private let identifier: pid_t

    init(_ arguments: [String]) throws {
        var template = Array("/tmp/trainyard-benchmark-test-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.folder = folder
        let files = ["output", "complaints"].map { open("\(folder)/\($0)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600) }
        defer { for file in files { close(file) } }
        let discovery = getenv("TRAINYARD_DISCOVERY").map { ["TRAINYARD_DISCOVERY=\(String(cString: $0))"] } ?? []
        identifier = try Subprocess.start(
            try Self.path(), arguments, environment: ["PATH=/usr/bin:/bin", "HOME=/tmp"] + discovery, output: files[0],
            error: files[1])
    }

    deinit {
        Subprocess.reap(identifier)
        for name in ["output", "complaints"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    /// Beside this test's bundle: its path is the first argument where the toolchain's helper loads it.
    private static func path() throws -> String {
        let folders = CommandLine.arguments.compactMap { argument in
            argument.lastIndex(of: "/").map { String(argument[..<$0]) }
        }
        return try #require(folders.map { "\($0)/Benchmarks" }.first { access($0, X_OK) == 0 })
    }

    var output: [UInt8] { read("output") }
    var complaints: String { String(decoding: read("complaints"), as: UTF8.self) }

    func ended() async throws -> Subprocess.Exit {
        let deadline = ContinuousClock.now + .seconds(150)
        while ContinuousClock.now < deadline {
            if let exit = Subprocess.exit(of: identifier) { return exit }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("the benchmark does not end: \(complaints)")
        return .signal(SIGKILL)
    }

    private func read(_ name: String) -> [UInt8] {
        let file = open("\(folder)/\(name)", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = Glibc.read(file, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }
}
