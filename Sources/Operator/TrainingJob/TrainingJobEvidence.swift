import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import TrainingContract

/// Why an attempt cannot go on: read from Jobs, pods, nodes and node pools.
enum TrainingJobEvidence {
    /// nil while the attempt can go on.
    static func failure(
        of attempt: TrainingJob.Attempt, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        let jobs = observation.attemptJobs(run, attempt)
        if !jobs.isEmpty, jobs.count == observation.sliceCount, jobs.allSatisfy(\.isComplete) { return nil }
        let failed = jobs.filter(\.isFailed)
        if !failed.isEmpty { return podFailure(failed, observation.pods(of: jobs), attempt, observation) }
        if let lost = lostMachines(attempt, observation) { return lost }
        guard !jobs.isEmpty else { return nil }
        let notStarted =
            attempt.restartsPods
            ? TrainingJobPodRestart.startFailure(jobs, attempt, observation)
            : TrainingJobStart.failure(jobs, attempt, observation)
        return TrainingJobStart.imageFailure(jobs, attempt, observation) ?? notStarted
            ?? TrainingJobStall.failure(jobs, observation)
    }

    // MARK: Machines

    /// A node pool is gone, or going, under the pods; or nodes are, and no pod is left to tell.
    private static func lostMachines(
        _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        guard let run = observation.status.run, let spec = observation.runSpec, let start = attempt.startTime,
            NodeSelection.policy(spec) == .createPerRun
        else { return nil }
        let shape = spec.shape
        let names = (0..<shape.sliceCount).compactMap { observation.poolName(of: attempt, run, slice: $0) }
        let isRunning = observation.pods.contains { $0.status?.phase == "Running" }
        for name in names {
            let pool = observation.pool(name)
            let nodeCount = observation.nodes(of: name).count
            let isGone = pool == nil || pool?.status == .stopping
            // Nodes come from a watch that may lag: they are believed only after a while.
            let isEmpty = nodeCount < shape.nodesPerSlice && !isRunning && observation.now - start > .seconds(60)
            guard isGone || isEmpty else { continue }
            return AttemptFailure(
                reason: lossReason(attempt, pool, observation) ?? .nodeUnhealthy,
                message: "\(nodeCount) of \(shape.nodesPerSlice) nodes of \(name) are left", component: "Node")
        }
        return nil
    }

    /// Why Compute Engine takes machines away: spot capacity is reclaimed, a time limit ends; nil where neither explains it.
    static func lossReason(
        _ attempt: TrainingJob.Attempt, _ pool: NodePool?, _ observation: TrainingJobObservation
    ) -> Reason? {
        if let limit = pool?.config?.maxRunDuration.flatMap({ Int($0.prefix { $0.isNumber }) }),
            let start = attempt.startTime, observation.now - start >= .seconds(limit)
        {
            return .maxRunDurationReached
        }
        let isSpot =
            pool?.config?.spot == true
            || observation.spec.capacity?.candidates.first { $0.name == attempt.candidate }?.provisioningModel == .spot
        return isSpot ? .preempted : nil
    }

    // MARK: Pods

