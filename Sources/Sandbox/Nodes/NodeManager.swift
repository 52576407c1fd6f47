import Encoding

/// Keeps the Node objects equal to the cloud's instances.
enum NodeManager {
    private static let component = "node-controller"

    /// Creates a Node for every running instance, marks those that are about to stop, and removes those that are gone.
    /// Nodes without the label of a pool are left alone.
    static func changes(
        pools: [SimulatedNodePool], nodes: [JSONValue], project: String, now: Timestamp
    ) -> ClusterChanges {
        var changes = ClusterChanges()
        var known = Dictionary(
            nodes.map { (NodeView(object: $0).name, NodeView(object: $0)) }, uniquingKeysWith: { first, _ in first })
        for pool in pools {
            for instance in pool.instances {
                // A machine that came back under the same name is another one: the old node goes first.
                let node = known[instance.name].flatMap { $0.instanceID == "\(instance.id)" ? $0 : nil }
                if let node {
                    known[instance.name] = nil
                    if instance.state != .running, !node.isShuttingDown { changes.append(shutDown(node, now: now)) }
                } else if instance.state == .running, known[instance.name] == nil {
                    changes.append(register(instance, of: pool, project: project, now: now))
                }
            }
        }
        for node in known.values.sorted(by: { $0.name < $1.name }) where node.pool != nil {
            changes.writes.append(.delete(ClusterPath.node(node.name), uid: node.uid))
            changes.events.append(
                ClusterEvent(
                    about: node.reference, reason: "RemovingNode",
                    message: "Node \(node.name) event: Removing Node \(node.name) from Controller",
                    component: component))
        }
        return changes
    }

    private static func register(
        _ instance: SimulatedInstance, of pool: SimulatedNodePool, project: String, now: Timestamp
    ) -> ClusterChanges {
        let node = NodeObject(instance: instance, pool: pool, project: project)
        let object = node.object()
        return ClusterChanges(
            writes: [
                .create(ClusterPath.nodes, object),
                .merge(ClusterPath.node(instance.name) + ["status"], ["status": node.status(now: now)]),
            ],
            events: [
                ClusterEvent(
                    about: ["apiVersion": "v1", "kind": "Node", "name": .string(instance.name)],
                    reason: "RegisteredNode",
                    message: "Node \(instance.name) event: Registered Node \(instance.name) in Controller",
                    component: component)
            ])
    }

    /// As the kubelet and GKE do on a termination notice: not ready, and a taint.
    private static func shutDown(_ node: NodeView, now: Timestamp) -> ClusterChanges {
        let conditions = ConditionList.setting(
            "Ready", "False", reason: "KubeletNotReady", message: NodeView.shutdownMessage, in: node.conditions,
            now: now)
        let taint: JSONValue = [
            "key": "cloud.google.com/impending-node-termination", "value": "", "effect": "NoSchedule",
        ]
        return ClusterChanges(
            writes: [
                .merge(ClusterPath.node(node.name) + ["status"], ["status": ["conditions": .array(conditions)]]),
                .merge(ClusterPath.node(node.name), ["spec": ["taints": .array(node.taints + [taint])]]),
            ],
            events: [
                ClusterEvent(
                    about: node.reference, isWarning: true, reason: "NodeShutdown",
                    message: "Shutdown manager detected shutdown event", component: "kubelet", host: node.name)
            ])
    }
}

/// What the nodes' components read of a Node.
struct NodeView: Sendable {
    static let shutdownMessage = "node is shutting down"
    static let instanceIDKey = "container.googleapis.com/instance_id"

    let object: JSONValue

    var name: String { object.value(at: ["metadata", "name"])?.stringValue ?? "" }
    var uid: String { object.value(at: ["metadata", "uid"])?.stringValue ?? "" }
    /// The machine's id in Compute Engine.
    var instanceID: String? {
        object.value(at: ["metadata", "annotations", NodeView.instanceIDKey])?.stringValue
    }
    var pool: String? { object.value(at: ["metadata", "labels", "cloud.google.com/gke-nodepool"])?.stringValue }
    var taints: [JSONValue] { object.value(at: ["spec", "taints"])?.arrayValue ?? [] }
    var conditions: [JSONValue] { object.value(at: ["status", "conditions"])?.arrayValue ?? [] }
    var reference: JSONValue { ClusterEvent.reference(object, apiVersion: "v1", kind: "Node") }

