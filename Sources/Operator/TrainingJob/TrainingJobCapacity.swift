import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes

/// The search for machines: candidates in order, one option at a time.
///
/// `status.capacity.current` and `zone` name the option that is tried or in use; the intent for each of its pools is in
/// the ledger before the first create is sent; the pools of an option that failed are gone before the next is tried.
enum TrainingJobCapacity {
    typealias Decision = TrainingJobDecision

    /// Rule `seekingCapacity`: the run has no attempt with pods; get nodes for one.
    static func seek(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun, let spec = observation.recordedSpec, observation.activeAttempt == nil,
            observation.succeededAttempt == nil
        else { return nil }
        if NodeSelection.policy(spec) != .createPerRun { return useStandingNodes(spec, observation) }
        if let start = searchStarting(observation) { return start }
        // Without options (the spec was made invalid) nothing is kept; once nothing is held, `invalidSpec` says so.
        let choices = (try? TrainingJobNodePool.choices(for: run, spec, observation).get()) ?? CapacityOptions()
        var current = currentOption(choices.usable, observation.status)
        // Pools of an earlier run that are not what this one needs go like any other.
        if let kept = current, !TrainingJobIdle.fits(kept, run, observation) { current = nil }
        if let held = heldOption(choices.usable, observation) {
            return .record(
                chosen(held, run, observation, observation.status),
                .provisioning(.provisioning, "going on with \(describe(held))"))
        }
        var release = TrainingJobRelease.pools(observation, keeping: Set(current?.pools ?? []))
        guard release.isDone, !choices.usable.isEmpty else {
            let names = release.status.resources.map(\.name).filter { current?.pools.contains($0) != true }
            let message = "deleting node pool \(names.joined(separator: ", "))"
            return Decision(
                steps: release.steps, status: release.status,
                situation: release.blocked ?? .provisioning(lastReason(observation), message),
                next: .after(release.isDone ? .zero : observation.configuration.pollInterval))
        }
        if current == nil, release.status.capacity?.poolRun != nil {
            // The names of the next pools do not follow from those that an earlier run left.
            release.status.capacity?.current = nil
            release.status.capacity?.zone = nil
            release.status.capacity?.poolRun = nil
            return .record(release.status, .provisioning(lastReason(observation), "the kept node pool is gone"))
        }
        if let waiting = pause(observation, release.status, isHolding: current != nil) { return waiting }
        if let current { return hold(current, run, spec, observation, release.status) }
        // The candidate that was in use is no longer in the spec.
        release.status.capacity?.current = nil
        release.status.capacity?.zone = nil
        return choose(choices, run, observation, release.status)
    }

    /// Machines are not bought yet: too many were lost, or the last attempt has just failed.
    static func pause(
        _ observation: TrainingJobObservation, _ status: TrainingJob.Status, isHolding: Bool
    ) -> Decision? {
        if let budget = recreateBudgetEnd(observation), !isHolding {
            return Decision(
                status: status,
                situation: .actionRequired(
                    .recreateBudgetExceeded,
                    "machines were taken away \(budget.lostCount) times in a row as soon as they were there; the next try "
                        + "is at \(budget.end)"),
                next: .after(
                    min(max(.seconds(1), budget.end - observation.now), pendingTime(observation) ?? .seconds(3600)))
            )
        }
        return restartDelay(observation).map { delay in
            Decision(
                status: status, situation: .recovering(.recovering, "restarting from the last checkpoint"),
                next: .after(delay))
        }
    }

    /// A place whose machines are there although this run has not looked for any: its status was lost.
    private static func heldOption(
        _ options: [CapacityOption], _ observation: TrainingJobObservation
    ) -> CapacityOption? {
        guard observation.status.capacity?.current == nil, observation.status.capacity?.attemptCount == nil else {
            return nil
        }
        return options.first { option in
            option.pools.contains { name in
                guard let pool = observation.pool(name) else { return false }
                return observation.isOurs(pool) && pool.status != .stopping && pool.status != .error
            }
        }
    }

    /// The status with the intent for an option.
    private static func chosen(
        _ option: CapacityOption, _ run: TrainingJob.Run, _ observation: TrainingJobObservation,
        _ status: TrainingJob.Status
    ) -> TrainingJob.Status {
        var status = status
        var capacity = status.capacity ?? TrainingJob.CapacityStatus()
        capacity.current = option.candidate.name
        capacity.zone = option.zone
        capacity.nextAttemptTime = nil
        capacity.poolRun = nil
        capacity.startTime = observation.moment
        capacity.attemptCount = (capacity.attemptCount ?? 0) + 1
        status.capacity = capacity
        status.resources.removeAll { option.pools.contains($0.name) }
        status.resources += option.pools.map { intent($0, option, run, observation) }
        return status
    }

