import ControllerRuntime
import Kubernetes

/// Events as a function of what changed: each is told once, after the status that says the same was written.
enum TrainingJobEvents {
    static func events(from old: TrainingJob.Status, to new: TrainingJob.Status) -> [Event] {
        runStarted(old, new) + capacityChanged(old, new) + attemptChanged(old, new) + runEnded(old, new)
            + released(old, new) + budgetUsedUp(old, new) + planned(old, new) + warned(old, new)
    }

    private static func warned(_ old: TrainingJob.Status, _ new: TrainingJob.Status) -> [Event] {
        guard old.preflight.isEmpty else { return [] }
        let warnings = new.preflight.filter { $0.result == "Warning" }.map { "\($0.name): \($0.detail ?? "")" }
        guard !warnings.isEmpty else { return [] }
        return [
            Event(
                .warning, reason: "PreflightWarning", action: "Check",
                message: Conditions.cut(warnings.joined(separator: "; ")))
        ]
    }

    private static func planned(_ old: TrainingJob.Status, _ new: TrainingJob.Status) -> [Event] {
        guard let plan = new.plan, plan != old.plan else { return [] }
        return [Event(.normal, reason: Reason.planned.rawValue, action: "Plan", message: plan.summary ?? "")]
    }

    /// Once, in all three modes.
    private static func budgetUsedUp(_ old: TrainingJob.Status, _ new: TrainingJob.Status) -> [Event] {
        let condition = new.conditions.first { $0.type == TrainingJobBudget.conditionType }
        let before = old.conditions.first { $0.type == TrainingJobBudget.conditionType }
        guard let condition, condition.status == .false, before?.status != .false else { return [] }
        return [Event(.warning, reason: condition.reason, action: "CheckBudget", message: condition.message)]
    }

    private static func runStarted(_ old: TrainingJob.Status, _ new: TrainingJob.Status) -> [Event] {
        guard let run = new.run, run.number != old.run?.number else { return [] }
        return [Event(.normal, reason: "RunStarted", action: "RecordRun", message: "run \(run.id) was recorded")]
    }

    private static func capacityChanged(_ old: TrainingJob.Status, _ new: TrainingJob.Status) -> [Event] {
        guard let run = new.run, run.number == old.run?.number else { return [] }
        return (new.capacity?.attempts ?? []).compactMap { attempt in
            let before = old.capacity?.attempts.first { previous in
                previous.candidate == attempt.candidate && previous.zone == attempt.zone
                    && previous.result == attempt.result
            }
            guard attempt.count != before?.count else { return nil }
            let place = "\(attempt.candidate) in \(attempt.zone ?? "")"
            if attempt.result == Reason.acquired.rawValue {
                return Event(
                    .normal, reason: attempt.result, action: "CreateNodePool", message: "got machines from \(place)")
            }
            return Event(
                .warning, reason: attempt.result, action: "CreateNodePool",
                message: "no machines from \(place): \(attempt.message ?? "no reason given")")
        }
    }

    private static func attemptChanged(_ old: TrainingJob.Status, _ new: TrainingJob.Status) -> [Event] {
        guard new.run?.number == old.run?.number else { return [] }
        var events: [Event] = []
        if let attempt = new.attempts.last, attempt.number != old.attempts.last?.number {
            let from = attempt.fromStep ?? 0
            events.append(
                Event(
                    .normal, reason: "AttemptStarted", action: "CreateJob",
                    message: "attempt \(attempt.number) starts from step \(from)"))
        }
        if let restarts = new.restarts, restarts != old.restarts ?? 0, let attempt = new.attempts.last,
            attempt.restartedPods != old.attempts.last?.restartedPods, attempt.endTime == nil,
            let failure = new.lastFailure
        {
            events.append(
                Event(
                    .warning, reason: failure.reason ?? "", action: "RestartPod",
                    message: "\(failure.message ?? ""); the pod is started again, the others go on"))
        } else if let restarts = new.restarts, restarts != old.restarts ?? 0, let cause = new.attempts.last?.cause {
            events.append(
                Event(
                    .warning, reason: cause, action: "Restart",
                    message: "attempt \(new.attempts.last?.number ?? 0) ended: \(new.lastFailure?.message ?? cause); "
                        + "the run goes on from its last checkpoint"))
        }
        return events
    }

    private static func runEnded(_ old: TrainingJob.Status, _ new: TrainingJob.Status) -> [Event] {
        guard let run = new.run, let result = run.result, old.run?.result == nil, old.run?.number == run.number else {
            return []
        }
        if let done = run.completedBy {
            let message = "run \(done) completed this spec before: nothing is trained"
            return [Event(.normal, reason: Reason.alreadyComplete.rawValue, action: "EndRun", message: message)]
        }
        if result == TrainingJob.RunResult.succeeded.rawValue {
            return [
                Event(
                    .normal, reason: "OutputsVerified", action: "VerifyOutputs",
                    message: "the outputs of \(run.id) are verified")
            ]
        }
        return [
            Event(
                .warning, reason: run.reason ?? result, action: "EndRun",
                message: "run \(run.id) ended: \(new.lastFailure?.message ?? run.reason ?? result)")
        ]
    }

    private static func released(_ old: TrainingJob.Status, _ new: TrainingJob.Status) -> [Event] {
        guard !old.resources.isEmpty, new.resources.isEmpty, new.run?.result != nil else { return [] }
        let cost = new.cost?.display.map { "; about \($0) at list price" } ?? ""
        return [
            Event(.normal, reason: "Released", action: "DeleteNodePool", message: "no node pool is left\(cost)")
        ]
    }
}
