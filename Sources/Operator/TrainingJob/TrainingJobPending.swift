import ControllerRuntime
import Encoding
import Kubernetes

/// How long a run may be without machines, all candidates together.
extension TrainingJobCapacity {
    /// The search begins: with a deadline that is a fact to remember, because a suspension does not count.
    static func searchStarting(_ observation: TrainingJobObservation) -> Decision? {
        guard observation.spec.pendingDeadlineSeconds != nil, observation.status.capacity?.pendingSince == nil else {
            return nil
        }
        var status = observation.status
        var capacity = status.capacity ?? TrainingJob.CapacityStatus()
        capacity.pendingSince = observation.moment
        status.capacity = capacity
        return .record(status, .provisioning(.provisioning, "looking for machines"))
    }

    /// Rule `pendingTooLong`: the run ends, and what was being tried is released.
    static func pendingTooLong(_ observation: TrainingJobObservation) -> Decision? {
        guard let limit = observation.spec.pendingDeadlineSeconds, observation.activeRun != nil,
            observation.activeAttempt == nil, observation.succeededAttempt == nil,
            let since = observation.status.capacity?.pendingSince, observation.now - since >= .seconds(limit)
        else { return nil }
        var status = observation.status
        let attempts = (status.capacity ?? TrainingJob.CapacityStatus())
        let message = "no machines within \(limit) s: \(tried(attempts))"
        status.capacity?.pendingSince = nil
        TrainingJobRun.end(&status, .failed, .pendingDeadlineExceeded, observation, message: message)
        return .record(status, .releasing(message))
    }

    /// What the search has tried so far, the latest first, e.g. `spot us-central1-a StockedOut 3 times`.
    static func tried(_ capacity: TrainingJob.CapacityStatus) -> String {
        let failed = capacity.attempts.filter { $0.result != Reason.acquired.rawValue }
        let texts = failed.reversed().prefix(6).map { attempt in
            let count = attempt.count > 1 ? " \(attempt.count) times" : ""
            return "\(attempt.candidate) \(attempt.zone ?? "") \(attempt.result)\(count)"
        }
        let more = failed.count > 6 ? " and \(failed.count - 6) more" : ""
        return texts.isEmpty ? "nothing has answered yet" : texts.joined(separator: ", ") + more
    }

    /// In how long the deadline comes; nil without one, and while machines are there.
    static func pendingTime(_ observation: TrainingJobObservation) -> Duration? {
        guard let limit = observation.spec.pendingDeadlineSeconds,
            let since = observation.status.capacity?.pendingSince
        else { return nil }
        return max(.seconds(1), since + .seconds(limit) - observation.now)
    }
}