    /// Records the intent for the next option, or says when there is one.
    private static func choose(
        _ choices: CapacityOptions, _ run: TrainingJob.Run, _ observation: TrainingJobObservation,
        _ status: TrainingJob.Status
    ) -> Decision {
        var status = status
        var capacity = status.capacity ?? TrainingJob.CapacityStatus()
        switch next(of: choices.usable, capacity, since: searchStart(observation), observation) {
        case .waitUntil(let moment):
            capacity.nextAttemptTime = moment
            status.capacity = capacity
            let first = choices.usable.first.map { ", \(describe($0))," } ?? ""
            return Decision(
                status: status,
                situation: .provisioning(
                    lastReason(observation),
                    "every candidate was tried: \(tried(capacity)); the next one\(first) is tried at \(moment)"
                        + choices.skippedText),
                next: .after(max(.seconds(1), moment - observation.now)))
        case .option(let option):
            guard status.resources.count + option.pools.count <= 24 else {
                return Decision(
                    status: status,
                    situation: .releaseBlocked(.releasingCompute, "the ledger of cloud resources is full"))
            }
            return .record(
                chosen(option, run, observation, status),
                .provisioning(.provisioning, "trying \(describe(option))\(choices.skippedText)"))
        }
    }

    /// Brings the current option's pools to their size, or gives it up: all of its slices, or none.
    private static func hold(
        _ option: CapacityOption, _ run: TrainingJob.Run, _ spec: RunSpec, _ observation: TrainingJobObservation,
        _ status: TrainingJob.Status
    ) -> Decision {
        let states = option.pools.map { (name: $0, state: PoolState($0, observation)) }
        let waiting = Situation.provisioning(.provisioning, waitingMessage(option, observation))
        func wait(_ steps: [Decision.Step] = [], _ situation: Situation? = nil) -> Decision {
            Decision(
                steps: steps, status: status, situation: situation ?? waiting,
                next: .after(observation.configuration.pollInterval))
        }
        for (name, state) in states {
            let failure = failure(option, name, state, observation)
            if let failure = failure ?? TrainingJobFlexStart.failure(option, name, observation) {
                return giveUp(option, failure, observation, status, gone: state.pool == nil ? name : nil)
            }
        }
        for (slice, (name, state)) in states.enumerated() {
            if let pool = state.pool {
                guard observation.isOurs(pool) else {
                    return wait([], .actionRequired(.nameConflict, "node pool \(name) exists and is not ours"))
                }
                continue
            }
            guard !state.isBusy else { return wait() }
            guard !state.clusterIsBusy else { return wait([], .provisioning(.operationQueued, busyMessage)) }
            if let renewed = renewedIntent(name, observation, status) { return .record(renewed, waiting) }
            let request = TrainingJobNodePool.request(option, slice: slice, run: run, spec, observation)
            return wait([.cloud(.createNodePool(request, owner: observation.owner))])
        }
        let unready = states.filter { !isReady($0.name, $0.state, option, observation) }
        if unready.isEmpty { return acquire(option, observation, status) }
        if option.isQueued {
            return wait(TrainingJobFlexStart.requesting(option, unready.map(\.name), run, spec, observation))
        }
        for (name, state) in unready where !option.isMadeAtSize {
            guard !state.isBusy, !state.wasSized, state.pool?.status != .stopping else { continue }
            guard !state.clusterIsBusy else { return wait([], .provisioning(.operationQueued, busyMessage)) }
            let count = option.shape.nodesPerSlice
            return wait([.cloud(.setNodePoolSize(name: name, nodeCount: count, owner: observation.owner))])
        }
        return wait()
    }

    private static func isReady(
        _ name: String, _ state: PoolState, _ option: CapacityOption, _ observation: TrainingJobObservation
    ) -> Bool {
        observation.nodes(of: name).count(where: \.isReady) >= option.shape.nodesPerSlice
            && state.pool?.status != .stopping
    }

    private static func waitingMessage(_ option: CapacityOption, _ observation: TrainingJobObservation) -> String {
        let readyCount = option.pools.reduce(0) { $0 + observation.nodes(of: $1).count(where: \.isReady) }
        let progress = option.shape.nodeCount > 1 ? ": \(readyCount) of \(option.shape.nodeCount) nodes are ready" : ""
        let queue = TrainingJobFlexStart.waitingText(option, observation)
        return "waiting for \(describe(option))\(progress)\(queue)"
    }

