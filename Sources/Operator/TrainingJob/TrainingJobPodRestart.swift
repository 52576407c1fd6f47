import ControllerRuntime
import Encoding
import Kubernetes

/// `failurePolicy.restartScope: FailedNodes`: a pod that fails is started again alone while the others go on, where the
/// framework takes it back.
///
/// The Job makes the new pod, on the machine that its group brings in place of a lost one; which failures count, and what
/// ends the attempt, is decided here. A pod that was counted is named in the attempt, so that no crash counts it twice.
enum TrainingJobPodRestart {
    typealias Decision = TrainingJobDecision

    /// The Job's own limit is never the one that counts: it is the highest `maxRestarts`.
    static let backoffLimit: Int64 = 1000
    /// Failed pods that are remembered; with more of them at a time all start again.
    static let podLimit = 32

    /// Who lost its machine is no failure of the Job's.
    static let podFailurePolicy: JSONValue = [
        "rules": [["action": "Ignore", "onPodConditions": [["type": "DisruptionTarget", "status": "True"]]]]
    ]

    /// What the next attempt's Jobs start again; nil: all pods.
    static func scope(_ observation: TrainingJobObservation) -> TrainingJob.FailurePolicy.RestartScope? {
        guard observation.spec.failurePolicy?.restartScope == .failedNodes, let spec = observation.runSpec,
            isPossible(spec)
        else { return nil }
        return .failedNodes
    }

    /// Whether ranks may come and go: torchrun's agents meet again, and with Plain the code says how. JAX, MPI, the
    /// built-in trainer and the hosts of a TPU slice end together.
    static func isPossible(_ spec: RunSpec) -> Bool {
        guard !spec.isBuiltInTrainer, spec.shape.slice == nil, spec.shape.nodeCount > 1 else { return false }
        return switch spec.rendezvous {
        case .plain, .torch: true
        case .jax, .mpi: false
        }
    }

    /// For rule `recovering`: pods of an attempt failed and are replaced one by one; nil where none did, or all must start
    /// again.
    static func recover(
        _ attempt: TrainingJob.Attempt, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> Decision? {
        guard attempt.restartsPods, let spec = observation.runSpec else { return nil }
        let jobs = observation.attemptJobs(run, attempt)
        guard !jobs.contains(where: \.isEnding) else { return nil }
        let failed = observation.pods(of: jobs).filter { $0.status?.phase == "Failed" }
        let counted = Set(attempt.restartedPods ?? [])
        let fresh = failed.filter { !counted.contains($0.metadata.name) }
        guard !fresh.isEmpty else { return nil }
        let failure = TrainingJobEvidence.podFailure(jobs, fresh, attempt, observation)
        let policy = observation.spec.failurePolicy ?? .standard
        let action = policy.action(for: failure)
        let counts = failure.counts && action != .restartIgnoringLimit
        let isOverLimit = counts && (observation.status.restartsCountTowardsMax ?? 0) >= policy.maxRestarts
        let takesAllAlong = spec.rendezvous == .torch && fresh.contains(where: isFirst)
        guard action == .restart || action == .restartIgnoringLimit, !isOverLimit, !takesAllAlong,
            failed.count <= podLimit
        else { return TrainingJobFailurePolicy.record(failure, observation) }
        var status = observation.status
        status.lastFailure = TrainingJobFailureReport.report(failure, attempt, observation)
        status.restarts = (status.restarts ?? 0) + 1
        status.restartsCountTowardsMax = (status.restartsCountTowardsMax ?? 0) + (counts ? 1 : 0)
        status.attempts[status.attempts.count - 1].restartedPods = failed.map(\.metadata.name)
        let names = fresh.map(\.metadata.name).prefix(3).joined(separator: ", ")
        return .record(
            status, .training("\(failure.message); \(names) is started again, the other pods go on"))
    }

    /// torchrun's store lives in the first pod.
    private static func isFirst(_ pod: Pod) -> Bool {
        let key = "batch.kubernetes.io/job-completion-index"
        return (pod.metadata.annotations?[key] ?? pod.metadata.labels?[key]) == "0"
    }

    /// A pod waits for its place for too long: its machine was taken away and no other has come, or it does not fit.
    static func startFailure(
        _ jobs: [Job], _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        let pods = observation.pods(of: jobs)
        let waiting = pods.filter { ($0.status?.phase ?? "Pending") == "Pending" && !TrainingJobStart.isFetching($0) }
        let isFirstStart = pods.count == waiting.count
        guard !isFirstStart else { return TrainingJobStart.failure(jobs, attempt, observation) }
        let grace = NodeSelection.startGrace(observation.runSpec, observation)
        let since = waiting.compactMap { $0.metadata.creationTimestamp ?? attempt.startTime }.min()
        guard let since, observation.now - since > grace, let run = observation.status.run else { return nil }
        let why = TrainingJobStart.problem(jobs, observation).map { ": \($0)" } ?? ""
        let name = observation.poolName(of: attempt, run, slice: 0) ?? ""
        let readyCount = observation.nodes(of: name).count(where: \.isReady)
        let wanted = TrainingJobStart.wantedCount(jobs, observation)
        if let spec = observation.runSpec, NodeSelection.policy(spec) == .createPerRun, readyCount < wanted {
            let reason = TrainingJobEvidence.lossReason(attempt, observation.pool(name), observation)
            return AttemptFailure(
                reason: reason ?? .nodeUnhealthy,
                message: "no machine came within \(grace.components.seconds) s in place of a lost one\(why)",
                component: "Node")
        }
        return AttemptFailure(
            reason: .podsNotStarted,
            message: "\(waiting.count) of \(wanted) pods did not start within \(grace.components.seconds) s\(why)",
            component: "Pod")
    }
}

extension TrainingJob.Attempt {
    /// Whether pods that fail are started again one by one.
    var restartsPods: Bool { restartScope == TrainingJob.FailurePolicy.RestartScope.failedNodes.rawValue }
}