    /// Whether the machine has been told that it stops soon.
    var isShuttingDown: Bool {
        conditions.contains {
            $0["type"]?.stringValue == "Ready" && $0["message"]?.stringValue == NodeView.shutdownMessage
        }
    }

    var isReady: Bool {
        conditions.contains { $0["type"]?.stringValue == "Ready" && $0["status"]?.stringValue == "True" }
    }
}

/// An instance of a node pool as a Node.
struct NodeObject {
    let instance: SimulatedInstance
    let pool: SimulatedNodePool
    let project: String

    private var machineType: String { pool.config["machineType"]?.stringValue ?? "e2-medium" }
    private var isSpot: Bool { pool.config["spot"]?.boolValue ?? false }
    private var isFlexStart: Bool { pool.config["flexStart"]?.boolValue ?? false }
    private var isArm: Bool { machineType.hasPrefix("t2a-") || machineType.hasPrefix("a4x-") }
    private var accelerator: JSONValue? { pool.config["accelerators"]?[0] }

    /// An int64 of Google's JSON: a string of digits, or a number.
    private var acceleratorCount: Int64 {
        let count = accelerator?["acceleratorCount"]
        return count?.stringValue.flatMap { Int64($0) } ?? count?.integerValue ?? 0
    }

    /// MIG: seven, three, two or one of a GPU by their compute slices; four where one slice has the memory of two.
    private var partitionCount: Int64 {
        guard let size = accelerator?["gpuPartitionSize"]?.stringValue else { return 1 }
        if ["1g.20gb", "1g.35gb", "1g.45gb"].contains(size) { return 4 }
        return ["1": 7, "2": 3, "3": 2][size.prefix(1)] ?? 1
    }

    /// Shares of each GPU or partition.
    private var clientCount: Int64 {
        let count = accelerator?.value(at: ["gpuSharingConfig", "maxSharedClientsPerGpu"])
        return max(1, count?.stringValue.flatMap { Int64($0) } ?? count?.integerValue ?? 1)
    }

    /// 4 vCPUs and 16 GB for a machine type that the table lacks.
    private var shape: MachineShape {
        MachineShape(machineType: machineType) ?? MachineShape(cpus: 4, memoryBytes: 16 << 30)
    }

