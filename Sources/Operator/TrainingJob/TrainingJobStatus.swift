import ControllerRuntime
import Encoding
import Kubernetes

/// The conditions of a TrainingJob, one row of the truth table per situation.
enum TrainingJobConditions {
    private struct Draft {
        var conditions: [Condition] = []
        let generation: Int64
        let now: Timestamp

        mutating func set(_ type: String, _ status: Condition.Status, _ reason: Reason, _ message: String) {
            conditions.append(
                Condition(
                    type: type, status: status, reason: reason.rawValue, message: message, lastTransitionTime: now,
                    observedGeneration: generation))
        }

        /// Not ready, but on the way.
        mutating func inProgress(_ reason: Reason, _ message: String) {
            set("Ready", .false, reason, message)
            set("Reconciling", .true, reason, message)
        }

        /// Not ready until somebody acts.
        mutating func stalled(_ reason: Reason, _ message: String) {
            set("Ready", .false, reason, message)
            set("Stalled", .true, reason, message)
        }
    }

    /// All conditions, sorted by type. `lastTransitionTime` is `now`: the runtime keeps the old one where nothing changed.
    static func conditions(
        for situation: Situation, status: TrainingJob.Status, generation: Int64, now: Timestamp
    ) -> [Condition] {
        var draft = Draft(generation: generation, now: now)
        headline(situation, status, &draft)
        outcome(status, &draft)
        hygiene(situation, status, &draft)
        return draft.conditions.sorted { $0.type < $1.type }
    }

    private static func headline(_ situation: Situation, _ status: TrainingJob.Status, _ draft: inout Draft) {
        switch situation {
        case .waiting(let reason, let message), .provisioning(let reason, let message):
            draft.inProgress(queued(reason, status), message)
            draft.set("CapacityAcquired", .false, reason, message)
        case .training(let message):
            draft.inProgress(queued(.training, status), message)
            draft.set("CapacityAcquired", .true, .acquired, acquired(status))
        case .recovering(let reason, let message):
            draft.inProgress(queued(.recovering, status), message)
            draft.set("CapacityAcquired", .false, reason, message)
        case .verifying(let reason, let message):
            draft.inProgress(queued(.verifying, status), message)
            draft.set("CapacityAcquired", .true, .acquired, acquired(status))
            draft.set("OutputsVerified", .false, reason, message)
        case .releasing(let message):
            draft.inProgress(cause(status, whenSucceeded: .releasingCompute), message)
        case .keepingIdle(let message):
            draft.inProgress(cause(status, whenSucceeded: .keepingIdle), message)
        case .retaining(let message):
            draft.inProgress(cause(status, whenSucceeded: .computeRetained), message)
        case .releaseBlocked(let reason, let message), .actionRequired(let reason, let message):
            draft.stalled(reason, message)
        case .finished:
            finished(status, &draft)
        case .suspending(let message):
            draft.inProgress(.suspending, message)
        case .suspended:
            draft.set("Ready", .true, .suspended, "suspended; nothing runs and nothing costs money")
            draft.set("Suspended", .true, .suspended, "spec.suspend is true")
        case .planned(let message):
            draft.set("Ready", .true, .planned, message)
        case .stoppedByBudget(let message):
            draft.stalled(.budgetExceeded, message)
            draft.set("Suspended", .true, .budgetExceeded, message)
        case .deleting(let message):
            draft.inProgress(.deleting, message)
        }
    }

    private static func finished(_ status: TrainingJob.Status, _ draft: inout Draft) {
        let reason = cause(status, whenSucceeded: .succeeded)
        if isSucceeded(status) {
            let message = "outputs verified, compute released"
            draft.set("Ready", .true, successReason(status), alreadyComplete(status) ?? message)
        } else {
            draft.stalled(reason, failureMessage(status))
        }
    }

    /// `Complete` and `Failed`: the outcome of the run, whatever is still to be cleaned up.
    private static func outcome(_ status: TrainingJob.Status, _ draft: inout Draft) {
        guard let result = status.run?.result else { return }
        if result == TrainingJob.RunResult.succeeded.rawValue {
            let message = alreadyComplete(status) ?? "run \(status.run?.id ?? "") succeeded\(markerProblem(status))"
            draft.set("Complete", .true, successReason(status), message)
            draft.set("OutputsVerified", .true, successReason(status), outputsMessage(status))
            return
        }
        if result == TrainingJob.RunResult.superseded.rawValue { return }  // Neither: the next run is what counts.
        let reason = cause(status, whenSucceeded: .succeeded)
        draft.set("Failed", .true, reason, failureMessage(status))
        if [.outputMissing, .outputChecksumMismatch, .assertionFailed].contains(reason) {
            draft.set("OutputsVerified", .false, reason, failureMessage(status))
        } else if let outputs = status.outputs {
            let message = TrainingJobPartialOutputs.message(outputs, status.run)
            draft.set("OutputsVerified", .false, .partialOutputs, message)
        }
    }

