internal import Encoding

/// The instances of one revision and the requests that wait for one. Pure: what it decides, `InstanceFleet` does.
struct InstancePool: Sendable {
    struct Limits: Sendable, Hashable {
        /// Requests of one instance at once.
        var concurrency: Int
        var minimum: Int
        var maximum: Int
        var idleTimeout: Duration
        /// How long a request waits while nothing starts; then it is refused.
        var queueTimeout: Duration
        var grace: Duration
        /// The numbers are what somebody has set by hand: what is too much is stopped at once, not when it has been
        /// idle for long.
        var isExact = false
    }

    enum Phase: Sendable, Hashable {
        case starting, ready
        /// SIGTERM was sent; at the moment SIGKILL follows.
        case stopping(killAt: Timestamp)
    }

    struct Instance: Sendable, Hashable {
        let id: Int
        var phase = Phase.starting
        var requestCount = 0
        /// Since when it has no request.
        var idleSince: Timestamp
    }

    struct Waiter: Sendable, Hashable {
        let id: Int
        let since: Timestamp
        /// Of the request.
        let deadline: Timestamp
    }

    /// Why a request gets no instance.
    enum Refusal: Sendable, Hashable {
        /// All instances are busy and no more may be started.
        case busy
        case timeout
        /// The instance that was started for it did not come up.
        case failedStart
        /// There may be no instance at all.
        case disabled
    }

    enum Outcome: Sendable, Hashable {
        case instance(Int)
        case refused(Refusal)
    }

    /// What is to be done, in this order.
    struct Changes: Sendable, Hashable {
        var outcomes: [Int: Outcome] = [:]
        var starts: [Int] = []
        var terminations: [Int] = []
        var kills: [Int] = []
    }

    /// More requests do not wait.
    private static let waiterLimit = 1000
    /// After a failed start, doubled with each one that follows.
    private static let firstPause = Duration.milliseconds(100)

    var limits: Limits
    private(set) var instances: [Instance] = []
    private(set) var waiters: [Waiter] = []
    private var nextID = 1
    /// Starts that failed, one after the other.
    private var failureCount = 0
    private var notBefore: Timestamp?

    init(limits: Limits) { self.limits = limits }

    /// Those that are, or will be, there for requests.
    private var liveCount: Int { instances.count { $0.phase == .starting || $0.phase == .ready } }
    private var startingCount: Int { instances.count { $0.phase == .starting } }

    // MARK: What happens

    /// A request wants an instance.
    mutating func admit(_ waiter: Waiter) -> Changes {
        guard waiters.count < Self.waiterLimit else { return Changes(outcomes: [waiter.id: .refused(.busy)]) }
        waiters.append(waiter)
        return settle(waiter.since)
    }

    /// A waiting request's client has gone.
    mutating func cancel(_ waiter: Int) { waiters.removeAll { $0.id == waiter } }

    /// A request is answered.
    mutating func release(_ id: Int, now: Timestamp) -> Changes {
        guard let index = instances.firstIndex(where: { $0.id == id }) else { return Changes() }
        instances[index].requestCount -= 1
        instances[index].idleSince = now
        return settle(now)
    }

    /// An instance has passed its startup probe.
    mutating func started(_ id: Int, now: Timestamp) -> Changes {
        guard let index = instances.firstIndex(where: { $0.id == id }), instances[index].phase == .starting else {
            return Changes()
        }
        instances[index].phase = .ready
        instances[index].idleSince = now
        (failureCount, notBefore) = (0, nil)
        return settle(now)
    }

    /// An instance's process is gone, or could not be started.
    mutating func ended(_ id: Int, now: Timestamp) -> Changes {
        guard let index = instances.firstIndex(where: { $0.id == id }) else { return Changes() }
        let hasFailed = instances.remove(at: index).phase == .starting
        return hasFailed ? failed(now) : settle(now)
    }

    /// An instance does not come up in time: it is killed.
    mutating func giveUp(_ id: Int, now: Timestamp) -> Changes {
        guard let index = instances.firstIndex(where: { $0.id == id }), instances[index].phase == .starting else {
            return Changes()
        }
        instances[index].phase = .stopping(killAt: now)
        return failed(now)
    }

    private mutating func failed(_ now: Timestamp) -> Changes {
        notBefore = now + Self.firstPause * (1 << min(failureCount, 6))
        failureCount += 1
        var outcomes: [Int: Outcome] = [:]
        // Nobody else comes up for them: they are not kept until the next try fails too.
        if liveCount == 0 {
            for waiter in waiters { outcomes[waiter.id] = .refused(.failedStart) }
            waiters = []
        }
        var changes = settle(now)
        changes.outcomes.merge(outcomes) { first, _ in first }
        return changes
    }

    /// Time has passed, or the limits are other ones.
    mutating func settle(_ now: Timestamp) -> Changes {
        var changes = Changes()
        serveWaiters(&changes, now)
        refuseWaiters(&changes, now)
        start(&changes, now)
        stop(&changes, now)
        return changes
    }

    // MARK: Decisions

    /// First come, first served, by the instance that has the least to do.
    private mutating func serveWaiters(_ changes: inout Changes, _ now: Timestamp) {
        while let waiter = waiters.first, waiter.deadline > now {
            let free = instances.indices.filter {
                instances[$0].phase == .ready && instances[$0].requestCount < limits.concurrency
            }
            guard let index = free.min(by: { instances[$0].requestCount < instances[$1].requestCount }) else { return }
            instances[index].requestCount += 1
            changes.outcomes[waiter.id] = .instance(instances[index].id)
            waiters.removeFirst()
        }
    }

    private mutating func refuseWaiters(_ changes: inout Changes, _ now: Timestamp) {
        let canStart = liveCount < limits.maximum
        let isStarting = startingCount > 0
        waiters.removeAll { waiter in
            let refusal: Refusal? =
                if waiter.deadline <= now {
                    .timeout
                } else if limits.maximum == 0 {
                    .disabled
                } else if !isStarting, !canStart, waiter.since + limits.queueTimeout <= now {
                    .busy
                } else {
                    nil
                }
            guard let refusal else { return false }
            changes.outcomes[waiter.id] = .refused(refusal)
            return true
        }
    }

    private mutating func start(_ changes: inout Changes, _ now: Timestamp) {
        if let notBefore, now < notBefore { return }
        let unserved = max(0, waiters.count - startingCount * limits.concurrency)
        let more = (unserved + limits.concurrency - 1) / limits.concurrency
        let wanted = min(max(limits.minimum, liveCount + more), limits.maximum)
        for _ in 0..<max(0, wanted - liveCount) {
            instances.append(Instance(id: nextID, idleSince: now))
            changes.starts.append(nextID)
            nextID += 1
        }
    }

    /// Only instances without requests are stopped.
    private mutating func stop(_ changes: inout Changes, _ now: Timestamp) {
        var excess = liveCount - limits.minimum
        for index in instances.indices {
            if case .stopping(let killAt) = instances[index].phase, killAt <= now {
                changes.kills.append(instances[index].id)
                continue
            }
            // Where none may be, none has to come up first.
            let isUp = instances[index].phase == .ready
            let isUnwanted = instances[index].phase == .starting && limits.isExact && limits.maximum == 0
            guard excess > 0, isUp || isUnwanted, instances[index].requestCount == 0 else { continue }
            guard limits.isExact || instances[index].idleSince + limits.idleTimeout <= now else { continue }
            instances[index].phase = .stopping(killAt: now + limits.grace)
            changes.terminations.append(instances[index].id)
            excess -= 1
        }
    }
}
