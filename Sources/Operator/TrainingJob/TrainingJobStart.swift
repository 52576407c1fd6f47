import ControllerRuntime
import Encoding
import Kubernetes

/// The gang start: all pods of an attempt, or none.
enum TrainingJobStart {
    /// How many of an attempt's pods are on their way: they run, ran, or fetch their inputs.
    static func startedCount(_ jobs: [Job], _ observation: TrainingJobObservation) -> Int {
        observation.pods(of: jobs).count { pod in
            (pod.status?.phase ?? "Pending") != "Pending" || isFetching(pod)
        }
    }

    /// Pods that an attempt has when all are there.
    static func wantedCount(_ jobs: [Job], _ observation: TrainingJobObservation) -> Int {
        observation.runSpec?.shape.nodeCount ?? jobs.reduce(0) { $0 + ($1.spec?.completions ?? 1) }
    }

    /// Inputs may be large: while one is fetched the pod is at work, and its phase Pending.
    static func isFetching(_ pod: Pod) -> Bool {
        pod.status?.initContainerStatuses?.contains { $0.state?.running != nil || $0.state?.terminated != nil } ?? false
    }

    /// When the pods could start: between the attempt's record and its Jobs the operator may have been down for long.
    static func podsStart(_ jobs: [Job], _ attempt: TrainingJob.Attempt) -> Timestamp? {
        jobs.compactMap(\.metadata.creationTimestamp).reduce(attempt.startTime) { latest, time in
            latest.map { max($0, time) }
        }
    }

    /// Machines cost money whether pods start on them or not. Where none started for long, none ever will; where some
    /// did, those wait for the others in vain, and the attempt is made once more.
    static func failure(
        _ jobs: [Job], _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        let grace = NodeSelection.startGrace(observation.runSpec, observation)
        guard let start = podsStart(jobs, attempt), observation.now - start > grace else { return nil }
        let started = startedCount(jobs, observation)
        let wanted = wantedCount(jobs, observation)
        guard started < wanted else { return nil }
        let why = problem(jobs, observation).map { ": \($0)" } ?? ""
        return AttemptFailure(
            reason: .podsNotStarted,
            message: "\(started) of \(wanted) pods started within \(grace.components.seconds) s\(why)",
            component: "Pod", isFinal: started == 0)
    }

    /// Why a pod does not start, in the scheduler's or the kubelet's words; nil where none says so.
    static func problem(_ jobs: [Job], _ observation: TrainingJobObservation) -> String? {
        observation.pods(of: jobs).lazy.compactMap { pod -> String? in
            guard (pod.status?.phase ?? "Pending") == "Pending" else { return nil }
            let unscheduled = pod.status?.conditions?.first { $0.type == "PodScheduled" && $0.status == .false }
            if let message = unscheduled?.message { return message }
            let waiting = containers(of: pod).compactMap(\.state?.waiting).first {
                $0.reason != nil && $0.reason != "ContainerCreating" && $0.reason != "PodInitializing"
            }
            guard let reason = waiting?.reason else { return nil }
            return waiting?.message.map { "\(reason): \($0)" } ?? reason
        }.first
    }

    private static func containers(of pod: Pod) -> [ContainerStatus] {
        (pod.status?.initContainerStatuses ?? []) + (pod.status?.containerStatuses ?? [])
    }

    // MARK: Images

    private static let imageReasons: Set<String> = [
        "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    ]

    /// An image that cannot be pulled for a while never will be, and the machines cost money meanwhile.
    static func imageFailure(
        _ jobs: [Job], _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        guard let waiting = imageProblem(jobs, observation), let start = podsStart(jobs, attempt),
            waiting.reason == "InvalidImageName" || observation.now - start > observation.configuration.imagePullGrace
        else { return nil }
        return AttemptFailure(
            reason: .imagePullFailed, message: waiting.message ?? "image cannot be pulled", component: "Image",
            isFinal: true)
    }

    /// What the kubelet says about an image that it cannot pull.
    static func imageProblem(_ jobs: [Job], _ observation: TrainingJobObservation) -> ContainerState.Waiting? {
        observation.pods(of: jobs).lazy.compactMap { pod in
            containers(of: pod).compactMap(\.state?.waiting).first { imageReasons.contains($0.reason ?? "") }
        }.first
    }
}
