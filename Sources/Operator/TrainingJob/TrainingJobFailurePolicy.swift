import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import TrainingContract

/// Why an attempt ended without success, and what follows from it.
struct AttemptFailure: Sendable, Hashable {
    var reason: Reason
    var message: String
    var exitCode: Int?
    var node: String?
    /// Another try cannot help.
    var isFinal = false

    /// Whether it counts towards `maxRestarts`: a machine that was taken away does not.
    var counts: Bool { !reason.losesMachines }
}

/// What happens when pods fail.
enum TrainingJobFailurePolicy {
    typealias Decision = TrainingJobDecision

    /// Rule `recovering`: an attempt failed, or the pods of one that ended are still there.
    static func recover(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun else { return nil }
        guard let attempt = observation.activeAttempt else { return cleanUp(observation) }
        guard let failure = failure(of: attempt, run, observation) else { return nil }
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
    private static func record(_ failure: AttemptFailure, _ observation: TrainingJobObservation) -> Decision {
        var status = observation.status
        TrainingJobRun.endAttempt(
            &status, failure.reason, observation, exitCode: failure.exitCode, node: failure.node)
        status.lastFailure = TrainingJob.Failure(
            class: failure.reason.failureClass?.rawValue, component: "Trainer", reason: failure.reason.rawValue,
            message: Conditions.cut(failure.message), exitCode: failure.exitCode, node: failure.node,
            zone: status.attempts.last?.zone, hint: failure.reason.hint, time: observation.moment)
        let limit = (observation.spec.failurePolicy ?? .standard).maxRestarts
        let counted = status.restartsCountTowardsMax ?? 0
        if failure.isFinal {
            TrainingJobRun.end(&status, .failed, failure.reason, observation, message: failure.message)
            return .record(status, .releasing(failure.message))
        }
        if failure.counts, counted >= limit {
            let message = "failed \(counted + 1) times, maxRestarts is \(limit); the last time: \(failure.message)"
            TrainingJobRun.end(&status, .failed, .restartLimitExceeded, observation, message: message)
            return .record(status, .releasing(message))
        }
        status.restarts = (status.restarts ?? 0) + 1
        status.restartsCountTowardsMax = counted + (failure.counts ? 1 : 0)
        if failure.reason.losesMachines {
            status.capacity?.current = nil
            status.capacity?.zone = nil
        }
        return .record(status, .recovering(failure.reason, failure.message))
    }

    // MARK: Evidence

    /// Why the attempt cannot go on; nil while it can.
    static func failure(
        of attempt: TrainingJob.Attempt, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        let job = observation.attemptJob(run, attempt)
        if let job, job.isComplete { return nil }
        if let job, job.isFailed { return podFailure(job, attempt, observation) }
        if let lost = lostMachines(attempt, observation) { return lost }
        return job.flatMap { imageFailure($0, attempt, observation) ?? startFailure($0, attempt, observation) }
    }

    /// The node pool is gone, or going, under the pods; or nodes are, and no pod is left to tell.
    private static func lostMachines(
        _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        guard let run = observation.status.run, let spec = observation.runSpec,
            NodeSelection.policy(spec) == .createPerRun, let candidate = attempt.candidate, let zone = attempt.zone,
            let start = attempt.startTime
        else { return nil }
        let name = NodeSelection.pools(candidate: candidate, zone: zone, sliceCount: 1, run, observation)[0]
        let pool = observation.pool(name)
        let nodeCount = observation.nodes(of: name).count
        let isRunning = observation.pods.contains { $0.status?.phase == "Running" }
        let isGone = pool == nil || pool?.status == .stopping
        // Nodes come from a watch that may lag: they are believed only after a while.
        let isEmpty = nodeCount < spec.shape.nodeCount && !isRunning && observation.now - start > .seconds(60)
        guard isGone || isEmpty else { return nil }
        let isSpot = pool?.config?.spot == true || candidateIsSpot(candidate, observation)
        return AttemptFailure(
            reason: isSpot ? .preempted : .nodeUnhealthy,
            message: "\(nodeCount) of \(spec.shape.nodeCount) nodes of \(name) are left")
    }

    private static func candidateIsSpot(_ name: String, _ observation: TrainingJobObservation) -> Bool {
        observation.spec.capacity?.candidates.first { $0.name == name }?.provisioningModel == .spot
    }

    /// Why the Job failed: the first pod that tells, else the Job's own condition, which stays when the pods are gone.
    private static func podFailure(
        _ job: Job, _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure {
        let pods = observation.pods(of: job)
        if let pod = pods.first(where: isDisrupted) {
            return AttemptFailure(
                reason: .preempted, message: "node \(pod.spec?.nodeName ?? "") was taken away", node: pod.spec?.nodeName
            )
        }
        let failures = pods.compactMap { pod in terminated(pod).map { (pod: pod, state: $0) } }
        // The first that ended is the cause; the others follow.
        let first = failures.filter { $0.state.exitCode != 0 }
            .min { ($0.state.finishedAt ?? .distantPast) < ($1.state.finishedAt ?? .distantPast) }
        if let first { return containerFailure(first.pod, first.state) }
        let condition = job.status?.conditions?.first {
            ($0.type == "Failed" || $0.type == "FailureTarget") && $0.status == .true
        }
        let text = condition?.message ?? "no message"
        if text.contains("DisruptionTarget") {
            return AttemptFailure(reason: .preempted, message: text)
        }
        if let code = exitCode(in: text) { return classify(code, message: text, node: nil) }
        return AttemptFailure(reason: .nodeUnhealthy, message: "the pods are gone: \(text)")
    }

    /// GKE evicts by DisruptionTarget; on a node that shuts down, the kubelet says `Terminated` or `NodeShutdown`.
    private static func isDisrupted(_ pod: Pod) -> Bool {
        pod.isTrue("DisruptionTarget") || pod.status?.reason == "Terminated" || pod.status?.reason == "NodeShutdown"
            || pod.status?.reason == "NodeLost"
    }

    private static func terminated(_ pod: Pod) -> ContainerState.Terminated? {
        pod.status?.containerStatuses?.first { $0.name == TrainingJobPods.container }?.state?.terminated
    }

    private static func containerFailure(_ pod: Pod, _ state: ContainerState.Terminated) -> AttemptFailure {
        let name = pod.metadata.name
        let code = Int(state.exitCode)
        if state.reason == "OOMKilled" {
            return AttemptFailure(
                reason: .oomKilled, message: "pod \(name) used more memory than it may",
                exitCode: min(max(code, 0), 255),
                node: pod.spec?.nodeName)
        }
        let words = state.message.flatMap(lastWords).map { ": \($0)" } ?? ""
        return classify(code, message: "pod \(name) exited with \(code)\(words)", node: pod.spec?.nodeName)
    }

    /// The last line of a log's tail; of a JSON log line only its sentence.
    static func lastWords(_ log: String) -> String? {
        let lines = log.split(whereSeparator: \.isNewline).map(String.init)
        guard let line = lines.last(where: { !$0.allSatisfy(\.isWhitespace) }) else { return nil }
        // A line that is no JSON is a sentence already.
        if let json = try? JSONValue(parsing: line),
            let sentence = json["error.message"]?.stringValue ?? json["message"]?.stringValue
        {
            return Conditions.cut(sentence, to: 400)
        }
        return Conditions.cut(line, to: 400)
    }

    private static func classify(_ code: Int, message: String, node: String?) -> AttemptFailure {
        let known = TrainerExitCode(rawValue: Int32(truncatingIfNeeded: code))
        if known == .stoppedAfterCheckpoint {
            return AttemptFailure(
                reason: .preempted, message: "stopped by a signal after a checkpoint", exitCode: code, node: node)
        }
        return AttemptFailure(
            reason: .containerFailed, message: message, exitCode: min(max(code, 0), 255), node: node,
            isFinal: known.map(isFinal) ?? false)
    }

    /// Codes after which another try cannot help.
    private static func isFinal(_ code: TrainerExitCode) -> Bool {
        switch code {
        case .usage, .badData, .missingInput, .unsupportedMachine: true
        case .success, .storageUnavailable, .software, .localStorage, .stoppedAfterCheckpoint, .diverged: false
        }
    }

    /// The number in the Job controller's "… failed with exit code 42 matching FailJob rule …".
    private static func exitCode(in text: String) -> Int? {
        guard let range = text.firstRange(of: "exit code ") else { return nil }
        return Int(text[range.upperBound...].prefix { $0.isNumber })
    }

    private static let imageReasons: Set<String> = [
        "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    ]

    /// An image that cannot be pulled for a while never will be, and the machines cost money meanwhile.
    private static func imageFailure(
        _ job: Job, _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        guard let waiting = imageProblem(job, observation), let start = podsStart(job, attempt),
            waiting.reason == "InvalidImageName" || observation.now - start > observation.configuration.imagePullGrace
        else { return nil }
        return AttemptFailure(
            reason: .imagePullFailed, message: waiting.message ?? "image cannot be pulled", isFinal: true)
    }

    /// When the pods could start: between the attempt's record and its Job the operator may have been down for long.
    private static func podsStart(_ job: Job, _ attempt: TrainingJob.Attempt) -> Timestamp? {
        attempt.startTime.map { max($0, job.metadata.creationTimestamp ?? $0) }
    }

    /// Machines cost money whether pods start on them or not: what did not start for long never will.
    private static func startFailure(
        _ job: Job, _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        let grace = NodeSelection.startGrace(observation.runSpec, observation)
        guard let start = podsStart(job, attempt), observation.now - start > grace else { return nil }
        let startedCount = observation.pods(of: job).count { ($0.status?.phase ?? "Pending") != "Pending" }
        let wanted = job.spec?.completions ?? 1
        guard startedCount < wanted else { return nil }
        let why = startProblem(job, observation).map { ": \($0)" } ?? ""
        return AttemptFailure(
            reason: .podsNotStarted,
            message: "\(startedCount) of \(wanted) pods started within \(grace.components.seconds) s\(why)",
            isFinal: true)
    }

    /// Why a pod does not start, in the scheduler's or the kubelet's words; nil where none says so.
    static func startProblem(_ job: Job, _ observation: TrainingJobObservation) -> String? {
        observation.pods(of: job).lazy.compactMap { pod -> String? in
            guard (pod.status?.phase ?? "Pending") == "Pending" else { return nil }
            let unscheduled = pod.status?.conditions?.first { $0.type == "PodScheduled" && $0.status == .false }
            if let message = unscheduled?.message { return message }
            let waiting = pod.status?.containerStatuses?.compactMap(\.state?.waiting).first
            guard let reason = waiting?.reason, reason != "ContainerCreating" else { return nil }
            return waiting?.message.map { "\(reason): \($0)" } ?? reason
        }.first
    }

    /// What the kubelet says about an image that it cannot pull.
    static func imageProblem(_ job: Job, _ observation: TrainingJobObservation) -> ContainerState.Waiting? {
        observation.pods(of: job).lazy.compactMap { pod in
            pod.status?.containerStatuses?.compactMap(\.state?.waiting).first {
                imageReasons.contains($0.reason ?? "")
            }
        }.first
    }
}
