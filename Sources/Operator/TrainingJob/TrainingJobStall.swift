import ControllerRuntime
import Encoding
import Kubernetes
import TrainingContract

/// Pods that run without getting on: no new step within `progress.stallDeadlineSeconds`.
///
/// How long a step has stood still is measured by this process's uptime (`StepWatch`), not by the time of day: a clock
/// that is set fires nothing. A new process begins to count anew.
enum TrainingJobStall {
    /// Before the first step of an attempt data is read and kernels are compiled, after the last one outputs are written:
    /// that takes as long as it takes, but not for ever.
    static let longestPause: Duration = .seconds(1800)
    /// Lines of the log that are kept.
    static let logLineCount = 12

    /// What the pods of the active attempt are allowed: nil where nothing is asked for or nothing can be known.
    static func deadline(_ observation: TrainingJobObservation) -> Duration? {
        guard let seconds = observation.spec.progress?.stallDeadlineSeconds, let run = observation.activeRun,
            run.prefix != nil, let attempt = observation.activeAttempt
        else { return nil }
        let deadline = Duration.seconds(seconds)
        guard let report = observation.progress, report.runID == run.id, report.attempt == attempt.number,
            report.step > report.fromStep, report.totalSteps <= 0 || report.step < report.totalSteps
        else { return max(deadline, longestPause) }
        return deadline
    }

    /// Whether the attempt's pods have stood still for too long.
    static func isOverdue(_ observation: TrainingJobObservation) -> Bool {
        guard let deadline = deadline(observation), let age = observation.sameStepFor else { return false }
        return age >= deadline
    }

    /// All pods of the active attempt, if each of them runs: else nobody can be expected to get on.
    static func runningPods(_ observation: TrainingJobObservation) -> [Pod] {
        guard let run = observation.activeRun, let attempt = observation.activeAttempt,
            let wanted = observation.runSpec?.shape.nodeCount
        else { return [] }
        let jobs = observation.attemptJobs(run, attempt)
        guard !jobs.contains(where: { $0.isEnding || $0.metadata.isDeleting }) else { return [] }
        let pods = observation.pods(of: jobs).filter { pod in
            // Another one has taken the place of a pod that failed and was counted.
            !pod.metadata.isDeleting && attempt.restartedPods?.contains(pod.metadata.name) != true
        }
        guard pods.count >= wanted, pods.allSatisfy({ $0.status?.phase == "Running" }) else {
            return []
        }
        return pods
    }

    /// Evidence for `recovering`.
    static func failure(_ jobs: [Job], _ observation: TrainingJobObservation) -> AttemptFailure? {
        guard isOverdue(observation), let age = observation.sameStepFor else { return nil }
        let pod = observation.pods(of: jobs).first
        let report = observation.progress.flatMap { $0.attempt == observation.activeAttempt?.number ? $0 : nil }
        let step = report.map { "step \($0.step) of \($0.totalSteps)" } ?? "no step was reported"
        let log = observation.logTail.flatMap(lastLines).map { "; the log of \(pod?.metadata.name ?? "") ends:\n\($0)" }
        return AttemptFailure(
            reason: .stepStalled,
            message: "no new step for \(age.components.seconds) s although the pods run: \(step)\(log ?? "")",
            node: pod?.spec?.nodeName, pod: pod?.metadata.name)
    }

    /// The last lines of a log, as much of their end as a status has room for.
    static func lastLines(_ log: String) -> String? {
        let lines = log.split(whereSeparator: \.isNewline).suffix(logLineCount).map {
            Conditions.cut(String($0), to: 200)
        }
        var room = 700
        let last = lines.reversed().prefix { line in
            room -= line.count + 1
            return room >= -1
        }
        let text = last.reversed().joined(separator: "\n")
        return text.allSatisfy(\.isWhitespace) ? nil : text
    }

    /// Why `progress` cannot be honoured; nil when it can.
    static func problem(_ spec: TrainingJob.Spec) -> String? {
        guard spec.progress?.stallDeadlineSeconds != nil, spec.outputs == nil else { return nil }
        return "progress.stallDeadlineSeconds needs outputs: progress.json lies below their prefix"
    }
}

/// Since when the steps of active attempts stand still, by uptime. Memory of one process: what it forgets begins anew,
/// which is late, never wrong.
struct StepWatch: Sendable {
    private struct Entry {
        var run: String
        var attempt: Int
        /// nil: none was reported yet.
        var step: Int?
        var since: Duration
    }

    /// By the object's uid.
    private var entries: [String: Entry] = [:]
    /// A bucket that could not be read hides what went on: so much must be seen again before a judgement.
    private static let sightAfterGap: Duration = .seconds(60)

    /// How long the present step has been seen to stand still while all pods ran; nil while they do not.
    ///
    /// - Parameter isReadable: whether the bucket answered.
    mutating func age(_ observation: TrainingJobObservation, isReadable: Bool, uptime: Duration) -> Duration? {
        guard let run = observation.activeRun, let attempt = observation.activeAttempt,
            TrainingJobStall.deadline(observation) != nil, !TrainingJobStall.runningPods(observation).isEmpty
        else {
            entries[observation.uid] = nil
            return nil
        }
        let report = observation.progress.flatMap { $0.runID == run.id && $0.attempt == attempt.number ? $0 : nil }
        var entry = Entry(run: run.id, attempt: attempt.number, step: report?.step, since: uptime)
        if let known = entries[observation.uid], known.run == entry.run, known.attempt == entry.attempt {
            if !isReadable {
                entry.step = known.step
                let asked = Duration.seconds(observation.spec.progress?.stallDeadlineSeconds ?? 0)
                entry.since = max(known.since, uptime - asked + min(asked, Self.sightAfterGap))
            } else if known.step == entry.step {
                entry.since = known.since
            }
        }
        entries[observation.uid] = entry
        return uptime - entry.since
    }

    /// The object is gone, or nothing of it runs.
    mutating func forget(_ uid: String) { entries[uid] = nil }
}