    /// Why Jobs failed: the first pod of any slice that tells, else a Job's own condition, which stays when the pods are
    /// gone.
    static func podFailure(
        _ jobs: [Job], _ pods: [Pod], _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure {
        if let pod = pods.first(where: isDisrupted) { return disruption(of: pod, attempt, observation) }
        let ends = pods.compactMap { pod in end(of: pod).map { (pod: pod, end: $0) } }
        // The first that ended is the cause; the others follow. Who lost its peers is none, whenever it ended.
        let first = ends.min { left, right in
            if left.end.hasLostPeers != right.end.hasLostPeers { return right.end.hasLostPeers }
            return (left.end.state.finishedAt ?? .distantPast) < (right.end.state.finishedAt ?? .distantPast)
        }
        if let first {
            let node = first.end.hasLostPeers ? unreadyNode(attempt, observation) : nil
            return node ?? containerFailure(first.pod, first.end)
        }
        let condition = jobs.lazy.compactMap { job in
            job.status?.conditions?.first { ($0.type == "Failed" || $0.type == "FailureTarget") && $0.status == .true }
        }.first
        let text = condition?.message ?? "no message"
        if text.contains("DisruptionTarget") {
            let pool = poolName(attempt, observation).flatMap(observation.pool)
            return AttemptFailure(
                reason: lossReason(attempt, pool, observation) ?? .nodeUnhealthy, message: text, component: "Node")
        }
        if let code = exitCode(in: text) {
            return classify(code, AttemptFailure(reason: .containerFailed, message: text))
        }
        return AttemptFailure(reason: .nodeUnhealthy, message: "the pods are gone: \(text)", component: "Node")
    }

    /// A node of the attempt that is going, whose pod has not told yet.
    private static func unreadyNode(
        _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure? {
        guard let node = observation.nodes.first(where: { !$0.isReady }) else { return nil }
        let pool = node.metadata.labels?["cloud.google.com/gke-nodepool"].flatMap(observation.pool)
        return AttemptFailure(
            reason: lossReason(attempt, pool, observation) ?? .nodeUnhealthy,
            message: "node \(node.metadata.name) went away, and the other pods lost their peer", component: "Node",
            node: node.metadata.name)
    }

    private static func poolName(
        _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> String? {
        observation.status.run.flatMap { observation.poolName(of: attempt, $0, slice: 0) }
    }

    /// GKE evicts by DisruptionTarget; on a node that shuts down, the kubelet says `Terminated` or `NodeShutdown`.
    private static func isDisrupted(_ pod: Pod) -> Bool {
        pod.isTrue("DisruptionTarget") || pod.status?.reason == "Terminated" || pod.status?.reason == "NodeShutdown"
            || pod.status?.reason == "NodeLost"
    }

    /// What took the pod's place away.
    private static func disruption(
        of pod: Pod, _ attempt: TrainingJob.Attempt, _ observation: TrainingJobObservation
    ) -> AttemptFailure {
        let node = pod.spec?.nodeName
        var failure = AttemptFailure(
            reason: .preempted, message: "node \(node ?? "") was taken away", component: "Node", node: node,
            pod: pod.metadata.name)
        let condition = pod.status?.conditions?.first { $0.type == "DisruptionTarget" && $0.status == .true }
        if pod.status?.reason == "Evicted", condition?.reason == "TerminationByKubelet" {
            let text = pod.status?.message ?? condition?.message ?? "the node is short of something"
            failure.reason = text.contains("memory") ? .oomKilled : .containerFailed
            failure.component = "Trainer"
            failure.message = "pod \(pod.metadata.name) was evicted: \(text)"
            return failure
        }
        let pool = observation.nodes.first { $0.metadata.name == node }?.metadata.labels?[
            "cloud.google.com/gke-nodepool"]
        let reason = lossReason(
            attempt, (pool ?? poolName(attempt, observation)).flatMap(observation.pool), observation)
        switch condition?.reason {
        case "DeletionByTaintManager", "DeletionByPodGC":
            failure.reason = reason ?? .nodeUnhealthy
            if failure.reason == .nodeUnhealthy { failure.message = "node \(node ?? "") does not answer any more" }
        case "PreemptionByScheduler":
            failure.message = "pod \(pod.metadata.name) made room for one of higher priority"
        case "EvictionByEvictionAPI":
            failure.message = "pod \(pod.metadata.name) was evicted from node \(node ?? "")"
        default:
            failure.reason = reason ?? .hostMaintenance
            if failure.reason == .hostMaintenance { failure.message = "node \(node ?? "") went into host maintenance" }
        }
        return failure
    }

    // MARK: Containers

    private struct End {
        var container: String
        var state: ContainerState.Terminated

        /// It ended because another one did.
        var hasLostPeers: Bool { state.exitCode == TrainerExitCode.peerLost.rawValue }
    }

    /// The container of a pod that failed: one that fetches an input, the self-test, or the trainer's.
    private static func end(of pod: Pod) -> End? {
        let before = (pod.status?.initContainerStatuses ?? []).filter {
            $0.name.hasPrefix(TrainingJobVolumes.downloadContainerPrefix) || $0.name == TrainingJobSelfTest.container
        }
        let trainer = (pod.status?.containerStatuses ?? []).filter { $0.name == TrainingJobPods.container }
        return (before + trainer).lazy.compactMap { status in
            guard let state = status.state?.terminated, state.exitCode != 0 else { return nil }
            return End(container: status.name, state: state)
        }.first
    }

    private static func containerFailure(_ pod: Pod, _ end: End) -> AttemptFailure {
        let code = Int(end.state.exitCode)
        let isTrainer = end.container == TrainingJobPods.container
        let name = isTrainer ? "pod \(pod.metadata.name)" : "\(end.container) of pod \(pod.metadata.name)"
        var failure = AttemptFailure(
            reason: .containerFailed, message: "", component: component(end),
            exitCode: min(max(code, 0), 255), signal: signal(end.state), node: pod.spec?.nodeName,
            pod: pod.metadata.name, container: end.container)
        if end.state.reason == "OOMKilled" {
            failure.reason = .oomKilled
            failure.message = "\(name) used more memory than it may"
            return failure
        }
        let words = end.state.message.flatMap(lastWords).map { ": \($0)" } ?? ""
        failure.message = "\(name) exited with \(code)\(words)"
        failure = classify(code, failure)
        if end.container == TrainingJobSelfTest.container, failure.reason == .containerFailed {
            failure.reason = .selfTestFailed
        }
        return failure
    }

    private static func component(_ end: End) -> String {
        switch end.container {
        case TrainingJobPods.container: "Trainer"
        case TrainingJobSelfTest.container: "SelfTest"
        default: "Download"
        }
    }

    /// As the kubelet says it, else as a shell's exit code does.
    private static func signal(_ state: ContainerState.Terminated) -> Int? {
        if let signal = state.signal, signal > 0 { return min(Int(signal), 64) }
        return (129...192).contains(state.exitCode) ? Int(state.exitCode) - 128 : nil
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

    /// Puts the trainer's exit code into words.
    private static func classify(_ code: Int, _ failure: AttemptFailure) -> AttemptFailure {
        var failure = failure
        let known = TrainerExitCode(rawValue: Int32(truncatingIfNeeded: code))
        failure.exitCode = min(max(code, 0), 255)
        if known == .stoppedAfterCheckpoint {
            failure.reason = .preempted
            failure.message = "stopped by a signal after a checkpoint"
        } else {
            failure.isFinal = known.map(isFinal) ?? false
        }
        return failure
    }

    /// Codes after which another try cannot help.
    private static func isFinal(_ code: TrainerExitCode) -> Bool {
        switch code {
        case .usage, .badData, .missingInput, .unsupportedMachine: true
        case .success, .storageUnavailable, .software, .localStorage, .stoppedAfterCheckpoint, .diverged, .peerLost:
            false
        }
    }

    /// The number in the Job controller's "… failed with exit code 42 matching FailJob rule …".
    private static func exitCode(in text: String) -> Int? {
        guard let range = text.firstRange(of: "exit code ") else { return nil }
        return Int(text[range.upperBound...].prefix { $0.isNumber })
    }
}

extension TrainingJobObservation {
    /// Slices of the current run, 1 while its spec is not known.
    var sliceCount: Int { runSpec?.shape.sliceCount ?? 1 }
}
