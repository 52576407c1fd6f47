import Encoding

/// What the Job controller reads of a Job, with the API server's defaults.
struct JobView: Sendable {
    static let indexKey = "batch.kubernetes.io/job-completion-index"

    let object: JSONValue

    private func metadata(_ key: String) -> JSONValue? { object["metadata"]?[key] }
    private func spec(_ key: String) -> JSONValue? { object["spec"]?[key] }

    var name: String { metadata("name")?.stringValue ?? "" }
    var namespace: String { metadata("namespace")?.stringValue ?? "default" }
    var uid: String { metadata("uid")?.stringValue ?? "" }
    var isDeleting: Bool { metadata("deletionTimestamp")?.stringValue != nil }
    var isSuspended: Bool { spec("suspend")?.boolValue ?? false }
    var isIndexed: Bool { spec("completionMode")?.stringValue == "Indexed" }
    var parallelism: Int { Int(spec("parallelism")?.integerValue ?? 1) }

    /// Nil: a work queue, which is done when one pod succeeded and none runs.
    var completions: Int? {
        if let completions = spec("completions")?.integerValue { return Int(completions) }
        return spec("parallelism") == nil ? 1 : nil
    }

    var backoffLimit: Int { Int(spec("backoffLimit")?.integerValue ?? 6) }
    var activeDeadlineSeconds: Int64? { spec("activeDeadlineSeconds")?.integerValue }
    var timeToLiveSeconds: Int64? { spec("ttlSecondsAfterFinished")?.integerValue }
    var template: JSONValue { spec("template") ?? [:] }
    var failureRules: [JSONValue] { spec("podFailurePolicy")?["rules"]?.arrayValue ?? [] }

    /// Whether a terminating pod is replaced only when it has ended: always so with a podFailurePolicy.
    var waitsForTerminatingPods: Bool {
        spec("podFailurePolicy") != nil || spec("podReplacementPolicy")?.stringValue == "Failed"
    }

    var status: JSONValue { object["status"] ?? [:] }
    var conditions: [JSONValue] { status["conditions"]?.arrayValue ?? [] }

    func hasCondition(_ type: String) -> Bool {
        conditions.contains { $0["type"]?.stringValue == type && $0["status"]?.stringValue == "True" }
    }

    var isFinished: Bool { hasCondition("Complete") || hasCondition("Failed") }

    var startTime: Timestamp? { status["startTime"]?.stringValue.flatMap { Timestamp($0) } }

    var reference: JSONValue { ClusterEvent.reference(object, apiVersion: "batch/v1", kind: "Job") }
}

/// Lists of completion indexes as Job status writes them: "0-2,5".
enum CompletionIndexes {
    static func text(_ indexes: Set<Int>) -> String {
        var ranges: [ClosedRange<Int>] = []
        for index in indexes.sorted() {
            if let last = ranges.last, last.upperBound + 1 == index {
                ranges[ranges.count - 1] = last.lowerBound...index
            } else {
                ranges.append(index...index)
            }
        }
        return ranges.map { range in
            switch range.count {
            case 1: "\(range.lowerBound)"
            case 2: "\(range.lowerBound),\(range.upperBound)"
            default: "\(range.lowerBound)-\(range.upperBound)"
            }
        }.joined(separator: ",")
    }
}
