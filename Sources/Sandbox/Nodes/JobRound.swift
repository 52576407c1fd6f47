import Encoding
import HTTP

/// One Job's turn: what it has, what it lacks, and the status that says so.
struct JobRound {
    private enum End {
        case complete
        case failed(reason: String, message: String)
    }

    let job: JobView
    let now: Timestamp
    /// Neither ended nor being deleted.
    private(set) var active: [PodView]
    private let terminating: [PodView]
    var failed = 0
    var succeeded = 0
    var succeededIndexes: Set<Int> = []
    private var end: End?
    private var changes = ClusterChanges()

    init(job: JobView, pods: [PodView], now: Timestamp) {
        self.job = job
        self.now = now
        active = pods.filter { !$0.isTerminal && !$0.isDeleting }
        terminating = pods.filter { !$0.isTerminal && $0.isDeleting }
    }

    var isEnding: Bool { end != nil }

    /// Whether the Job has reached its end.
    mutating func decideEnd(failureMessage: String?) {
        let isDone =
            if let completions = job.completions {
                succeeded >= completions
            } else {
                succeeded > 0 && active.isEmpty
            }
        if let failureMessage {
            end = .failed(reason: "PodFailurePolicy", message: failureMessage)
        } else if let target = failureTarget {
            end = .failed(
                reason: target["reason"]?.stringValue ?? "", message: target["message"]?.stringValue ?? "")
        } else if failed > job.backoffLimit {
            end = .failed(
                reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit")
        } else if isPastDeadline {
            end = .failed(
                reason: "DeadlineExceeded", message: "Job was active longer than specified deadline")
        } else if isDone {
            end = .complete
        }
    }

    private var failureTarget: JSONValue? {
        job.hasCondition("FailureTarget")
            ? job.conditions.first { $0["type"]?.stringValue == "FailureTarget" } : nil
    }

    private var isPastDeadline: Bool {
        guard let seconds = job.activeDeadlineSeconds, let start = job.startTime, !job.isSuspended else { return false }
        return start + .seconds(seconds) <= now
    }

    /// The completion indexes of the pods to create; nil stands for a pod without one.
    func missingPods() -> [Int?] {
        let occupying = active + (job.waitsForTerminatingPods ? terminating : [])
        let room = job.parallelism - occupying.count
        guard room > 0 else { return [] }
        guard job.isIndexed else {
            let wanted = job.completions.map { max(0, $0 - succeeded - occupying.count) } ?? (succeeded > 0 ? 0 : room)
            return Array(repeating: nil, count: min(room, wanted))
        }
        let taken = succeededIndexes.union(occupying.compactMap(\.completionIndex))
        return Array((0..<(job.completions ?? 0)).filter { !taken.contains($0) }.prefix(room))
    }

    mutating func dismiss(_ pod: PodView) {
        changes.writes.append(.delete(ClusterPath.pod(pod), uid: pod.uid))
        note("SuccessfulDelete", "Deleted pod: \(pod.name)")
        active.removeAll { $0.uid == pod.uid }
    }

    mutating func create(index: Int?, suffix: String) {
        let pod = JobPod.object(for: job, index: index, suffix: suffix)
        changes.writes.append(.create(ClusterPath.pods(job.namespace), pod))
        note("SuccessfulCreate", "Created pod: \(pod.value(at: ["metadata", "name"])?.stringValue ?? "")")
    }

    private mutating func note(_ reason: String, _ message: String, isWarning: Bool = false) {
        changes.events.append(
            ClusterEvent(
                about: job.reference, isWarning: isWarning, reason: reason, message: message,
                component: "job-controller"))
    }

    /// All that was decided, with the status where it changed.
    mutating func finished() -> ClusterChanges {
        let status = self.status()
        if status != job.status {
            // A merge patch: what is gone has to be said.
            var patch = status
            for key in (job.status.objectValue ?? [:]).keys where status[key] == nil { patch[key] = .null }
            changes.writes.append(.merge(ClusterPath.job(job) + ["status"], ["status": patch]))
        }
        return changes
    }

    private mutating func status() -> JSONValue {
        var status = job.status
        let created = changes.writes.count { $0.method == .post }
        status["active"] = JobRound.count(active.count + created)
        status["ready"] = .integer(Int64(active.count(where: \.isReady)))
        status["terminating"] = .integer(Int64(terminating.count))
        status["failed"] = JobRound.count(failed)
        status["succeeded"] = JobRound.count(succeeded)
        if job.isIndexed, !succeededIndexes.isEmpty {
            status["completedIndexes"] = .string(CompletionIndexes.text(succeededIndexes))
        }
        status["uncountedTerminatedPods"] = [:]
        let conditions = self.conditions(&status)
        status["conditions"] = conditions.isEmpty ? nil : .array(conditions)
        return status
    }

    private static func count(_ value: Int) -> JSONValue? { value == 0 ? nil : .integer(Int64(value)) }

    private mutating func conditions(_ status: inout JSONValue) -> [JSONValue] {
        var conditions = job.conditions
        func set(_ type: String, _ reason: String, _ message: String, to value: String = "True") {
            conditions = ConditionList.setting(
                type, value, reason: reason, message: message, in: conditions, now: now)
        }
        switch end {
        case .complete where active.isEmpty && terminating.isEmpty:
            set("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")
            set("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
            status["completionTime"] = .string(now.wholeSeconds.description)
            note("Completed", "Job completed")
        case .complete: break
        case .failed(let reason, let message):
            set("FailureTarget", reason, message)
            if active.isEmpty, terminating.isEmpty {
                set("Failed", reason, message)
                note(reason, message, isWarning: true)
            }
        case nil:
            if job.isSuspended {
                if !job.hasCondition("Suspended") { note("Suspended", "Job suspended") }
                set("Suspended", "JobSuspended", "Job suspended")
                status["startTime"] = nil
            } else {
                if job.hasCondition("Suspended") {
                    note("Resumed", "Job resumed")
                    set("Suspended", "JobResumed", "Job resumed", to: "False")
                }
                status["startTime"] = status["startTime"] ?? .string(now.wholeSeconds.description)
            }
        }
        return conditions
    }
}

/// A Job's template as a Pod.
enum JobPod {
    static func object(for job: JobView, index: Int?, suffix: String) -> JSONValue {
        var metadata: JSONValue = job.template["metadata"] ?? [:]
        var spec: JSONValue = job.template["spec"] ?? [:]
        let base = index.map { "\(job.name)-\($0)" } ?? job.name
        metadata["name"] = .string("\(base)-\(suffix)")
        metadata["generateName"] = .string("\(base)-")
        metadata["namespace"] = .string(job.namespace)
        metadata["creationTimestamp"] = nil
        for prefix in ["", "batch.kubernetes.io/"] {
            metadata.set(.string(job.uid), at: ["labels", "\(prefix)controller-uid"])
            metadata.set(.string(job.name), at: ["labels", "\(prefix)job-name"])
        }
        metadata["ownerReferences"] = [
            [
                "apiVersion": "batch/v1", "kind": "Job", "name": .string(job.name), "uid": .string(job.uid),
                "controller": true, "blockOwnerDeletion": true,
            ]
        ]
        if let index {
            metadata.set(.string("\(index)"), at: ["labels", JobView.indexKey])
            metadata.set(.string("\(index)"), at: ["annotations", JobView.indexKey])
            spec["hostname"] = .string(base)
            for key in ["containers", "initContainers"] {
                guard let containers = spec[key]?.arrayValue else { continue }
                spec[key] = .array(containers.map(withCompletionIndex))
            }
        }
        return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec]
    }

    private static func withCompletionIndex(_ container: JSONValue) -> JSONValue {
        var environment = container["env"]?.arrayValue ?? []
        if environment.contains(where: { $0["name"] == "JOB_COMPLETION_INDEX" }) { return container }
        environment.append([
            "name": "JOB_COMPLETION_INDEX",
            "valueFrom": ["fieldRef": ["fieldPath": .string("metadata.annotations['\(JobView.indexKey)']")]],
        ])
        var changed = container
        changed["env"] = .array(environment)
        return changed
    }
}
