import ControllerRuntime
import Encoding

/// What happens when pods fail.
enum TrainingJobFailurePolicy {
    typealias Decision = TrainingJobDecision

    /// Rule `recovering`: an attempt failed, or the pods of one that ended are still there.
    static func recover(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun else { return nil }
        guard let attempt = observation.activeAttempt else { return cleanUp(observation) }
        if let restart = TrainingJobPodRestart.recover(attempt, run, observation) { return restart }
        guard let failure = TrainingJobEvidence.failure(of: attempt, run, observation) else { return nil }
        return record(failure, observation)
    }

    /// The pods of attempts that ended must be gone before the next begins.
    private static func cleanUp(_ observation: TrainingJobObservation) -> Decision? {
        let stop = TrainingJobPodEnd.stop(observation)
        guard !stop.isDone else { return nil }
        return Decision(
            steps: stop.steps, status: observation.status,
            situation: .recovering(.recovering, "stopping the pods of the last attempt"),
            next: .after(observation.configuration.pollInterval))
    }

    /// Writes the attempt's end, and the run's where there is no further try.
    static func record(_ failure: AttemptFailure, _ observation: TrainingJobObservation) -> Decision {
        let policy = observation.spec.failurePolicy ?? .standard
        let action = policy.action(for: failure)
        var status = observation.status
        TrainingJobRun.endAttempt(
            &status, failure.reason, observation, exitCode: failure.exitCode, node: failure.node)
        status.lastFailure = TrainingJobFailureReport.report(failure, status.attempts.last, observation)
        if !status.attempts.isEmpty { status.attempts[status.attempts.count - 1].action = action.rawValue }
        let counted = status.restartsCountTowardsMax ?? 0
        if action == .fail {
            TrainingJobRun.end(&status, .failed, failure.reason, observation, message: failure.message)
            return .record(status, .releasing(failure.message))
        }
        let counts = failure.counts && action != .restartIgnoringLimit
        if counts, counted >= policy.maxRestarts {
            let message =
                "failed \(counted + 1) times, maxRestarts is \(policy.maxRestarts); the last time: \(failure.message)"
            TrainingJobRun.end(&status, .failed, .restartLimitExceeded, observation, message: message)
            return .record(status, .releasing(message))
        }
        status.restarts = (status.restarts ?? 0) + 1
        status.restartsCountTowardsMax = counted + (counts ? 1 : 0)
        if failure.reason.losesMachines || action == .replaceNode {
            // Without a place that is in use, the pools go before others are made.
            status.capacity?.current = nil
            status.capacity?.zone = nil
        }
        return .record(status, .recovering(failure.reason, failure.message))
    }
}
