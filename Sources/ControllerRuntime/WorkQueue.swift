/// What is to be done, as a value: each key once, never twice at a time, now or later, changes before re-checks,
/// namespaces by turns. Every operation is O(log n) or better.
///
/// Time is the caller's uptime. Taking a key makes it active until `finished`; what is added meanwhile comes after.
public struct WorkQueue: Sendable {
    /// Which of two waiting keys goes first.
    public enum Priority: Int, Sendable, Hashable, Comparable, CaseIterable {
        /// Nobody changed anything: the first list, the periodic look, and whatever waited for a time.
        case recheck
        /// Somebody changed something, or the round for a change wants to go on at once.
        case change

        public static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
    }

    /// A key that was taken.
    public struct Turn: Sendable, Hashable {
        public let key: ObjectKey
        public let priority: Priority
        /// From the first time that it was asked for, or due, until now.
        public let waited: Duration
    }

    /// What the queue's metrics say.
    public struct Statistics: Sendable, Hashable {
        /// Keys that could be taken now.
        public var waitingChanges = 0
        public var waitingRechecks = 0
        /// Keys that are being worked on.
        public var activeCount = 0
        /// Keys that were put in, and keys that were put back after a failure, since the start.
        public var addCount = 0
        public var retryCount = 0
        /// How long the active keys have been worked on: together, and the one that was taken first.
        public var unfinished: Duration = .zero
        public var longestRunning: Duration = .zero
    }

    private struct Waiting: Sendable {
        var priority: Priority
        var since: Duration
    }

    /// A re-check that waits is taken at the latest after so many changes: what only waits is slow, but never starves.
    static let changesPerRecheck = 15

    private let retryBackoff: Backoff
    private let concurrency: Int
    private let concurrencyPerNamespace: Int
    private var waiting: [ObjectKey: Waiting] = [:]
    private var changes = FairLane()
    private var rechecks = FairLane()
    private var changesInARow = 0
    private var delayed = DueTimes()
    /// When the active keys were taken.
    private var active: [ObjectKey: Duration] = [:]
    private var activeByNamespace: [String?: Int] = [:]
    /// Added while active.
    private var dirty: [ObjectKey: Waiting] = [:]
    private var failureCounts: [ObjectKey: Int] = [:]
    private var addCount = 0
    private var retryCount = 0

