import Encoding

/// What `spec.podFailurePolicy` of a Job makes of a failed pod.
enum PodFailurePolicy {
    enum Action: Sendable, Hashable {
        /// Counts towards backoffLimit.
        case count
        /// Is replaced without counting.
        case ignore
        /// Ends the Job; the sentence is the condition's message.
        case failJob(String)
    }

    /// The first rule that matches decides; none: the pod counts.
    static func action(for pod: PodView, of job: JobView) -> Action {
        for (index, rule) in job.failureRules.enumerated() {
            guard let match = match(rule, pod) else { continue }
            switch rule["action"]?.stringValue {
            case "FailJob", "FailIndex": return .failJob("\(match) matching FailJob rule at index \(index)")
            case "Ignore": return .ignore
            default: return .count
            }
        }
        return .count
    }

    /// The beginning of the condition's sentence when the rule applies.
    private static func match(_ rule: JSONValue, _ pod: PodView) -> String? {
        if let requirement = rule["onExitCodes"], let found = failedContainer(requirement, pod) {
            return "Container \(found.name) for pod \(pod.namespace)/\(pod.name) failed with exit code \(found.code)"
        }
        for pattern in rule["onPodConditions"]?.arrayValue ?? [] {
            let type = pattern["type"]?.stringValue ?? ""
            if pod.condition(type)?["status"]?.stringValue == pattern["status"]?.stringValue ?? "True" {
                return "Pod \(pod.namespace)/\(pod.name) has condition \(type)"
            }
        }
        return nil
    }

    private static func failedContainer(_ requirement: JSONValue, _ pod: PodView) -> (name: String, code: Int64)? {
        let values = Set((requirement["values"]?.arrayValue ?? []).compactMap(\.integerValue))
        let isIn = requirement["operator"]?.stringValue == "In"
        let statuses = ["initContainerStatuses", "containerStatuses"].flatMap { pod.status[$0]?.arrayValue ?? [] }
        for status in statuses {
            let name = status["name"]?.stringValue ?? ""
            if let wanted = requirement["containerName"]?.stringValue, wanted != name { continue }
            guard let code = status.value(at: ["state", "terminated", "exitCode"])?.integerValue, code != 0 else {
                continue
            }
            if values.contains(code) == isIn { return (name, code) }
        }
        return nil
    }
}