    /// The create follows its intent closely: from the intent's age, a deletion tells how long a create that nobody saw
    /// may still be on its way.
    private static func renewedIntent(
        _ pool: String, _ observation: TrainingJobObservation, _ status: TrainingJob.Status
    ) -> TrainingJob.Status? {
        guard let index = status.resources.firstIndex(where: { $0.name == pool }),
            let time = status.resources[index].intentTime,
            observation.now - time > observation.configuration.createGrace / 2
        else { return nil }
        var status = status
        status.resources[index].intentTime = observation.moment
        return status
    }

    /// Records that the machines are there and starts the next attempt.
    private static func acquire(
        _ option: CapacityOption, _ observation: TrainingJobObservation, _ status: TrainingJob.Status
    ) -> Decision {
        var status = status
        let last = status.attempts.last
        let isSamePool = last?.candidate == option.candidate.name && last?.zone == option.zone && !wasLost(status)
        if !isSamePool {
            add(.acquired, option, code: nil, message: option.machine.type, to: &status, at: observation.moment)
        }
        beginAttempt(option.candidate.name, zone: option.zone, &status, observation)
        let number = status.attempts.last?.number ?? 1
        return .record(status, .training("starting attempt \(number) on \(describe(option))"))
    }

    /// Whether the last attempt lost its machines, so that these are new ones.
    private static func wasLost(_ status: TrainingJob.Status) -> Bool {
        status.attempts.last?.hasLostMachines ?? true
    }

    /// Records a failed try; its pools are no longer current, so the next rounds delete them.
    private static func giveUp(
        _ option: CapacityOption, _ failure: CapacityFailure, _ observation: TrainingJobObservation,
        _ status: TrainingJob.Status, gone: String?
    ) -> Decision {
        var status = status
        add(failure.reason, option, code: failure.code, message: failure.message, to: &status, at: observation.moment)
        status.capacity?.current = nil
        status.capacity?.zone = nil
        // Refused for certain, or seen before and now gone: nothing is left of it.
        status.resources.removeAll { $0.name == gone }
        status.lastFailure = TrainingJob.Failure(
            class: failure.reason.failureClass?.rawValue, component: "NodePool", reason: failure.reason.rawValue,
            message: Conditions.cut("\(describe(option)): \(failure.message)"), zone: option.zone,
            hint: failure.reason == .quotaExceeded
                ? TrainingJobFailureReport.quotaHint(observation) : failure.reason.hint,
            time: observation.moment)
        return .record(status, .provisioning(failure.reason, "\(describe(option)): \(failure.message)"))
    }

    private static let busyMessage = "another operation of the cluster is running"

    static func describe(_ option: CapacityOption) -> String {
        let slices = option.shape.sliceCount > 1 ? "\(option.shape.sliceCount) × " : ""
        let topology = option.shape.slice.map { " \($0.topology)" } ?? ""
        return "\(option.candidate.name) (\(slices)\(option.machine.type)\(topology), \(option.zone))"
    }

    static func currentOption(_ options: [CapacityOption], _ status: TrainingJob.Status) -> CapacityOption? {
        guard let capacity = status.capacity, let name = capacity.current, let zone = capacity.zone else { return nil }
        return options.first { $0.candidate.name == name && $0.zone == zone }
    }

    /// The pools that the run holds or tries to get.
    static func currentPools(_ status: TrainingJob.Status, _ observation: TrainingJobObservation) -> [String] {
        guard let run = status.run, let name = status.capacity?.current, let zone = status.capacity?.zone else {
            return []
        }
        return NodeSelection.pools(
            candidate: name, zone: zone, sliceCount: observation.runSpec?.shape.sliceCount ?? 1, run, observation)
    }

    private static func intent(
        _ pool: String, _ option: CapacityOption, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> CloudResource {
        var entry = CloudResource(
            externalRef: Naming.externalReference(nodePool: pool, in: observation.configuration.cluster),
            role: "NodePool", run: run.number)
        entry.intentTime = observation.moment
        entry.hourlyCost = option.nodePrice?.statusText
        return entry
    }
}

extension Reason {
    /// Whether an attempt that ended so has lost its machines, and so does not count.
    var losesMachines: Bool {
        switch self {
        case .preempted, .hostMaintenance, .maxRunDurationReached, .nodeUnhealthy, .suspended, .evicted,
            .budgetExceeded, .stepStalled:
            true
        default: false
        }
    }
}
