import ControllerRuntime
import Encoding
import Kubernetes

/// Nodes that are there, or that the cluster's autoscaler brings: nothing is created, and nothing deleted.
extension TrainingJobCapacity {
    /// How the status calls a place that is no candidate.
    static func placeName(_ policy: TrainingJob.Backend.NodePool.Policy) -> String {
        policy == .existing ? "existing-nodes" : "compute-class"
    }

    /// Begins the next attempt at once: its pods wait for their nodes themselves.
    static func useStandingNodes(_ spec: RunSpec, _ observation: TrainingJobObservation) -> Decision {
        let policy = NodeSelection.policy(spec)
        let release = TrainingJobRelease.pools(observation)
        guard release.isDone else {
            return Decision(
                steps: release.steps, status: release.status,
                situation: release.blocked ?? .provisioning(.provisioning, "deleting node pools of an earlier run"),
                next: .after(observation.configuration.pollInterval))
        }
        if let waiting = pause(observation, release.status, isHolding: false) { return waiting }
        var status = release.status
        var capacity = status.capacity ?? TrainingJob.CapacityStatus()
        capacity.current = placeName(policy)
        capacity.zone = nil
        status.capacity = capacity
        // Where the pods land is the scheduler's choice.
        beginAttempt(placeName(policy), zone: "", &status, observation)
        let number = status.attempts.last?.number ?? 1
        return .record(status, .training("starting attempt \(number) on \(describe(policy, spec))"))
    }

    private static func describe(_ policy: TrainingJob.Backend.NodePool.Policy, _ spec: RunSpec) -> String {
        let pool = spec.backend.gke?.nodePool
        guard policy == .existing else { return "nodes of compute class \(pool?.computeClassName ?? "")" }
        let labels = (pool?.selector?.matchLabels ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return "existing nodes with \(labels.joined(separator: ", "))"
    }

    /// Writes the next attempt's beginning.
    static func beginAttempt(
        _ candidate: String, zone: String, _ status: inout TrainingJob.Status, _ observation: TrainingJobObservation
    ) {
        status.capacity?.pendingSince = nil
        var attempt = TrainingJob.Attempt(number: (status.attemptCount ?? 0) + 1)
        attempt.startTime = observation.moment
        attempt.candidate = candidate
        attempt.zone = zone
        attempt.restartScope = TrainingJobPodRestart.scope(observation)?.rawValue
        let step = status.checkpoint?.latest?.step ?? 0
        attempt.fromStep = step
        // A pod's last report may be younger than what was read when it ended: it came at least to its own checkpoint.
        if let last = status.attempts.indices.last, status.attempts[last].toStep ?? 0 < step {
            status.attempts[last].toStep = step
        }
        status.attemptCount = attempt.number
        status.attempts = Array((status.attempts + [attempt]).suffix(10))
    }
}
