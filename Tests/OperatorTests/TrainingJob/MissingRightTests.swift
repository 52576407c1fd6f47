import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Telemetry
import Testing
import TrainingContract

@testable import ControllerRuntime
@testable import Operator

/// An installation whose role lacks one verb says which one, where the user looks.
@Suite struct MissingRightTests {
    private static func rules(without verb: String, _ resource: String) throws -> [JSONValue] {
        let role = try Repository.yaml("charts/trainyard/files/clusterrole-rules.yaml")
        return try #require(role.first?["rules"]?.arrayValue).flatMap { rule -> [JSONValue] in
            let resources = rule["resources"]?.arrayValue ?? []
            guard resources.contains(.string(resource)) else { return [rule] }
            var rest = rule
            rest["resources"] = .array(resources.filter { $0 != .string(resource) })
            var cut = rule
            cut["resources"] = [.string(resource)]
            cut["verbs"] = .array((rule["verbs"]?.arrayValue ?? []).filter { $0 != .string(verb) })
            return [rest, cut]
        }
    }

    @Test(arguments: [
        ("create", "jobs"), ("create", "controllerrevisions"), ("get", "controllerrevisions"), ("patch", "services"),
        ("create", "services"),
    ])
    func `a run that may not go on says what is missing`(verb: String, resource: String) async throws {
        let world = try await OperatorWorld(
            rules: try Self.rules(without: verb, resource), program: Trainers.succeeding())
        try await world.create()
        try await world.run { job in
            let ready = job?.status?.conditions.first(ofType: "Ready")
            return ready?.status == .false
                && ready?.message.contains("cannot \(verb) resource \"\(resource)\"") == true
        }
    }

    @Test(arguments: [("delete", "jobs")])
    func `a deletion that may not go on says what is missing`(verb: String, resource: String) async throws {
        let world = try await OperatorWorld(
            rules: try Self.rules(without: verb, resource), program: Trainers.interrupted())
        try await world.create()
        try await world.run { $0?.status?.state == "Training" }
        try await world.delete()
        try await world.run { job in
            job?.status?.conditions.contains { $0.message.contains("cannot \(verb) resource \"\(resource)\"") } == true
        }
    }

    @Test(arguments: [
        ("watch", "trainingjobs"), ("watch", "jobs"), ("watch", "pods"), ("watch", "services"), ("get", "leases"),
        ("create", "leases"),
    ])
    func `readiness says what cannot be watched or led`(verb: String, resource: String) async throws {
        let clock = VirtualClock()
        let cluster = try SimulatedCluster(
            ClusterConfiguration(
                crds: try Repository.yaml("crds/trainingjobs.yaml") + Repository.yaml("crds/gcsartifacts.yaml"),
                users: ["operator": SimulatedUser(name: "operator", rules: try Self.rules(without: verb, resource))],
                clock: clock))
        let client = KubernetesClient(
            transport: HandlerTransport(cluster), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            credentials: { () throws(APIError) in "operator" })
        let runtimeClock = RuntimeClock.system(wall: SystemClock())
        let manager = ControllerManager(
            environment: RuntimeEnvironment(client: client, clock: runtimeClock, random: { 0.5 }),
            leaderElection: LeaderElectionOptions(namespace: "trainyard-system", identity: "a"))
        let name = try #require(ClusterName("projects/p/locations/us-central1/clusters/c"))
        let google = GoogleCloudClient(transport: HandlerTransport(cluster), tokens: NoTokens(), clock: clock)
        manager.add(
            TrainingJobController(
                configuration: OperatorConfiguration(
                    cluster: name, clusterUID: "uid", zones: ["us-central1-a"], trainerImage: "trainer"),
                kubernetes: client, container: ContainerClient(google), storage: StorageClient(google),
                cache: manager.cache, clock: runtimeClock))
        let run = Task { await manager.run() }
        let wanted = "cannot \(verb) resource \"\(resource)\""
        let deadline = ContinuousClock.now + .seconds(120)
        while !manager.missing.contains(where: { $0.contains(wanted) }), ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(5))
        }
        let missing = manager.missing
        manager.stop()
        _ = await run.value
        #expect(missing.contains { $0.contains(wanted) }, "\(missing)")
    }
}
