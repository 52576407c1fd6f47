import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes

/// The search for machines: candidates in order, one node pool at a time.
///
/// `status.capacity.current` and `zone` name the option that is tried or in use; the intent is in the ledger before the
/// create is sent; a pool that failed is gone before the next option is tried.
enum TrainingJobCapacity {
    typealias Decision = TrainingJobDecision

    /// Rule `seekingCapacity`: the run has no attempt with pods; get nodes for one.
    static func seek(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun, let spec = observation.runSpec, observation.activeAttempt == nil,
            observation.succeededAttempt == nil
        else { return nil }
        // Without options (the spec was made invalid) nothing is kept; once nothing is held, `invalidSpec` says so.
        let options = (try? TrainingJobNodePool.options(for: run, spec, observation).get()) ?? []
        let current = currentOption(options, observation.status)
        if let held = heldOption(options, observation) {
            return .record(
                chosen(held, run, observation, observation.status),
                .provisioning(.provisioning, "going on with \(describe(held))"))
        }
        var release = TrainingJobRelease.pools(observation, keeping: current?.poolName)
        guard release.isDone, !options.isEmpty else {
            let names = release.status.resources.map(\.name).filter { $0 != current?.poolName }
            let message = "deleting node pool \(names.joined(separator: ", "))"
            return Decision(
                steps: release.steps, status: release.status,
                situation: release.blocked ?? .provisioning(lastReason(observation), message),
                next: .after(release.isDone ? .zero : observation.configuration.pollInterval))
        }
        if let budget = recreateBudgetEnd(observation), current == nil {
            return Decision(
                status: release.status,
                situation: .actionRequired(
                    .recreateBudgetExceeded,
                    "machines were taken away \(budget.lostCount) times in a row as soon as they were there; the next try "
                        + "is at \(budget.end)"),
                next: .after(max(.seconds(1), budget.end - observation.now)))
        }
        if let delay = restartDelay(observation) {
            return Decision(
                status: release.status, situation: .recovering(.recovering, "restarting from the last checkpoint"),
                next: .after(delay))
        }
        if let current { return hold(current, run, spec, observation, release.status) }
        // The candidate that was in use is no longer in the spec.
        release.status.capacity?.current = nil
        release.status.capacity?.zone = nil
        return choose(options, run, observation, release.status)
    }

