import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// Letting go of compute: pods first (signal, grace), then the node pools, each until the cloud says 404.
enum TrainingJobRelease {
    typealias Decision = TrainingJobDecision

    /// How far the release is.
    struct Progress {
        var status: TrainingJob.Status
        var steps: [Decision.Step] = []
        /// What stands in the way; nothing of it was touched.
        var blocked: Situation?
        /// Nothing is left to wait for.
        var isDone: Bool
    }

    /// Everything of the object: pods, then pools. Pods that do not go hold nothing up for ever: after a while the pools
    /// go before them, which ends whatever runs there, and at last without them.
    static func everything(_ observation: TrainingJobObservation) -> Progress {
        let stop = TrainingJobPodEnd.stop(observation)
        guard !stop.isDone else { return pools(observation) }
        let patience = TrainingJobPodEnd.patience(observation)
        guard let waited = TrainingJobPodEnd.waited(observation), waited > patience else { return stop }
        var release = pools(observation)
        if release.isDone, waited > patience * 2 { return release }
        // The pools first: a step that fails ends the round.
        release.steps += stop.steps
        release.isDone = false
        return release
    }

    /// Deletes every pool of the ledger but some, and every other pool that carries our labels; drops entries whose pool is
    /// gone. One call a round: GKE takes one operation per cluster at a time.
    static func pools(_ observation: TrainingJobObservation, keeping kept: Set<String> = []) -> Progress {
        var status = observation.status
        adopt(observation, &status)
        var progress = Progress(status: status, isDone: true)
        var remaining: [CloudResource] = []
        for var entry in status.resources {
            // From a clock that was set back since: its age counts from now.
            if let time = entry.intentTime, time > observation.now { entry.intentTime = observation.moment }
            guard !kept.contains(entry.name) else {
                remaining.append(entry)
                continue
            }
            switch verdict(entry, observation) {
            case .gone: continue
            case .wait: progress.isDone = false
            case .blocked(let situation):
                progress.isDone = false
                progress.blocked = situation
            case .delete:
                progress.isDone = false
                if progress.steps.isEmpty {
                    progress.steps = [.cloud(.deleteNodePool(name: entry.name, owner: observation.owner))]
                }
            }
            remaining.append(entry)
        }
        progress.status.resources = remaining
        let withdrawing = TrainingJobFlexStart.withdrawing(observation, keeping: kept)
        // After the pool: money first.
        progress.steps += withdrawing.steps
        if !withdrawing.isDone { progress.isDone = false }
        return progress
    }

    private enum Verdict {
        case gone, wait, delete
        case blocked(Situation)
    }

    private static func verdict(_ entry: CloudResource, _ observation: TrainingJobObservation) -> Verdict {
        let reference = Naming.externalReference(nodePool: entry.name, in: observation.configuration.cluster)
        // Not seen is not gone: this version does not look where a newer one, or one for another cluster, made it.
        guard entry.externalRef == reference else {
            return .blocked(
                .releaseBlocked(
                    .controllerError,
                    "\(entry.externalRef) was made by another version or installation of the operator, which must release it"
                ))
        }
        let state = PoolState(entry.name, observation)
        guard let pool = state.pool else {
            if state.isBusy { return .wait }
            return mayStillAppear(entry, observation) ? .wait : .gone
        }
        guard observation.isOurs(pool) else {
            // Never seen as ours: somebody else's pool has the name, our create was refused.
            if entry.state == CloudResource.intent { return .gone }
            return .blocked(
                .releaseBlocked(
                    .nameConflict, "node pool \(pool.name) no longer carries our labels; it is not touched"))
        }
        return pool.status == .stopping || state.isBusy || state.clusterIsBusy ? .wait : .delete
    }

    /// Whether a create that an earlier life of this process may have sent can still arrive.
    private static func mayStillAppear(_ entry: CloudResource, _ observation: TrainingJobObservation) -> Bool {
        guard entry.state == CloudResource.intent, observation.refusals[entry.name] == nil,
            let time = entry.intentTime
        else { return false }
        return observation.now - time < observation.configuration.createGrace
    }

