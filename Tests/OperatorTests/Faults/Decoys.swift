import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox

@testable import ControllerRuntime
@testable import Operator

/// Things that look like ours and are not: they are there at the end as they were.
enum Decoys {
    private static let types = [
        Job.resourceType, Pod.resourceType, ControllerRevision.resourceType, Service.resourceType,
    ]
    private static let poolNames = ["ty-0000000000000000-r1-a", "ty-0000000000000000-r1-b"]

    /// Plants them around a TrainingJob of this uid.
    static func plant(_ world: FaultWorld, uid: String) async throws {
        for type in types { try await world.admin.create(type, manifest(type, in: world.namespace)) }
        guard let cluster = ClusterName("projects/sandbox-project/locations/us-central1/clusters/sandbox") else {
            return
        }
        let container = ContainerClient(
            GoogleCloudClient(transport: HandlerTransport(world.world), tokens: NoTokens(), clock: world.clock))
        // The same labels without the owner; the owner in another cluster.
        let labels: [[String: String]] = [
            [Ownership.clusterLabel: FaultWorld.clusterUID, Ownership.googleRunLabel: "mnist-r1"],
            Ownership.googleLabels(ownerUID: uid, clusterUID: "another-cluster"),
        ]
        for (name, labels) in zip(poolNames, labels) {
            let config = NodeConfig(machineType: "g2-standard-4", resourceLabels: labels)
            _ = try await container.createNodePool(
                NodePool(name: name, config: config, initialNodeCount: 0, locations: ["us-central1-a"]), in: cluster)
            for _ in 0..<30 where world.world.cloud.nodePools().first(where: { $0.name == name })?.status != "RUNNING" {
                world.clock.advance(by: .seconds(1))
                await world.world.tick()
            }
        }
        world.hasDecoys = true
    }

    /// Nobody deleted one of them.
    static func check(_ world: FaultWorld) async throws {
        guard world.hasDecoys else { return }
        for type in types {
            let live = try? await world.admin.get(type, namespace: world.namespace, name: "mnist-decoy")
            if live == nil || live?.value(at: ["metadata", "deletionTimestamp"]) != nil {
                world.oracle.violated("I3", "the decoy \(type.kind) was deleted")
            }
        }
        let pools = world.world.cloud.nodePools()
        for name in poolNames where pools.first(where: { $0.name == name })?.status != "RUNNING" {
            world.oracle.violated("I3", "the decoy pool \(name) was touched")
        }
    }

    private static func manifest(_ type: ResourceType, in namespace: String) -> JSONValue {
        var body: JSONValue = [
            "apiVersion": .string(type.apiVersion), "kind": .string(type.kind),
            "metadata": [
                "name": "mnist-decoy", "namespace": .string(namespace),
                "labels": [Ownership.jobLabel: "mnist", Ownership.runLabel: "mnist-r1"],
            ],
        ]
        let pod: JSONValue = [
            "restartPolicy": "Never", "nodeSelector": ["nowhere": "true"],
            "containers": [["name": "trainer", "image": .string(FaultWorld.image)]],
        ]
        switch type.kind {
        case "Job":
            body["spec"] = [
                "suspend": true,
                "template": ["metadata": ["labels": [Ownership.jobLabel: "mnist"]], "spec": pod],
            ]
        case "Pod": body["spec"] = pod
        case "Service": body["spec"] = ["clusterIP": "None", "selector": ["a": "b"], "ports": [["port": 1]]]
        default:
            body["revision"] = 1
            body["data"] = [:]
        }
        return body
    }
}