    /// A place whose machines are there although this run has not looked for any: its status was lost.
    private static func heldOption(
        _ options: [CapacityOption], _ observation: TrainingJobObservation
    ) -> CapacityOption? {
        guard observation.status.capacity == nil else { return nil }
        return options.first { option in
            guard let pool = observation.pool(option.poolName) else { return false }
            return observation.isOurs(pool) && pool.status != .stopping && pool.status != .error
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
        capacity.startTime = observation.moment
        capacity.attemptCount = (capacity.attemptCount ?? 0) + 1
        status.capacity = capacity
        status.resources.removeAll { $0.name == option.poolName }
        status.resources.append(intent(option, run, observation))
        return status
    }

    /// Records the intent for the next option, or says when there is one.
    private static func choose(
        _ options: [CapacityOption], _ run: TrainingJob.Run, _ observation: TrainingJobObservation,
        _ status: TrainingJob.Status
    ) -> Decision {
        var status = status
        var capacity = status.capacity ?? TrainingJob.CapacityStatus()
        switch next(of: options, capacity, since: searchStart(observation), observation) {
        case .waitUntil(let moment):
            capacity.nextAttemptTime = moment
            status.capacity = capacity
            return Decision(
                status: status,
                situation: .provisioning(
                    lastReason(observation), "every candidate was tried; the first is tried again at \(moment)"),
                next: .after(max(.seconds(1), moment - observation.now)))
        case .option(let option):
            guard status.resources.count < 24 else {
                return Decision(
                    status: status,
                    situation: .releaseBlocked(.releasingCompute, "the ledger of cloud resources is full"))
            }
            return .record(
                chosen(option, run, observation, status), .provisioning(.provisioning, "trying \(describe(option))"))
        }
    }

    /// Brings the current option's pool to its size, or gives it up.
    private static func hold(
        _ option: CapacityOption, _ run: TrainingJob.Run, _ spec: RunSpec, _ observation: TrainingJobObservation,
        _ status: TrainingJob.Status
    ) -> Decision {
        let state = PoolState(option.poolName, observation)
        let waiting = Situation.provisioning(.provisioning, "waiting for \(describe(option))")
        func wait(_ steps: [Decision.Step] = [], _ situation: Situation? = nil) -> Decision {
            Decision(
                steps: steps, status: status, situation: situation ?? waiting,
                next: .after(observation.configuration.pollInterval))
        }
        if let failure = failure(option, state, observation) {
            return giveUp(option, failure, observation, status, poolIsGone: state.pool == nil)
        }
        guard let pool = state.pool else {
            guard !state.isBusy else { return wait() }
            guard !state.clusterIsBusy else { return wait([], .provisioning(.operationQueued, busyMessage)) }
            if let renewed = renewedIntent(option, observation, status) { return .record(renewed, waiting) }
            let request = TrainingJobNodePool.request(option, run: run, spec, observation)
            return wait([.cloud(.createNodePool(request, owner: observation.owner))])
        }
        guard observation.isOurs(pool) else {
            return wait([], .actionRequired(.nameConflict, "node pool \(pool.name) exists and is not ours"))
        }
        let nodes = observation.nodes(of: pool.name)
        if nodes.count(where: \.isReady) >= spec.shape.nodeCount, pool.status != .stopping {
            return acquire(option, observation, status)
        }
        guard !state.isBusy, !state.wasSized, pool.status != .stopping else { return wait() }
        guard !state.clusterIsBusy else { return wait([], .provisioning(.operationQueued, busyMessage)) }
        return wait([
            .cloud(.setNodePoolSize(name: pool.name, nodeCount: spec.shape.nodeCount, owner: observation.owner))
        ])
    }

    /// The create follows its intent closely: from the intent's age, a deletion tells how long a create that nobody saw
    /// may still be on its way.
    private static func renewedIntent(
        _ option: CapacityOption, _ observation: TrainingJobObservation, _ status: TrainingJob.Status
    ) -> TrainingJob.Status? {
        guard let index = status.resources.firstIndex(where: { $0.name == option.poolName }),
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
        var attempt = TrainingJob.Attempt(number: (status.attemptCount ?? 0) + 1)
        attempt.startTime = observation.moment
        attempt.candidate = option.candidate.name
        attempt.zone = option.zone
        attempt.fromStep = status.checkpoint?.latest?.step ?? 0
        status.attemptCount = attempt.number
        status.attempts = Array((status.attempts + [attempt]).suffix(10))
        return .record(status, .training("starting attempt \(attempt.number) on \(describe(option))"))
    }

    /// Whether the last attempt lost its machines, so that these are new ones.
    private static func wasLost(_ status: TrainingJob.Status) -> Bool {
        status.attempts.last?.cause.flatMap(Reason.init)?.losesMachines ?? true
    }

    /// Records a failed try; its pool is no longer current, so the next round deletes it.
    private static func giveUp(
        _ option: CapacityOption, _ failure: CapacityFailure, _ observation: TrainingJobObservation,
        _ status: TrainingJob.Status, poolIsGone: Bool
    ) -> Decision {
        var status = status
        add(failure.reason, option, code: failure.code, message: failure.message, to: &status, at: observation.moment)
        status.capacity?.current = nil
        status.capacity?.zone = nil
        if poolIsGone {
            // Refused for certain, or seen before and now gone: nothing is left of it.
            status.resources.removeAll { $0.name == option.poolName }
        }
        status.lastFailure = TrainingJob.Failure(
            class: failure.reason.failureClass?.rawValue, component: "NodePool", reason: failure.reason.rawValue,
            message: Conditions.cut("\(describe(option)): \(failure.message)"), zone: option.zone,
            hint: failure.reason.hint,
            time: observation.moment)
        return .record(status, .provisioning(failure.reason, "\(describe(option)): \(failure.message)"))
    }

    private static let busyMessage = "another operation of the cluster is running"

    static func describe(_ option: CapacityOption) -> String {
        "\(option.candidate.name) (\(option.machine.type), \(option.zone))"
    }

    static func currentOption(_ options: [CapacityOption], _ status: TrainingJob.Status) -> CapacityOption? {
        guard let capacity = status.capacity, let name = capacity.current, let zone = capacity.zone else { return nil }
        return options.first { $0.candidate.name == name && $0.zone == zone }
    }

    /// The pool that the run holds or tries to get.
    static func currentPoolName(_ status: TrainingJob.Status, _ observation: TrainingJobObservation) -> String? {
        guard let run = status.run, let name = status.capacity?.current, let zone = status.capacity?.zone else {
            return nil
        }
        return Naming.nodePool(uid: observation.uid, run: run.number, candidate: name, zone: zone)
    }

    private static func intent(
        _ option: CapacityOption, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> CloudResource {
        let configuration = observation.configuration
        var entry = CloudResource(
            externalRef: Naming.externalReference(nodePool: option.poolName, in: configuration.cluster),
            role: "NodePool", run: run.number)
        entry.intentTime = observation.moment
        entry.hourlyCost =
            configuration.prices.hourlyPrice(
                of: option.machine, accelerator: observation.runSpec?.accelerator?.gpu?.type ?? "",
                model: option.candidate.provisioningModel, region: PriceTable.region(ofZone: option.zone))?.decimal
        return entry
    }
}

extension Reason {
    /// Whether an attempt that ended so has lost its machines.
    var losesMachines: Bool {
        switch self {
        case .preempted, .nodeUnhealthy, .suspended: true
        default: false
        }
    }
}
