import ControllerRuntime
import Encoding
import Kubernetes

/// Stopping pods: their Job is deleted and Kubernetes does the rest; where it does not, the pods are deleted one by one.
enum TrainingJobPodEnd {
    typealias Step = TrainingJobDecision.Step

    /// How long whoever should delete a pod (the garbage collector, the Job controller) is waited for.
    private static let collectorGrace: Duration = .seconds(60)
    /// Beyond the pods' own grace period: how long a release waits for pods.
    private static let margin: Duration = .seconds(600)

    /// Deletes Jobs whose pods still run, and pods that nobody else stops; waits for the pods, at most their grace period
    /// and a minute after their deletion: a kubelet that is gone does not hold machines up that cost money.
    ///
    /// - Parameter kept: the Jobs whose pods go on.
    static func stop(_ observation: TrainingJobObservation, except kept: [Job] = []) -> TrainingJobRelease.Progress {
        let keptNames = Set(kept.map(\.metadata.name))
        let running = observation.jobs.filter { !$0.isEnding && !keptNames.contains($0.metadata.name) }
        let pods = left(observation, except: kept)
        let steps: [Step] =
            running.filter { !$0.metadata.isDeleting }.map { .delete(ObjectReference($0)) }
            + pods.compactMap { step(for: $0, observation) }
        return TrainingJobRelease.Progress(
            status: observation.status, steps: steps,
            isDone: steps.isEmpty && pods.allSatisfy { isOverdue($0, observation) })
    }

    /// Pods of ours that have not ended, but those of some Jobs.
    private static func left(_ observation: TrainingJobObservation, except kept: [Job]) -> [Pod] {
        let keptNames = Set(observation.pods(of: kept).map(\.metadata.name))
        return observation.pods.filter { !$0.isTerminal && !keptNames.contains($0.metadata.name) }
    }

    /// What must be done about a pod; nil while somebody else is at it.
    private static func step(for pod: Pod, _ observation: TrainingJobObservation) -> Step? {
        guard let deletion = pod.metadata.deletionTimestamp else {
            return isAbandoned(pod, observation) ? .delete(ObjectReference(pod)) : nil
        }
        // `deletion` is when the grace period ends. A kubelet would have removed it; without its node none is left.
        guard observation.now > deletion, let node = pod.spec?.nodeName,
            // Nodes that we did not make are not watched: whether they are there is not known.
            observation.runSpec.map(NodeSelection.policy) ?? .createPerRun == .createPerRun,
            !observation.nodes.contains(where: { $0.metadata.name == node })
        else { return nil }
        return .deleteAtOnce(ObjectReference(pod))
    }

    /// Whether no Job and no garbage collector will stop the pod: it lost its owner (`kubectl delete --cascade=orphan`),
    /// or they had their time.
    private static func isAbandoned(_ pod: Pod, _ observation: TrainingJobObservation) -> Bool {
        guard let owner = pod.metadata.ownerReferences?.first(where: { $0.kind == "Job" }) else { return true }
        if observation.jobs.contains(where: { $0.metadata.uid == owner.uid && !$0.isEnding }) { return false }
        return waited(observation).map { $0 > collectorGrace } ?? false
    }

    private static func isOverdue(_ pod: Pod, _ observation: TrainingJobObservation) -> Bool {
        guard let deletion = pod.metadata.deletionTimestamp else { return false }
        return observation.now - deletion > grace(observation) + .seconds(60)
    }

    /// How long a release waits for pods before it deletes the pools all the same.
    static func patience(_ observation: TrainingJobObservation) -> Duration { grace(observation) + margin }

    /// The time since the pods should stop; nil while they should not.
    static func waited(_ observation: TrainingJobObservation) -> Duration? {
        let status = observation.status
        let attemptEnd = status.attempts.last?.endTime
        let since = status.run?.completionTime ?? attemptEnd ?? observation.job.metadata.deletionTimestamp
        return since.map { observation.now - $0 }
    }

    private static func grace(_ observation: TrainingJobObservation) -> Duration {
        .seconds(observation.runSpec?.gracePeriodSeconds ?? 600)
    }
}