    func object() -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Node",
            "metadata": [
                "name": .string(instance.name), "labels": labels,
                "annotations": .object([NodeView.instanceIDKey: .string("\(instance.id)")]),
            ],
            "spec": [
                "providerID": .string("gce://\(project)/\(instance.zone)/\(instance.name)"), "taints": .array(taints),
            ],
        ]
    }

    private var labels: JSONValue {
        var labels = pool.config["labels"] ?? [:]
        let family = machineType.split(separator: "-").first.map(String.init) ?? machineType
        let region = instance.zone.split(separator: "-").dropLast().joined(separator: "-")
        let standard = [
            "cloud.google.com/gke-nodepool": pool.name, "cloud.google.com/machine-family": family,
            "cloud.google.com/gke-provisioning": isSpot ? "spot" : isFlexStart ? "flex-start" : "standard",
            "kubernetes.io/arch": isArm ? "arm64" : "amd64", "kubernetes.io/os": "linux",
            "kubernetes.io/hostname": instance.name, "node.kubernetes.io/instance-type": machineType,
            "topology.kubernetes.io/zone": instance.zone, "topology.kubernetes.io/region": region,
        ]
        for (key, value) in standard { labels[key] = .string(value) }
        if isSpot { labels["cloud.google.com/gke-spot"] = "true" }
        if isFlexStart { labels["cloud.google.com/gke-flex-start"] = "true" }
        if pool.isQueued { labels["cloud.google.com/gke-queued"] = "true" }
        if let type = accelerator?["acceleratorType"] {
            labels["cloud.google.com/gke-accelerator"] = type
            labels["cloud.google.com/gke-accelerator-count"] = .string("\(acceleratorCount)")
            labels["cloud.google.com/gke-gpu"] = "true"
            if let size = accelerator?["gpuPartitionSize"] { labels["cloud.google.com/gke-gpu-partition-size"] = size }
            if let sharing = accelerator?["gpuSharingConfig"] {
                let isMPS = sharing["gpuSharingStrategy"]?.stringValue == "MPS"
                labels["cloud.google.com/gke-gpu-sharing-strategy"] = isMPS ? "mps" : "time-sharing"
                labels["cloud.google.com/gke-max-shared-clients-per-gpu"] = .string("\(clientCount)")
            }
        }
        if let tpu = TPUShape(machineType: machineType) {
            labels["cloud.google.com/gke-tpu-accelerator"] = .string(tpu.accelerator)
            labels["cloud.google.com/gke-tpu-topology"] = .string(pool.topology ?? tpu.topology)
            labels["cloud.google.com/gke-accelerator-count"] = .string("\(shape.tpuChips)")
        }
        if let reservation = pool.config.value(at: ["reservationAffinity", "values"])?[0]?.stringValue {
            let name = reservation.split(separator: "/").last.map(String.init) ?? reservation
            labels["cloud.google.com/reservation-name"] = .string(name)
        }
        return labels
    }

    private var taints: [JSONValue] {
        let effects = [
            "NO_SCHEDULE": "NoSchedule", "PREFER_NO_SCHEDULE": "PreferNoSchedule", "NO_EXECUTE": "NoExecute",
        ]
        var taints: [JSONValue] = (pool.config["taints"]?.arrayValue ?? []).map { taint in
            let effect = effects[taint["effect"]?.stringValue ?? ""] ?? "NoSchedule"
            return ["key": taint["key"] ?? "", "value": taint["value"] ?? "", "effect": .string(effect)]
        }
        if pool.isQueued {
            taints.append(["key": "cloud.google.com/gke-queued", "value": "true", "effect": "NoSchedule"])
        }
        for resource in extendedResources.keys.sorted()
        where !taints.contains(where: { $0["key"]?.stringValue == resource }) {
            taints.append(["key": .string(resource), "value": "present", "effect": "NoSchedule"])
        }
        return taints
    }

    private var extendedResources: [String: Int64] {
        if acceleratorCount > 0 { return ["nvidia.com/gpu": acceleratorCount * partitionCount * clientCount] }
        return shape.tpuChips > 0 ? ["google.com/tpu": shape.tpuChips] : [:]
    }

    func status(now: Timestamp) -> JSONValue {
        var capacity: JSONValue = [
            "cpu": .string("\(shape.cpus)"), "memory": .string("\(shape.memoryBytes / 1024)Ki"), "pods": "110",
        ]
        var allocatable: JSONValue = [
            "cpu": .string("\(shape.allocatableMilliCPUs)m"),
            "memory": .string("\(shape.allocatableMemoryBytes / 1024)Ki"), "pods": "110",
        ]
        for (resource, count) in extendedResources {
            capacity[resource] = .string("\(count)")
            allocatable[resource] = .string("\(count)")
        }
        return [
            "capacity": capacity, "allocatable": allocatable, "conditions": .array(conditions(now: now)),
            "addresses": [
                ["type": "InternalIP", "address": "127.0.0.1"],
                ["type": "Hostname", "address": .string(instance.name)],
            ],
            "nodeInfo": [
                "architecture": .string(isArm ? "arm64" : "amd64"), "operatingSystem": "linux",
                "kubeletVersion": "v1.33.0-sandbox", "kubeProxyVersion": "", "osImage": "Trainyard sandbox",
                "containerRuntimeVersion": "sandbox://1", "kernelVersion": "", "machineID": "", "systemUUID": "",
                "bootID": "",
            ],
        ]
    }

    private func conditions(now: Timestamp) -> [JSONValue] {
        let facts = [
            ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ]
        let time = JSONValue.string(now.wholeSeconds.description)
        return facts.map { type, status, reason, message in
            [
                "type": .string(type), "status": .string(status), "reason": .string(reason),
                "message": .string(message), "lastHeartbeatTime": time, "lastTransitionTime": time,
            ]
        }
    }
}