    /// `ComputeReleased` is true exactly when the ledger holds no compute.
    private static func hygiene(_ situation: Situation, _ status: TrainingJob.Status, _ draft: inout Draft) {
        if !status.resources.isEmpty {
            let names = status.resources.map(\.name).joined(separator: ", ")
            if case .keepingIdle(let message) = situation {
                draft.set("ComputeReleased", .false, .keepingIdle, message)
                return
            }
            if case .retaining(let message) = situation {
                draft.set("ComputeReleased", .false, .computeRetained, message)
                return
            }
            let isReleasing = status.run?.result != nil || situation.isReleasing
            draft.set("ComputeReleased", .false, isReleasing ? .releasingCompute : .computeHeld, "node pool \(names)")
        } else if (status.capacity?.attemptCount ?? 0) == 0 {
            draft.set("ComputeReleased", .true, .nothingCreated, "nothing was created for this run")
        } else {
            draft.set("ComputeReleased", .true, .released, "every node pool of this run is gone")
        }
    }

    private static func queued(_ reason: Reason, _ status: TrainingJob.Status) -> Reason {
        status.pendingRun == nil ? reason : .newRunQueued
    }

    private static func isSucceeded(_ status: TrainingJob.Status) -> Bool {
        status.run?.result == TrainingJob.RunResult.succeeded.rawValue
    }

    private static func successReason(_ status: TrainingJob.Status) -> Reason {
        status.run?.completedBy == nil ? .succeeded : .alreadyComplete
    }

    /// Of a run that found its work done.
    private static func alreadyComplete(_ status: TrainingJob.Status) -> String? {
        guard let run = status.run, let done = run.completedBy else { return nil }
        let when = run.completionTime.map { " at \($0)" } ?? ""
        return "run \(done) completed this spec\(when), says \(run.marker?.uri ?? "its marker"): nothing was trained; "
            + "to train again change rerunToken"
    }

    private static func markerProblem(_ status: TrainingJob.Status) -> String {
        guard let marker = status.run?.marker, marker.state == TrainingJob.Marker.failed else { return "" }
        return "; made again without its status this object trains again, because \(marker.uri) could not be written: "
            + (marker.message ?? "no reason given")
    }

    private static func cause(_ status: TrainingJob.Status, whenSucceeded: Reason) -> Reason {
        isSucceeded(status) ? whenSucceeded : status.run?.reason.flatMap(Reason.init) ?? .controllerError
    }

    private static func failureMessage(_ status: TrainingJob.Status) -> String {
        status.lastFailure?.message ?? "the run ended as \(status.run?.reason ?? "Failed")"
    }

    private static func acquired(_ status: TrainingJob.Status) -> String {
        [status.capacity?.current, status.capacity?.zone].compactMap { $0 }.joined(separator: " in ")
    }

    private static func outputsMessage(_ status: TrainingJob.Status) -> String {
        guard let outputs = status.outputs, let count = outputs.count, count > 0 else {
            return "no outputs are declared"
        }
        return "\(outputs.verifiedCount ?? 0) of \(count) files verified"
    }
}

extension Situation {
    fileprivate var isReleasing: Bool {
        switch self {
        case .suspending, .deleting, .releasing, .releaseBlocked: true
        default: false
        }
    }

    /// `status.state`, for display only.
    func displayState(result: String?) -> String {
        switch self {
        case .waiting(.waitingForInputs, _): "WaitingForInputs"
        case .waiting: "Pending"
        case .provisioning: "Provisioning"
        case .training: "Training"
        case .recovering: "Recovering"
        case .verifying: "Verifying"
        case .releasing, .releaseBlocked: "Releasing"
        case .keepingIdle: "Idle"
        case .retaining: "Retained"
        case .finished: result == TrainingJob.RunResult.succeeded.rawValue ? "Complete" : "Failed"
        case .suspending: "Suspending"
        case .planned: "Planned"
        case .suspended, .stoppedByBudget: "Suspended"
        case .actionRequired(.invalidSpec, _): "Invalid"
        case .actionRequired: "Stalled"
        case .deleting: "Deleting"
        }
    }
}
