import Encoding
import HTTP
import Kubernetes
import Operator
import Sandbox
import System
import Telemetry
import Testing
import YAML

@testable import OperatorCommand

/// What the chart's hooks run, against a simulated cluster.
@Suite(.timeLimit(.minutes(2))) struct ClusterCheckTests {
    private static let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()

    private func client(kinds: [String] = ["trainingjobs", "gcsartifacts", "modelendpoints"]) throws -> KubernetesClient
    {
        let crds = try kinds.map { kind in
            let bytes = try SmallFile.bytes("\(Self.root)/crds/\(kind).yaml", limit: 4 << 20)
            return try YAML.document(String(decoding: bytes, as: UTF8.self)).json
        }
        let admin = SimulatedUser(name: "admin", groups: ["system:masters"])
        let cluster = try SimulatedCluster(
            ClusterConfiguration(crds: crds, users: ["admin": admin], clock: SystemClock()))
        return KubernetesClient(
            transport: HandlerTransport(cluster), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            credentials: { () throws(APIError) in "admin" })
    }

    private func add(
        _ type: ResourceType, _ name: String, _ spec: JSONValue, resources: [String] = [], to client: KubernetesClient
    ) async throws {
        try await client.create(
            type,
            [
                "apiVersion": .string(type.apiVersion), "kind": .string(type.kind),
                "metadata": [
                    "name": .string(name), "namespace": "default", "finalizers": [.string(Ownership.finalizer)],
                ],
                "spec": spec,
            ])
        guard !resources.isEmpty else { return }
        let entries = resources.map {
            JSONValue.object(["externalRef": .string($0), "role": "Compute", "state": "Active"])
        }
        try await client.mergePatch(
            ObjectReference(type: type, namespace: "default", name: name, uid: nil),
            ["status": ["observedGeneration": 1, "resources": .array(entries)]], subresource: "status")
    }

    private static let artifact: JSONValue = [
        "artifactType": "Dataset", "layout": "Flat", "bucket": ["name": "some-bucket", "location": "us-central1"],
    ]
    private static let job: JSONValue = ["accelerator": ["gpu": ["type": "nvidia-l4"]]]

    @Test func `the operator may go from an empty cluster, and from one without definitions`() async throws {
        #expect(try await RemovalCheck(kubernetes: client(), definitionsGo: true).problems() == [])
        #expect(try await RemovalCheck(kubernetes: client(kinds: []), definitionsGo: true).problems() == [])
    }

    @Test func `machines keep it, buckets and finished runs do not`() async throws {
        let client = try client()
        try await add(TrainingJob.resourceType, "done", Self.job, to: client)
        try await add(
            GCSArtifact.resourceType, "data", Self.artifact, resources: ["//storage/b/some-bucket"], to: client)
        #expect(try await RemovalCheck(kubernetes: client, definitionsGo: false).problems() == [])
        try await add(
            TrainingJob.resourceType, "running", Self.job, resources: ["//container/p1", "//container/p2"], to: client)
        let problems = try await RemovalCheck(kubernetes: client, definitionsGo: false).problems()
        #expect(
            problems == [
                "TrainingJob default/running has //container/p1 and 1 more: suspend or delete it, and wait for "
                    + "ComputeReleased"
            ])
        #expect(RemovalCheck.refusal(problems).contains("helm uninstall --no-hooks"))
    }

    @Test func `with the definitions every object goes, and those that nobody can let go of keep it`() async throws {
        let client = try client()
        try await add(TrainingJob.resourceType, "done", Self.job, to: client)
        try await add(GCSArtifact.resourceType, "data", Self.artifact, to: client)
        let problems = try await RemovalCheck(kubernetes: client, definitionsGo: true).problems()
        #expect(
            problems.map { $0.prefix { $0 != ":" } } == [
                "TrainingJob default/done could never be deleted, because its finalizer is the operator's",
                "GCSArtifact default/data could never be deleted, because its finalizer is the operator's",
            ])
    }

    @Test func `many are counted`() {
        let text = RemovalCheck.refusal((0..<25).map { "object \($0)" })
        #expect(text.contains("object 19\nand 5 more\n") && !text.contains("object 20"))
    }

    @Test func `an installation works when a plan comes, and leaves nothing`() async throws {
        let client = try client()
        let check = InstallationCheck(kubernetes: client, namespace: "default", timeout: .seconds(30))
        let reference = ObjectReference(
            type: TrainingJob.resourceType, namespace: "default", name: InstallationCheck.name, uid: nil)
        // The operator's part.
        let operatorTask = Task {
            while try await client.find(TrainingJob.resourceType, namespace: "default", name: InstallationCheck.name)
                == nil
            {
                try await Task.sleep(for: .milliseconds(5))
            }
            try await client.mergePatch(
                reference,
                [
                    "status": [
                        "observedGeneration": 1, "plan": ["summary": "one machine"],
                        "conditions": [
                            [
                                "type": "Ready", "status": "True", "reason": "Planned", "message": "m",
                                "lastTransitionTime": "2026-11-22T00:00:00Z",
                            ]
                        ],
                    ]
                ], subresource: "status")
        }
        #expect(try await check.run(stop: StopRequest()) == "the operator works; a plan for one nvidia-l4: one machine")
        try await operatorTask.value
        #expect(try await client.list(TrainingJob.resourceType).items.isEmpty)
    }

    @Test func `without an operator it says so, and leaves nothing`() async throws {
        let client = try client()
        let check = InstallationCheck(kubernetes: client, namespace: "default", timeout: .milliseconds(10))
        await #expect(
            throws: APIError(
                .unavailable, operation: "check-installation",
                message: "no plan within 0.01 seconds; the operator has not looked at it: is it ready? "
                    + "(kubectl -n default get pods)")
        ) { try await check.run(stop: StopRequest()) }
        #expect(try await client.list(TrainingJob.resourceType).items.isEmpty)
    }

    @Test(arguments: [
        (["check-removal"], ClusterCheck(kind: .removal(definitionsGo: false))),
        (
            ["check-removal", "--definitions-go", "--context=c"],
            ClusterCheck(kind: .removal(definitionsGo: true), context: "c")
        ),
        (
            ["check-installation", "--namespace", "n", "--timeout-seconds=5", "--kubeconfig", "f"],
            ClusterCheck(kind: .installation(namespace: "n", timeout: .seconds(5)), kubeconfig: "f")
        ),
    ])
    func `the command line names the check`(arguments: [String], check: ClusterCheck) throws {
        #expect(try Options.parse(arguments) == .check(check))
    }

    @Test(arguments: [
        (["check-removal", "--namespace", "n"], "check-removal: unknown argument: --namespace"),
        (["check-installation", "--definitions-go"], "check-installation: unknown argument: --definitions-go"),
        (["check-installation", "--timeout-seconds", "0"], "--timeout-seconds: expected a number from 1 to 3600"),
        (["check-installation", "--namespace"], "--namespace needs a value"),
    ])
    func `wrong arguments are named`(arguments: [String], message: String) {
        #expect(throws: Options.UsageError(message: message)) { try Options.parse(arguments) }
    }
}
