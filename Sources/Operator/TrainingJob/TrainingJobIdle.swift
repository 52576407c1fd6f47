import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// Node pools that outlive their run for a while, for the next run of the same object (`keepIdleSeconds`).
enum TrainingJobIdle {
    typealias Decision = TrainingJobDecision

    /// Rule `keepingIdle`: the run has a result, and its pools wait for the next one.
    static func keep(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.status.run, run.result != nil, !observation.spec.suspend,
            let end = end(observation), observation.now < end, isWorthKeeping(observation)
        else { return nil }
        let stop = TrainingJobPodEnd.stop(observation)
        guard stop.isDone else {
            return Decision(
                steps: stop.steps, status: stop.status, situation: .keepingIdle("waiting for the pods to stop"),
                next: .after(observation.configuration.pollInterval))
        }
        let names = observation.status.resources.map(\.name).joined(separator: ", ")
        let situation = Situation.keepingIdle("node pool \(names) is kept until \(end) for the next run, and billed")
        if TrainingJobRun.isChanged(run, observation), observation.spec.onSpecChange == .newRun {
            return TrainingJobRun.start(number: run.number + 1, observation, keeping: situation)
        }
        return Decision(
            status: observation.status, situation: situation,
            next: .after(max(.seconds(1), min(TrainingJobPlan.slowRecheck, end - observation.now))))
    }

    /// When the pools go; nil where they go at once, as those of a run in a queue do: its quota is another's then.
    private static func end(_ observation: TrainingJobObservation) -> Timestamp? {
        guard !TrainingJobQueue.standsInQueue(observation), let pool = observation.spec.backend.gke?.nodePool,
            pool.policy == .createPerRun,
            let seconds = pool.keepIdleSeconds, seconds > 0, let completion = observation.status.run?.completionTime,
            // Set back since: nobody knows how long the pools have waited.
            completion <= observation.now
        else { return nil }
        return completion + .seconds(seconds)
    }

    /// Whether the run's pools, and no others, are there and whole.
    private static func isWorthKeeping(_ observation: TrainingJobObservation) -> Bool {
        let status = observation.status
        let names = TrainingJobCapacity.currentPools(status, observation)
        guard !names.isEmpty, Set(names) == Set(status.resources.map(\.name)),
            observation.pools.filter(observation.isOurs).count == names.count
        else { return false }
        return names.allSatisfy { name in
            guard let pool = observation.pool(name), observation.isOurs(pool) else { return false }
            return pool.status == .running && observation.nodes(of: name).contains(where: \.isReady)
        }
    }

    /// What the next run takes over: the place, its pools, and whose names they have.
    static func carryOver(_ old: TrainingJob.Status, to status: inout TrainingJob.Status) {
        var capacity = TrainingJob.CapacityStatus()
        capacity.current = old.capacity?.current
        capacity.zone = old.capacity?.zone
        capacity.poolRun = old.capacity?.poolRun ?? old.run?.number
        capacity.startTime = status.run?.startTime
        capacity.attemptCount = 1
        status.capacity = capacity
        status.resources = old.resources
    }

    /// Whether kept pools are such as the option would make now.
    static func fits(_ option: CapacityOption, _ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> Bool {
        guard observation.status.capacity?.poolRun != nil, let spec = observation.recordedSpec else { return true }
        return option.pools.indices.allSatisfy { slice in
            guard let pool = observation.pool(option.pools[slice]) else { return false }
            let wanted = TrainingJobNodePool.request(option, slice: slice, run: run, spec, observation)
            return pool.config?.machineType == wanted.config?.machineType
                && pool.config?.accelerators == wanted.config?.accelerators
                && (pool.config?.spot ?? false) == (wanted.config?.spot ?? false)
                && pool.placementPolicy?.tpuTopology == wanted.placementPolicy?.tpuTopology
                && observation.nodes(of: pool.name).count(where: \.isReady) == option.shape.nodesPerSlice
        }
    }
}
