import ControllerRuntime
import Encoding
import Kubernetes

/// What a run that failed or was cancelled has left in the bucket, looked at once when its pods have ended, beside the
/// release of its machines: nobody has to guess what of it can be used.
enum TrainingJobPartialOutputs {
    /// Whether that is still to be found out.
    static func isWanted(_ observation: TrainingJobObservation) -> Bool {
        guard let run = observation.status.run, !observation.job.metadata.isDeleting else { return false }
        return run.result == TrainingJob.RunResult.failed.rawValue && observation.status.outputs == nil
            && run.prefix != nil && !observation.status.attempts.isEmpty
    }

    /// Whether the pods have ended, so that what is there is all there will be.
    static func isDue(_ observation: TrainingJobObservation) -> Bool {
        isWanted(observation) && observation.jobs.allSatisfy { $0.isEnding || $0.metadata.isDeleting }
            && observation.pods.allSatisfy(\.isTerminal)
    }

    /// Adds what was found to whatever was decided; a bucket that cannot be read is waited for as long as after a
    /// success, and no longer.
    static func record(_ decision: inout TrainingJobDecision, _ observation: TrainingJobObservation) {
        guard isWanted(observation), decision.status.run == observation.status.run, decision.status.outputs == nil
        else { return }
        switch observation.outputs {
        case .found(let files, let documents) where isDue(observation):
            let verdict = TrainingJobOutputs.verdict(
                observation.recordedSpec?.outputs, files: files, documents: documents)
            decision.status.outputs = verdict.status
        case .unreadable where isOverdue(observation):
            decision.status.outputs = TrainingJob.OutputsStatus()
        case .notLooked, .found, .unreadable:
            // Without the run's spec nobody knows what was declared.
            if isDue(observation), observation.recordedSpec?.outputs == nil {
                decision.status.outputs = TrainingJob.OutputsStatus()
                return
            }
            let interval = observation.configuration.pollInterval
            if case .after(let other) = decision.next, other < interval { return }
            decision.next = .after(interval)
        }
    }

    private static func isOverdue(_ observation: TrainingJobObservation) -> Bool {
        let grace = (observation.spec.cleanup ?? .standard).verificationGraceSeconds
        guard let end = observation.status.run?.completionTime else { return true }
        return observation.now - end >= .seconds(grace) + TrainingJobPodEnd.patience(observation)
    }

    /// The condition's sentence: how much of it is there.
    static func message(_ outputs: TrainingJob.OutputsStatus, _ run: TrainingJob.Run?) -> String {
        guard let verified = outputs.verifiedCount else { return "the run failed, and its outputs could not be read" }
        let place = run?.prefix ?? "the bucket"
        return "the run failed; of what it should leave, \(verified) files are in \(place) as declared"
            + (outputs.files.contains { $0.verified != true } ? ", and something is missing" : "")
            + ": no version is published"
    }
}
