import CloudChecks
import Encoding
import Glibc
import HTTP
import Telemetry
import Testing
import YAML

@testable import Sandbox

/// trainyard-operator as a process between a real API server and a simulated Google Cloud, with no nodes.
private final class RealOperatorWorld {
    let processes: RealAPIServer
    let server: APIServer
    private let cloudServer: HTTPServer
    private let program: LocalProcess
    private let folder: String

    init() async throws {
        guard let programs = Assets.folder else { throw ArrangementFailure("no programs") }
        processes = try await RealAPIServer.start(programs: programs)
        folder = processes.folder
        server = try await APIServer.real(processes)
        for name in ["gcsartifacts", "modelendpoints", "trainingjobs"] {
            let text = try #require(TestFiles.text("\(Self.repository)/crds/\(name).yaml"))
            try await server.arrange(
                .post, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", try YAML.document(text).json)
        }
        try await server.arrange(
            .post, "/api/v1/namespaces",
            ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "trainyard-system"]])
        let cloud = SimulatedCloud(CloudConfiguration(clock: SystemClock(), inspection: .ofTests))
        cloudServer = try HTTPServer(host: "127.0.0.1", port: 0, handler: cloud)
        try TestFiles.write(
            APIServer.kubeconfig(processes.origin, authority: processes.authorityPath), to: "\(folder)/kubeconfig")
        let executable = try #require(Self.programFolder()) + "/trainyard-operator"
        program = try LocalProcess(
            LocalProcess.Command(
                arguments: [
                    executable, "--kubeconfig", "\(folder)/kubeconfig", "--google-endpoint", cloudServer.origin,
                    "--cluster", "projects/sandbox-project/locations/us-central1/clusters/sandbox",
                    "--trainer-image", "example.com/trainer:1", "--health-address", "off",
                    // A restart of the server may take longer than the usual 10 s on a busy machine.
                    "--lease-duration", "90", "--renew-deadline", "80",
                ], environment: Assets.environment, directory: folder, logPath: "\(folder)/operator.log"))
    }

    // Tests/APIServerTests/RealOperatorTests.swift, three levels up.
    private static let repository = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()

    /// Where `swift test` has built the programs: beside the test.
    private static func programFolder() -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        // With a helper process the path is the toolchain's; the test bundle lies beside the programs.
        let arguments = CommandLine.arguments.filter { $0.hasSuffix(".xctest") || $0.contains(".xctest/") }
        let path =
            arguments.first
            ?? (count > 0 ? String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : "")
        return path.lastIndex(of: "/").map { String(path[..<$0]) }
    }

    /// How the operator ended; nil while it runs.
    var exitCode: Int32? { program.peek()?.exitCode }

    var log: String { TestFiles.tail("\(folder)/operator.log") }

    func stopOperator() async {
        await program.terminate(now: Timestamp(seconds: 0))
        await TestFiles.waitForEnd(program)
    }

    func end() async {
        await program.kill(now: Timestamp(seconds: 0))
        await TestFiles.waitForEnd(program)
        await cloudServer.stop()
        await processes.stop()
    }

    static let artifacts = "/apis/trainyard.dev/v1alpha1/namespaces/default/gcsartifacts"

    func create(_ name: String) async throws {
        try await server.arrange(
            .post, Self.artifacts,
            [
                "apiVersion": "trainyard.dev/v1alpha1", "kind": "GCSArtifact", "metadata": ["name": .string(name)],
                "spec": [
                    "artifactType": "Dataset", "layout": "Flat",
                    "bucket": ["name": .string("trainyard-\(name)"), "location": "us-central1"],
                ],
            ])
    }

    /// Waits up to a minute until a GET of a path is as wanted; nil stands for 404 and for no answer.
    func wait(_ what: String, _ path: String, until holds: (JSONValue?) -> Bool) async throws {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(60)
        var last: JSONValue?
        while clock.now < deadline {
            last = try? await server.arrange(.get, path)
            if holds(last) { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ArrangementFailure("\(what) did not come within a minute: \(last?.serializedText() ?? "nothing")\n\(log)")
    }

    func waitUntilReady(_ name: String) async throws {
        try await wait("\(name) ready", "\(Self.artifacts)/\(name)") { artifact in
            let conditions = artifact?.value(at: ["status", "conditions"])?.arrayValue ?? []
            let finalizers = artifact?.value(at: ["metadata", "finalizers"])?.arrayValue ?? []
            return conditions.contains { $0["type"] == "Ready" && $0["status"] == "True" } && !finalizers.isEmpty
                && artifact?.value(at: ["status", "observedGeneration"]) == 1
        }
    }
}

@Suite(.enabled(if: Assets.folder != nil, Assets.reason), .timeLimit(.minutes(5)))
struct `the operator on a real API server` {
    @Test func `leads, works, and goes on after restarts of the server and a compaction`() async throws {
        let world = try await RealOperatorWorld()
        do {
            try await check(world)
        } catch {
            await world.end()
            throw error
        }
        await world.end()
    }

    private func check(_ world: RealOperatorWorld) async throws {
        try await world.create("first")
        try await world.waitUntilReady("first")
        let lease = try await world.server.arrange(
            .get, "/apis/coordination.k8s.io/v1/namespaces/trainyard-system/leases/trainyard-operator")
        #expect(lease.value(at: ["spec", "holderIdentity"])?.stringValue?.isEmpty == false)
        // The server dies and comes back: watches resume.
        await world.processes.killServer()
        try world.processes.startServer()
        try await world.processes.waitUntilReady()
        try await world.create("second")
        try await world.waitUntilReady("second")
        // It dies again, and has forgotten what was when it comes back: 410, and a new list.
        try await world.processes.compact()
        await world.processes.killServer()
        try world.processes.startServer()
        try await world.processes.waitUntilReady()
        try await world.create("third")
        try await world.waitUntilReady("third")
        try await world.server.arrange(.delete, RealOperatorWorld.artifacts + "/first")
        try await world.wait("the end of first", RealOperatorWorld.artifacts + "/first") { $0 == nil }
        #expect(world.exitCode == nil, "\(world.log)")
        await world.stopOperator()
        #expect(world.exitCode == 0, "\(world.log)")
    }
}
