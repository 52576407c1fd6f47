import Encoding

/// Removes pods of nodes that are gone, as Kubernetes' pod garbage collector does.
enum PodGarbage {
    /// First the pod is marked Failed, so that its owner sees why; at the next look it is deleted.
    static func changes(pods: [PodView], nodeNames: Set<String>, now: Timestamp) -> ClusterChanges {
        var changes = ClusterChanges()
        for pod in pods {
            guard let node = pod.nodeName, !nodeNames.contains(node) else { continue }
            if pod.isTerminal {
                changes.writes.append(.delete(ClusterPath.pod(pod), uid: pod.uid, graceSeconds: 0))
            } else {
                let conditions = ConditionList.setting(
                    "DisruptionTarget", "True", reason: "DeletionByPodGC",
                    message: "PodGC: node no longer exists", in: pod.conditions, now: now)
                let status: JSONValue = ["status": ["phase": "Failed", "conditions": .array(conditions)]]
                changes.writes.append(.merge(ClusterPath.pod(pod) + ["status"], status))
            }
        }
        return changes
    }
}
