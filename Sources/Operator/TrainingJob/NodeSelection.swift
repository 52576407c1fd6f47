import Encoding
import Kubernetes

/// Where the pods of an attempt go: the names of its node pools, and how pods find their nodes.
enum NodeSelection {
    /// Of a node whose pool is for one run on CPUs, and of the pods that may go there.
    static let dedicatedTaint = "trainyard.dev/dedicated"

    /// The node pool of each slice, in order.
    static func pools(
        candidate: String, zone: String, sliceCount: Int, _ run: TrainingJob.Run?,
        _ observation: TrainingJobObservation
    ) -> [String] {
        (0..<max(1, sliceCount)).map { slice in
            Naming.nodePool(
                uid: observation.uid, run: run?.number ?? 1, candidate: candidate, zone: zone, slice: slice)
        }
    }

    /// What a pod must match to land on a node of its pool, and nowhere else.
    static func nodeSelector(pool: String) -> JSONValue { ["cloud.google.com/gke-nodepool": .string(pool)] }

    /// What pods tolerate: the taints that GKE and we put on nodes of such pools.
    static func tolerations(_ spec: RunSpec) -> [JSONValue] {
        var keys = [spec.shape.resourceName ?? dedicatedTaint, "cloud.google.com/gke-spot"]
        let gpu = spec.accelerator?.gpu.flatMap { Accelerator.named($0.type) }
        // Of a run on CPUs the machine type says it, which the spec of a run does not know.
        if spec.accelerator == nil || gpu?.machines.allSatisfy(\.isArm) == true { keys.append("kubernetes.io/arch") }
        return keys.map { ["key": .string($0), "operator": "Exists", "effect": "NoSchedule"] }
    }
}
