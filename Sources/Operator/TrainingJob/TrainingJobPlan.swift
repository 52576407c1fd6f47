import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// The controller's table of contents: the first rule that answers decides.
///
/// The order is part of the safety. Deletion comes first; a run that has a result never buys machines again; an end is
/// not hidden by a leak, nor a leak by an end; every rule that stops a run also releases its compute.
enum TrainingJobPlan {
    typealias Observation = TrainingJobObservation
    typealias Decision = TrainingJobDecision

    /// How often an object looks whether somebody has acted, where no watch tells.
    static let slowRecheck: Duration = .seconds(60)

    static let rules = RuleChain<Observation, Decision>(
        [
            .init("deleting", TrainingJobRelease.deleting),
            .init("planning", TrainingJobPlanMode.decide),
            .init("returningQuota", TrainingJobQueue.finishing),
            .init("markingCompletion", TrainingJobMarker.beforeNextRun),
            .init("finishedAndReleased", TrainingJobRun.finished),
            .init("keepingIdle", TrainingJobIdle.keep),
            .init("retaining", TrainingJobRetention.keep),
            .init("releasingCompute", TrainingJobRelease.releasing),
            .init("recordingSuccess", TrainingJobOutputs.recordSuccess),
            .init("restoringRevision", TrainingJobRun.restoringRevision),
            .init("verifyingOutputs", TrainingJobOutputs.verify),
            .init("cancelled", TrainingJobRun.cancelled),
            .init("overTime", TrainingJobRun.overTime),
            .init("overBudget", TrainingJobBudget.over),
            .init("invalidSpec", TrainingJobInputs.invalid),
            .init("leavingQueue", TrainingJobQueue.leaving),
            .init("suspended", TrainingJobRelease.suspended),
            .init("recordingRun", TrainingJobRun.recording),
            .init("alreadyComplete", TrainingJobMarker.find),
            .init("waitingForInputs", TrainingJobInputs.waiting),
            .init("preflight", TrainingJobPreflight.check),
            .init("waitingForQueue", TrainingJobQueue.waiting),
            .init("recovering", TrainingJobFailurePolicy.recover),
            .init("pendingTooLong", TrainingJobCapacity.pendingTooLong),
            .init("seekingCapacity", TrainingJobCapacity.seek),
        ], otherwise: TrainingJobRunning.run)

    /// Decides, and derives the rest of the status from the decision.
    static func plan(_ observation: Observation) -> Plan<TrainingJob.Status, TrainingJobAction> {
        var decision = rules.decide(observation)
        TrainingJobMarker.write(&decision, observation)
        TrainingJobPartialOutputs.record(&decision, observation)
        var status = decision.status
        TrainingJobRelease.adopt(observation, &status)
        status.observedGeneration = observation.job.metadata.generation ?? 0
        status.state = decision.situation.displayState(result: status.run?.result)
        if let run = status.run { status.pendingRun = TrainingJobRun.pending(run, observation) }
        describeResources(&status, observation)
        describeCapacity(&status, observation)
        status.conditions = TrainingJobConditions.conditions(
            for: decision.situation, status: status, generation: status.observedGeneration, now: observation.moment)
        if let budget = TrainingJobBudget.condition(status, observation) {
            status.conditions = (status.conditions + [budget]).sorted { $0.type < $1.type }
        }
        status = withProgress(status, observation)
        return Plan(
            steps: decision.steps, status: status,
            events: TrainingJobEvents.events(from: observation.status, to: status), next: decision.next)
    }

    /// The ledger's states in Google's words.
    private static func describeResources(_ status: inout TrainingJob.Status, _ observation: Observation) {
        for index in status.resources.indices {
            let state = PoolState(status.resources[index].name, observation)
            if let pool = state.pool, observation.isOurs(pool), let word = pool.status {
                status.resources[index].state = word.rawValue
            }
            status.resources[index].operation = state.operationName
        }
    }

    private static func describeCapacity(_ status: inout TrainingJob.Status, _ observation: Observation) {
        guard status.run != nil, var capacity = status.capacity else { return }
        let failedCount = capacity.attempts.filter { $0.result != Reason.acquired.rawValue }.reduce(0) { $0 + $1.count }
        let tried = failedCount > 0 ? " (\(failedCount) failed)" : ""
        capacity.summary =
            if let name = capacity.current, let zone = capacity.zone {
                Conditions.cut("\(name) \(zone)\(tried)", to: 128)
            } else if let name = capacity.current {
                name
            } else {
                failedCount > 0 ? "none\(tried)" : nil
            }
        status.capacity = capacity
        let pools = TrainingJobCapacity.currentPools(status, observation)
        let podNodes = Set(observation.pods.filter { !$0.isTerminal }.compactMap { $0.spec?.nodeName })
        // Of nodes that we did not make, those that pods run on are all that is known.
        let readyCount =
            capacity.current != nil && pools.isEmpty
            ? podNodes.count : pools.reduce(0) { $0 + observation.nodes(of: $1).count(where: \.isReady) }
        // After the end nobody reads the run's spec any more.
        let desired = observation.runSpec?.shape.nodeCount ?? observation.status.nodes?.desired ?? 1
        status.nodes = TrainingJob.Nodes(desired: desired, ready: readyCount)
    }

    /// Progress and cost alone are written at most once in `progressInterval`; with any other change they are fresh.
    private static func withProgress(_ status: TrainingJob.Status, _ observation: Observation) -> TrainingJob.Status {
        var fresh = status
        if observation.status.run?.result == nil { TrainingJobProgress.update(&fresh, observation) }
        TrainingJobCost.update(&fresh, observation)
        var frozen = status
        frozen.trainerStatus = observation.status.trainerStatus
        frozen.checkpoint = observation.status.checkpoint
        frozen.cost = observation.status.cost
        guard let written = observation.status.cost?.updateTime,
            (.zero..<observation.configuration.progressInterval).contains(observation.now - written),
            isSame(frozen, observation.status)
        else { return fresh }
        return frozen
    }

    /// Equal but for the times in conditions, which the runtime keeps where nothing changed.
    private static func isSame(_ left: TrainingJob.Status, _ right: TrainingJob.Status) -> Bool {
        func timeless(_ status: TrainingJob.Status) -> TrainingJob.Status {
            var status = status
            for index in status.conditions.indices { status.conditions[index].lastTransitionTime = .distantPast }
            status.conditions.sort { $0.type < $1.type }
            return status
        }
        return timeless(left) == timeless(right)
    }
}
