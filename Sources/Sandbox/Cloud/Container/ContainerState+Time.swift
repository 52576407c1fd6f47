internal import Encoding

extension ContainerState {
    /// What the passing of time depends on.
    struct World: Sendable {
        var project: String
        var cluster: String
        var timings: CloudTimings
        var script: CloudScript
    }

    /// Moves everything whose time has come by `now`.
    mutating func advance(to now: Timestamp, in world: World) {
        if let index = operations.lastIndex(where: { $0.end == nil }) {
            advanceOperation(index, to: now, in: world)
        }
        for name in pools.keys.sorted() {
            endInstances(of: name, by: now, in: world)
            replaceInstances(of: name, now: now, in: world)
        }
    }

    /// Gives a machine the notice of its preemption.
    ///
    /// - Returns: false when there is no such running machine.
    mutating func preempt(instance: String, now: Timestamp, in world: World) -> Bool {
        for name in pools.keys {
            guard let index = pools[name]?.instances.firstIndex(where: { $0.name == instance && $0.state == .running })
            else { continue }
            pools[name]?.instances[index].state = .preempting
            pools[name]?.instances[index].terminatesAt = now + world.timings.preemptionNotice
            return true
        }
        return false
    }

    // MARK: Operations

    private mutating func advanceOperation(_ index: Int, to now: Timestamp, in world: World) {
        let operation = operations[index]
        guard !world.script.stuckOperations.contains(operation.kind.rawValue) else {
            operations[index].isRunning = now >= operation.start + world.timings.pending
            return
        }
        guard now >= operation.start + world.timings.pending else { return }
        operations[index].isRunning = true
        switch operation.kind {
        case .delete:
            let due = operation.start + world.timings.deleteNodePool
            guard now >= due else { return }
            pools[operation.pool] = nil
            operations[index].end = due
        case .create:
            advanceResize(
                index, begin: operation.start + world.timings.createNodePool, to: now, in: world)
        case .setSize, .update:
            advanceResize(index, begin: operation.start, to: now, in: world)
        }
    }

    /// `begin` is when the machines are asked for. A create without machines ends then.
    private mutating func advanceResize(_ index: Int, begin: Timestamp, to now: Timestamp, in world: World) {
        let name = operations[index].pool
        guard now >= begin, var pool = pools[name] else { return }
        let hasWork = !pool.isComplete || operations[index].kind != .create
        let due = hasWork ? begin + world.timings.setSize : begin
        guard now >= due else { return }
        pool.instances.removeAll { $0.state == .stopping }
        // The first try is due then, however far the clock has leapt; later ones are now.
        let moment = operations[index].hasTried ? now : due
        operations[index].hasTried = true
        if let code = world.script.poolFailures[name] {
            return fail(index, &pool, code, at: moment, in: world)
        }
        let obstacle = addInstances(to: &pool, now: moment, in: world)
        pool.revision += 1
        if let obstacle {
            let deadline = max(due, begin + (obstacle == .stockout ? world.timings.stockout : world.timings.quota))
            guard now >= deadline else {
                pools[name] = pool
                return
            }
            let failure = Self.failure(obstacle, pool: pool, seconds: deadline - begin, in: world)
            pool.failure = failure
            pool.status = pool.instances.isEmpty ? .error : .runningWithError
            operations[index].failure = failure
            operations[index].end = deadline
        } else {
            pool.failure = nil
            pool.status = .running
            operations[index].end = moment
        }
        pools[name] = pool
    }

    /// Ends an operation as the script says; the pool stays, with the machines that it had.
    private mutating func fail(
        _ index: Int, _ pool: inout Pool, _ code: String, at moment: Timestamp, in world: World
    ) {
        let zone = pool.zones.first ?? ""
        let failure = Failure(
            code: code,
            message: "Google Compute Engine: Not all instances running in IGM after "
                + "\((moment - operations[index].start).components.seconds)s. Expected "
                + "\(pool.targets.values.reduce(0, +)), running \(pool.instances.count). Current errors: [\(code)]: "
                + "Instance '\(pool.instanceName(zone: zone, cluster: world.cluster, slot: 0))' creation failed.",
            canonicalCode: "INTERNAL", number: 13)
        pool.failure = failure
        pool.status = pool.instances.isEmpty ? .error : .runningWithError
        pool.revision += 1
        pools[pool.name] = pool
        operations[index].failure = failure
        operations[index].end = moment
    }

    // MARK: Machines

    private enum Obstacle {
        case stockout, quota, reservation

        var code: String {
            switch self {
            case .stockout: "GCE_STOCKOUT"
            case .quota: "GCE_QUOTA_EXCEEDED"
            case .reservation: "INVALID_RESERVATION"
            }
        }
    }