    /// - Parameters:
    ///   - retryBackoff: how the delays of a failing key grow.
    ///   - concurrency: how many keys may be active; of one namespace an eighth (at least one) less, so that keys whose
    ///     calls hang in one namespace leave something to the others. One at a time: for all alike.
    public init(
        retryBackoff: Backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(300)), concurrency: Int = .max
    ) {
        self.retryBackoff = retryBackoff
        self.concurrency = max(1, concurrency)
        self.concurrencyPerNamespace = max(1, self.concurrency - max(1, self.concurrency / 8))
    }

    /// Keys that could be taken now.
    public var readyCount: Int { waiting.count }
    /// Keys that are being worked on.
    public var activeCount: Int { active.count }
    /// Keys with a time in the future.
    public var delayedCount: Int { delayed.count }
    /// Whether a key must finish before another one is given out.
    public var isFull: Bool { active.count >= concurrency }
    /// How often a key failed in a row.
    public func failureCount(_ key: ObjectKey) -> Int { failureCounts[key] ?? 0 }

    /// Asks for a key now. A delay that it waits for is dropped: the sooner look replaces the later one.
    public mutating func add(_ key: ObjectKey, priority: Priority = .change, now: Duration) {
        delayed.remove(key)
        put(key, priority, since: now)
    }

    /// Asks for a key at `due`, rounded up to a millisecond; the earlier of two times wins, and a key that is ready needs
    /// no time.
    public mutating func add(_ key: ObjectKey, due: Duration, priority: Priority = .recheck) {
        // No clock sleeps to the attosecond: an exact time would come out as just before it, again and again.
        let due = due.roundedUpToMilliseconds
        guard waiting[key] == nil, dirty[key] == nil else { return }
        if let current = delayed[key], current.due <= due { return }
        delayed.set(key, due: due, priority: priority)
    }

    /// Takes the next key that may run; nil when there is none now.
    public mutating func next(now: Duration) -> Turn? {
        promote(now: now)
        guard !isFull else { return nil }
        let isRecheckOwed = changesInARow >= WorkQueue.changesPerRecheck
        guard let key = isRecheckOwed ? takeRecheck() ?? takeChange() : takeChange() ?? takeRecheck(),
            let entry = waiting.removeValue(forKey: key)
        else { return nil }
        active[key] = now
        activeByNamespace[key.namespace, default: 0] += 1
        return Turn(key: key, priority: entry.priority, waited: max(.zero, now - entry.since))
    }

    /// When the next delayed key is due; nil when none is.
    public func nextDue() -> Duration? { delayed.first?.due }

    /// A key's work is over; if it was added meanwhile, it is ready again.
    public mutating func finished(_ key: ObjectKey) {
        guard active.removeValue(forKey: key) != nil else { return }
        let count = (activeByNamespace[key.namespace] ?? 1) - 1
        activeByNamespace[key.namespace] = count > 0 ? count : nil
        guard let entry = dirty.removeValue(forKey: key) else { return }
        waiting[key] = entry
        enter(key, entry.priority)
    }

    /// Counts a failure and returns the delay before the next try.
    public mutating func failed(_ key: ObjectKey, random: Double) -> Duration {
        let count = failureCounts[key] ?? 0
        failureCounts[key] = count + 1
        retryCount += 1
        return retryBackoff.ceiling(count) * random
    }

    /// Forgets a key's failures: it worked.
    public mutating func succeeded(_ key: ObjectKey) { failureCounts[key] = nil }

    /// Forgets a key's delay and failures: its object is gone. What was added since it was taken stays: that may be
    /// a new object of the same name.
    public mutating func forget(_ key: ObjectKey) {
        delayed.remove(key)
        failureCounts[key] = nil
    }

    /// What the metrics say. O(active keys).
    public func statistics(now: Duration) -> Statistics {
        var result = Statistics(
            waitingChanges: changes.count, waitingRechecks: rechecks.count, activeCount: active.count,
            addCount: addCount, retryCount: retryCount)
        for start in active.values {
            result.unfinished += now - start
            result.longestRunning = max(result.longestRunning, now - start)
        }
        return result
    }

    private mutating func promote(now: Duration) {
        while let first = delayed.first, first.due <= now {
            delayed.remove(first.key)
            put(first.key, first.priority, since: first.due)
        }
    }

    private mutating func put(_ key: ObjectKey, _ priority: Priority, since: Duration) {
        if active[key] != nil {
            if dirty[key] == nil { addCount += 1 }
            let old = dirty[key] ?? Waiting(priority: priority, since: since)
            dirty[key] = Waiting(priority: max(priority, old.priority), since: old.since)
        } else if let current = waiting[key] {
            guard priority > current.priority else { return }
            waiting[key]?.priority = priority
            rechecks.remove(key)
            changes.append(key)
        } else {
            addCount += 1
            waiting[key] = Waiting(priority: priority, since: since)
            enter(key, priority)
        }
    }

    private mutating func enter(_ key: ObjectKey, _ priority: Priority) {
        switch priority {
        case .change: changes.append(key)
        case .recheck: rechecks.append(key)
        }
    }

    private mutating func takeChange() -> ObjectKey? {
        let (active, limit) = (activeByNamespace, concurrencyPerNamespace)
        guard let key = changes.take(where: { (active[$0] ?? 0) < limit }) else { return nil }
        changesInARow = rechecks.isEmpty ? 0 : changesInARow + 1
        return key
    }

    private mutating func takeRecheck() -> ObjectKey? {
        let (active, limit) = (activeByNamespace, concurrencyPerNamespace)
        guard let key = rechecks.take(where: { (active[$0] ?? 0) < limit }) else { return nil }
        changesInARow = 0
        return key
    }
}

extension Duration {
    fileprivate var roundedUpToMilliseconds: Duration {
        let rest = components.attoseconds % 1_000_000_000_000_000
        return rest <= 0
            ? self : self + Duration(secondsComponent: 0, attosecondsComponent: 1_000_000_000_000_000 - rest)
    }
}
