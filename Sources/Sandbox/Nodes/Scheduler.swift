import Encoding

/// The scheduler over snapshots: node selector and affinity, taints, and room for the requests.
enum Scheduler {
    private static let component = "default-scheduler"

    private struct Candidate {
        let name: String
        let labels: JSONValue
        let taints: [JSONValue]
        let isUnschedulable: Bool
        var free: [String: Int64]
    }

    /// Binds every pod that has no node to the first node (by name) that takes it, and says why of the others.
    static func changes(pods: [PodView], nodes: [JSONValue], now: Timestamp) -> ClusterChanges {
        var candidates = nodes.map { candidate($0, pods: pods) }.sorted { $0.name < $1.name }
        var changes = ClusterChanges()
        for pod in pods where pod.nodeName == nil && !pod.isTerminal && !pod.isDeleting {
            let requests = pod.requests.merging(["pods": 1000]) { amount, _ in amount }
            let refusals = candidates.map { reasons(against: $0, pod: pod, requests: requests) }
            guard let index = refusals.firstIndex(where: \.isEmpty) else {
                changes.append(unschedulable(pod, refusals: refusals, now: now))
                continue
            }
            for (resource, amount) in requests { candidates[index].free[resource, default: 0] -= amount }
            changes.append(binding(pod, to: candidates[index].name))
        }
        return changes
    }

    private static func candidate(_ node: JSONValue, pods: [PodView]) -> Candidate {
        let name = node.value(at: ["metadata", "name"])?.stringValue ?? ""
        let allocatable = node.value(at: ["status", "allocatable"])?.objectValue ?? [:]
        var free = allocatable.compactMapValues(ResourceQuantity.thousandths)
        for pod in pods where pod.nodeName == name && !pod.isTerminal {
            for (resource, amount) in pod.requests { free[resource, default: 0] -= amount }
            free["pods", default: 0] -= 1000
        }
        return Candidate(
            name: name, labels: node.value(at: ["metadata", "labels"]) ?? [:],
            taints: node.value(at: ["spec", "taints"])?.arrayValue ?? [],
            isUnschedulable: node.value(at: ["spec", "unschedulable"])?.boolValue ?? false, free: free)
    }

    /// Why a node does not take a pod, in kube-scheduler's words: the first filter that refuses says it.
    private static func reasons(
        against node: Candidate, pod: PodView, requests: [String: Int64]
    ) -> [String] {
        if node.isUnschedulable { return ["node(s) were unschedulable"] }
        if let taint = node.taints.first(where: { !Tolerations.tolerates(pod, taint: $0) }) {
            let value = taint["value"]?.stringValue ?? ""
            return ["node(s) had untolerated taint {\(taint["key"]?.stringValue ?? ""): \(value)}"]
        }
        guard NodeAffinity.matches(pod, labels: node.labels) else {
            return ["node(s) didn't match Pod's node affinity/selector"]
        }
        return requests.filter { $0.value > 0 && $0.value > node.free[$0.key] ?? 0 }.keys.sorted().map {
            $0 == "pods" ? "Too many pods" : "Insufficient \($0)"
        }
    }

    private static func binding(_ pod: PodView, to node: String) -> ClusterChanges {
        let binding: JSONValue = [
            "apiVersion": "v1", "kind": "Binding",
            "metadata": ["name": .string(pod.name), "namespace": .string(pod.namespace), "uid": .string(pod.uid)],
            "target": ["apiVersion": "v1", "kind": "Node", "name": .string(node)],
        ]
        let event = ClusterEvent(
            about: pod.reference, reason: "Scheduled",
            message: "Successfully assigned \(pod.namespace)/\(pod.name) to \(node)", component: component)
        return ClusterChanges(writes: [.create(ClusterPath.pod(pod) + ["binding"], binding)], events: [event])
    }

    private static func unschedulable(_ pod: PodView, refusals: [[String]], now: Timestamp) -> ClusterChanges {
        let message = self.message(refusals)
        if pod.condition("PodScheduled")?["message"]?.stringValue == message { return ClusterChanges() }
        let conditions = ConditionList.setting(
            "PodScheduled", "False", reason: "Unschedulable", message: message, in: pod.conditions, now: now)
        let event = ClusterEvent(
            about: pod.reference, isWarning: true, reason: "FailedScheduling", message: message, component: component)
        let status: JSONValue = ["status": ["phase": "Pending", "conditions": .array(conditions)]]
        return ClusterChanges(writes: [.merge(ClusterPath.pod(pod) + ["status"], status)], events: [event])
    }

    private static func message(_ refusals: [[String]]) -> String {
        if refusals.isEmpty { return "no nodes available to schedule pods" }
        let counts = Dictionary(refusals.flatMap { $0 }.map { ($0, 1) }, uniquingKeysWith: +)
        let reasons = counts.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ")
        return "0/\(refusals.count) nodes are available: \(reasons). preemption: 0/\(refusals.count) nodes are"
            + " available: \(refusals.count) Preemption is not helpful for scheduling."
    }
}

/// Taints against tolerations.
enum Tolerations {
    /// Whether the taint keeps the pod away. PreferNoSchedule never does. A pod that requests an extended resource
    /// tolerates the taint of that name, as GKE's ExtendedResourceToleration admission arranges.
    static func tolerates(_ pod: PodView, taint: JSONValue) -> Bool {
        let effect = taint["effect"]?.stringValue
        if effect == "PreferNoSchedule" { return true }
        if let key = taint["key"]?.stringValue, key.contains("/"), pod.requests[key] ?? 0 > 0 { return true }
        let tolerations = pod.object.value(at: ["spec", "tolerations"])?.arrayValue ?? []
        return tolerations.contains { toleration in
            if let wanted = toleration["effect"]?.stringValue, !wanted.isEmpty, wanted != effect { return false }
            let key = toleration["key"]?.stringValue ?? ""
            let exists = toleration["operator"]?.stringValue == "Exists"
            if key.isEmpty { return exists }
            guard key == taint["key"]?.stringValue else { return false }
            return exists || (toleration["value"]?.stringValue ?? "") == (taint["value"]?.stringValue ?? "")
        }
    }
}

/// `nodeSelector` and the required node affinity.
enum NodeAffinity {
    static func matches(_ pod: PodView, labels: JSONValue) -> Bool {
        let selector = pod.object.value(at: ["spec", "nodeSelector"])?.objectValue ?? [:]
        guard selector.allSatisfy({ labels[$0.key] == $0.value }) else { return false }
        let path = [
            "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms",
        ]
        guard let terms = pod.object.value(at: path)?.arrayValue else { return true }
        return terms.contains { term in
            let expressions = term["matchExpressions"]?.arrayValue ?? []
            return !expressions.isEmpty && expressions.allSatisfy { matches($0, labels: labels) }
        }
    }

    private static func matches(_ expression: JSONValue, labels: JSONValue) -> Bool {
        guard let key = expression["key"]?.stringValue else { return false }
        let value = labels[key]
        let values = expression["values"]?.arrayValue ?? []
        switch expression["operator"]?.stringValue {
        case "In": return value.map(values.contains) ?? false
        case "NotIn": return !(value.map(values.contains) ?? false)
        case "Exists": return value != nil
        case "DoesNotExist": return value == nil
        case "Gt", "Lt":
            guard let left = value?.stringValue.flatMap({ Int64($0) }),
                let right = values.first?.stringValue.flatMap({ Int64($0) })
            else { return false }
            return expression["operator"] == "Gt" ? left > right : left < right
        default: return false
        }
    }
}
