import Encoding

/// What the nodes' components read of a Pod.
struct PodView: Sendable {
    let object: JSONValue

    private func metadata(_ key: String) -> JSONValue? { object["metadata"]?[key] }
    private func spec(_ key: String) -> JSONValue? { object["spec"]?[key] }

    var name: String { metadata("name")?.stringValue ?? "" }
    var namespace: String { metadata("namespace")?.stringValue ?? "default" }
    var uid: String { metadata("uid")?.stringValue ?? "" }
    var nodeName: String? { spec("nodeName")?.stringValue.flatMap { $0.isEmpty ? nil : $0 } }
    var phase: String { object["status"]?["phase"]?.stringValue ?? "Pending" }
    var isTerminal: Bool { phase == "Succeeded" || phase == "Failed" }
    var isDeleting: Bool { metadata("deletionTimestamp")?.stringValue != nil }
    var restartPolicy: String { spec("restartPolicy")?.stringValue ?? "Always" }
    var containers: [JSONValue] { spec("containers")?.arrayValue ?? [] }
    var initContainers: [JSONValue] { spec("initContainers")?.arrayValue ?? [] }
    var annotations: JSONValue { metadata("annotations") ?? [:] }
    var labels: JSONValue { metadata("labels") ?? [:] }
    var status: JSONValue { object["status"] ?? [:] }
    var conditions: [JSONValue] { status["conditions"]?.arrayValue ?? [] }

    /// Seconds between SIGTERM and SIGKILL: of the delete where there is one, else the pod's own.
    var graceSeconds: Int64 {
        metadata("deletionGracePeriodSeconds")?.integerValue
            ?? spec("terminationGracePeriodSeconds")?.integerValue ?? 30
    }

    /// The uid of the controlling owner.
    var controllerUID: String? {
        metadata("ownerReferences")?.arrayValue?.first { $0["controller"]?.boolValue == true }?["uid"]?.stringValue
    }

    /// `batch.kubernetes.io/job-completion-index` of a pod of an Indexed Job.
    var completionIndex: Int? { annotations[JobView.indexKey]?.stringValue.flatMap { Int($0) } }

    var isReady: Bool { condition("Ready")?["status"]?.stringValue == "True" }

    func condition(_ type: String) -> JSONValue? { conditions.first { $0["type"]?.stringValue == type } }

    var reference: JSONValue { ClusterEvent.reference(object, apiVersion: "v1", kind: "Pod") }

    /// What the scheduler counts: the containers' sum, or an init container's need where that is greater; in
    /// thousandths of each resource's unit.
    var requests: [String: Int64] {
        var total: [String: Int64] = [:]
        for container in containers {
            for (name, amount) in PodView.requests(of: container) { total[name, default: 0] += amount }
        }
        for container in initContainers {
            for (name, amount) in PodView.requests(of: container) { total[name] = max(total[name] ?? 0, amount) }
        }
        return total
    }

    /// Requests default to the limits, as the API server does.
    private static func requests(of container: JSONValue) -> [String: Int64] {
        let limits = container.value(at: ["resources", "limits"])?.objectValue ?? [:]
        let requests = container.value(at: ["resources", "requests"])?.objectValue ?? [:]
        return limits.merging(requests) { _, request in request }.compactMapValues(ResourceQuantity.thousandths)
    }
}

/// Conditions of pods, jobs and nodes: lists keyed by type.
enum ConditionList {
    /// The list with one condition set; `lastTransitionTime` moves only when the status does.
    static func setting(
        _ type: String, _ status: String, reason: String? = nil, message: String? = nil, in list: [JSONValue],
        now: Timestamp
    ) -> [JSONValue] {
        let time = JSONValue.string(now.wholeSeconds.description)
        let old = list.first { $0["type"]?.stringValue == type }
        var condition = old ?? ["type": .string(type)]
        if old?["status"]?.stringValue != status {
            condition["status"] = .string(status)
            condition["lastTransitionTime"] = time
        }
        condition["reason"] = reason.map(JSONValue.string)
        condition["message"] = message.map(JSONValue.string)
        guard let index = list.firstIndex(where: { $0["type"]?.stringValue == type }) else {
            return list + [condition]
        }
        var changed = list
        changed[index] = condition
        return changed
    }
}