    /// Adds what is missing where it is to be had; what stood in the way, if anything did.
    private mutating func addInstances(to pool: inout Pool, now: Timestamp, in world: World) -> Obstacle? {
        var obstacle: Obstacle?
        let before = pool.instances
        let provisioning = pool.provisioning
        var used = pool.instances.count
        for other in pools.values where other.name != pool.name && other.provisioning == provisioning {
            used += other.instances.count
        }
        for zone in pool.zones {
            for _ in 0..<pool.missing(in: zone) {
                if let reservation = pool.reservation, !hasRoom(reservation, for: pool, zone, world) {
                    obstacle = .reservation
                } else if pool.reservation != nil {
                    pool.addInstance(zone: zone, cluster: world.cluster, id: nextSerial(), now: now)
                } else if world.script.isStockedOut(provisioning: provisioning, zone: zone) {
                    obstacle = .stockout
                } else if let quota = world.script.quota(provisioning), used >= quota {
                    obstacle = obstacle ?? .quota
                } else {
                    pool.addInstance(zone: zone, cluster: world.cluster, id: nextSerial(), now: now)
                    used += 1
                }
            }
        }
        if pool.isAtomic || pool.isQueued, obstacle != nil { pool.instances = before }
        return obstacle
    }

    /// Whether a reservation has a machine left for a pool.
    private func hasRoom(_ reservation: String, for pool: Pool, _ zone: String, _ world: World) -> Bool {
        let others = pools.values.filter { $0.name != pool.name && $0.reservation == reservation }
        let usedCount = (others + [pool]).reduce(0) { $0 + $1.instances.count { $0.zone == zone } }
        return usedCount < world.script.reservations["\(reservation)/\(zone)"] ?? 0
    }

    /// Ends preempted machines and those at the end of their maximum run duration. A preempted one is asked for again,
    /// as the managed instance group does; an expired one is not: its group becomes smaller.
    private mutating func endInstances(of name: String, by now: Timestamp, in world: World) {
        guard var pool = pools[name] else { return }
        for instance in pool.instances {
            guard let end = instance.terminatesAt, end <= now else { continue }
            pool.instances.removeAll { $0.id == instance.id }
            if instance.state == .running { pool.targets[instance.zone, default: 1] -= 1 }
            pool.retryAt = end + world.timings.setSize
            // A slice that has lost a host is made again as a whole.
            if pool.isAtomic { pool.instances.removeAll() }
        }
        pools[name] = pool
    }

    /// The managed instance group keeps trying to reach its size, also after the operation has given up.
    private mutating func replaceInstances(of name: String, now: Timestamp, in world: World) {
        guard var pool = pools[name], pool.status != .stopping, world.script.poolFailures[name] == nil,
            !pool.isComplete, now >= pool.retryAt ?? now,
            activeOperation?.pool != name
        else { return }
        if addInstances(to: &pool, now: now, in: world) == nil {
            pool.status = .running
            pool.failure = nil
        } else if !pool.instances.isEmpty, pool.status == .error {
            pool.status = .runningWithError
        }
        pools[name] = pool
    }

    private static func failure(_ obstacle: Obstacle, pool: Pool, seconds: Duration, in world: World) -> Failure {
        let expected = pool.targets.values.reduce(0, +)
        let running = pool.instances.count
        let zone = pool.zones.first { pool.missing(in: $0) > 0 } ?? pool.zones.first ?? ""
        let instance = pool.instanceName(zone: zone, cluster: world.cluster, slot: running)
        let start =
            pool.isAtomic
            ? "Atomic resize failed with [\(obstacle.code)]: "
            : ""
        let counts =
            start
            + "Not all instances running in IGM after \(seconds.components.seconds)s. Expected \(expected), "
            + "running \(running), transitioning \(expected - running). Current errors:"
        switch obstacle {
        case .stockout:
            return Failure(
                code: "GCE_STOCKOUT",
                message: "Google Compute Engine: \(counts) [GCE_STOCKOUT]: Instance '\(instance)' creation failed: "
                    + "The zone 'projects/\(world.project)/zones/\(zone)' does not have enough resources available "
                    + "to fulfill the request. Try a different zone, or try again later.")
        case .reservation:
            let name = pool.reservation ?? ""
            let why =
                world.script.reservations["\(name)/\(zone)"] == nil
                ? "The specified reservation '\(name)' is not found in zone '\(zone)'."
                : "The specified reservation '\(name)' does not have available resources for the request."
            return Failure(
                code: "INVALID_RESERVATION",
                message: "Google Compute Engine: \(counts) [INVALID_RESERVATION]: Instance '\(instance)' creation "
                    + "failed: \(why)", canonicalCode: "FAILED_PRECONDITION", number: 9)
        case .quota:
            let limit = world.script.quota(pool.provisioning) ?? 0
            return Failure(
                code: "GCE_QUOTA_EXCEEDED",
                message: "Insufficient quota to satisfy the request: \(counts) [GCE_QUOTA_EXCEEDED]: Instance "
                    + "'\(instance)' creation failed: Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: \(limit).0 globally.")
        }
    }
}
