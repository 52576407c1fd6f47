import Encoding
import Kubernetes

/// Where the pods of a run go: the names of its node pools, and how pods find their nodes.
enum NodeSelection {
    /// Of a node whose pool is for one run on CPUs, and of the pods that may go there.
    static let dedicatedTaint = "trainyard.dev/dedicated"

    static func policy(_ spec: RunSpec) -> TrainingJob.Backend.NodePool.Policy {
        spec.backend.gke?.nodePool?.policy ?? .createPerRun
    }

    /// The node pool of each slice, in order. With the pools that an earlier run left, their names.
    static func pools(
        candidate: String, zone: String, sliceCount: Int, _ run: TrainingJob.Run?,
        _ observation: TrainingJobObservation
    ) -> [String] {
        let capacity = observation.status.capacity
        let isCurrent = capacity?.current == candidate && capacity?.zone == zone
        let number = (isCurrent ? capacity?.poolRun : nil) ?? run?.number ?? 1
        return (0..<max(1, sliceCount)).map { slice in
            Naming.nodePool(uid: observation.uid, run: number, candidate: candidate, zone: zone, slice: slice)
        }
    }

    /// What a pod's node must have: of a pool that was made for the run its name, of others what the spec says.
    ///
    /// - Parameter pool: the name of the pod's slice's pool; of no use with nodes that we did not make.
    static func selector(pool: String, _ spec: RunSpec) -> JSONValue {
        var labels: [String: JSONValue]
        switch policy(spec) {
        case .createPerRun: labels = ["cloud.google.com/gke-nodepool": .string(pool)]
        case .existing:
            labels = (spec.backend.gke?.nodePool?.selector?.matchLabels ?? [:]).mapValues { .string($0) }
        case .computeClass:
            labels = ["cloud.google.com/compute-class": .string(spec.backend.gke?.nodePool?.computeClassName ?? "")]
        }
        if let slice = spec.shape.slice {
            // GKE's admission of TPU pods wants both.
            labels["cloud.google.com/gke-tpu-accelerator"] = .string(slice.tpu.type)
            labels["cloud.google.com/gke-tpu-topology"] = .string(slice.topology)
        } else if policy(spec) == .computeClass, let gpu = spec.accelerator?.gpu {
            labels["cloud.google.com/gke-accelerator"] = .string(gpu.type)
        }
        return .object(labels)
    }

    /// What pods tolerate: the taints that GKE and we put on nodes of such pools, and what the spec says of nodes that are
    /// there.
    static func tolerations(_ spec: RunSpec) -> [JSONValue] {
        var keys = [spec.shape.resourceName ?? dedicatedTaint, "cloud.google.com/gke-spot"]
        let gpu = spec.accelerator?.gpu.flatMap { Accelerator.named($0.type) }
        // Of a run on CPUs the machine type says it, which the spec of a run does not know.
        if spec.accelerator == nil || gpu?.machines.allSatisfy(\.isArm) == true { keys.append("kubernetes.io/arch") }
        if policy(spec) == .computeClass { keys.append("cloud.google.com/compute-class") }
        let ours: [JSONValue] = keys.map { ["key": .string($0), "operator": "Exists", "effect": "NoSchedule"] }
        return ours + (spec.backend.gke?.nodePool?.tolerations ?? []).map(\.json)
    }

    /// How long pods may wait for a node: of a pool that was made for them not long, because it costs money meanwhile; of
    /// others as long as the user wants to wait.
    static func startGrace(_ spec: RunSpec?, _ observation: TrainingJobObservation) -> Duration {
        guard let spec, policy(spec) != .createPerRun, let limit = observation.spec.pendingDeadlineSeconds else {
            return observation.configuration.podStartGrace
        }
        return .seconds(limit)
    }
}

extension TrainingJob.Backend.Toleration {
    fileprivate var json: JSONValue {
        var json: JSONValue = [:]
        for (name, text) in [
            ("key", key), ("operator", `operator`?.rawValue), ("value", value), ("effect", effect?.rawValue),
        ] {
            json[name] = text.map { .string($0) }
        }
        return json
    }
}