    /// Takes pools with our labels that the ledger does not know into it: a status edited by hand hides no machine.
    static func adopt(_ observation: TrainingJobObservation, _ status: inout TrainingJob.Status) {
        let known = Set(status.resources.map(\.name))
        for pool in observation.pools where observation.isOurs(pool) && !known.contains(pool.name) {
            guard status.resources.count < 24 else { return }
            let reference = Naming.externalReference(nodePool: pool.name, in: observation.configuration.cluster)
            status.resources.append(
                CloudResource(
                    externalRef: reference, role: "NodePool",
                    state: pool.status?.rawValue ?? NodePoolStatus.unspecified.rawValue))
        }
    }
}

// MARK: Rules

extension TrainingJobRelease {
    /// Rule `deleting`: nothing of ours may be left before the finalizer goes.
    static func deleting(_ observation: TrainingJobObservation) -> Decision? {
        guard observation.job.metadata.isDeleting else { return nil }
        let progress = everything(observation)
        guard progress.isDone, progress.status.resources.isEmpty else {
            return waiting(progress, .deleting(leftMessage(progress)), observation)
        }
        return Decision(status: progress.status, situation: .deleting("nothing is left"), next: .finalized)
    }

    /// Rule `releasingCompute`: the run has a result; its machines go.
    static func releasing(_ observation: TrainingJobObservation) -> Decision? {
        guard observation.status.run?.result != nil, holdsSomething(observation) else { return nil }
        let progress = everything(observation)
        guard progress.isDone else { return waiting(progress, .releasing(leftMessage(progress)), observation) }
        return .record(progress.status, .finished)
    }

    /// Rule `suspended`: the attempt ends, the machines go, the run stays.
    static func suspended(_ observation: TrainingJobObservation) -> Decision? {
        guard observation.spec.suspend else { return nil }
        if let ended = endingForSuspension(observation) { return ended }
        if holdsSomething(observation) {
            let progress = everything(observation)
            guard progress.isDone else { return waiting(progress, .suspending(leftMessage(progress)), observation) }
            let isQueued = TrainingJobQueue.standsInQueue(observation)
            return .record(progress.status, isQueued ? .suspending("leaving the queue") : .suspended)
        }
        return Decision(status: observation.status, situation: .suspended)
    }

    /// Facts of a suspension: the attempt's end, and that a changed spec ends the run.
    private static func endingForSuspension(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.activeRun else { return nil }
        var status = observation.status
        if TrainingJobRun.isChanged(run, observation) {
            TrainingJobRun.end(
                &status, .superseded, .superseded, observation, message: "the spec changed while suspended")
        } else if observation.activeAttempt != nil || status.capacity?.current != nil {
            TrainingJobRun.endAttempt(&status, .suspended, observation)
            status.capacity?.current = nil
            status.capacity?.zone = nil
            status.capacity?.pendingSince = nil
        } else if status.capacity?.pendingSince != nil {
            status.capacity?.pendingSince = nil
        } else {
            return nil
        }
        return .record(status, .suspending("stopping the pods"))
    }

    /// Whether pods or pools are left.
    static func holdsSomething(_ observation: TrainingJobObservation) -> Bool {
        !observation.status.resources.isEmpty || observation.pools.contains(where: observation.isOurs)
            || observation.jobs.contains { !$0.isEnding && !$0.metadata.isDeleting }
            || !observation.provisioningRequests.isEmpty
    }

    private static func waiting(
        _ progress: Progress, _ situation: Situation, _ observation: TrainingJobObservation
    ) -> Decision {
        Decision(
            steps: progress.steps, status: progress.status, situation: progress.blocked ?? situation,
            next: .after(observation.configuration.pollInterval))
    }

    private static func leftMessage(_ progress: Progress) -> String {
        let pools = progress.status.resources.map(\.name)
        return pools.isEmpty
            ? "waiting for the pods to stop" : "waiting until node pool \(pools.joined(separator: ", ")) is gone"
    }
}
