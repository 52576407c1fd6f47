/// What is to be done, as a value: each key once, never twice at a time, now or later, changes before re-checks.
///
/// Time is the caller's uptime. Taking a key makes it active until `finished`; what is added meanwhile comes after.
public struct WorkQueue<Key: Hashable & Sendable>: Sendable {
    /// Which of two waiting keys goes first.
    public enum Priority: Int, Sendable, Comparable {
        /// The periodic look at an object that nobody changed.
        case recheck
        /// Somebody changed something, or a plan asked for it.
        case change

        public static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
    }

    private struct Delayed {
        var due: Duration
        var priority: Priority
    }

    private let retryBackoff: Backoff
    private var ready: [Priority: FIFO<Key>] = [.recheck: FIFO(), .change: FIFO()]
    /// Ready keys with the priority that counts; a key may lie in the lower list too, where it is skipped.
    private var waiting: [Key: Priority] = [:]
    private var delayed: [Key: Delayed] = [:]
    private var active: Set<Key> = []
    /// Added while active.
    private var dirty: [Key: Priority] = [:]
    private var failureCounts: [Key: Int] = [:]
    private var timeline = DueHeap<Key>()

    /// - Parameter retryBackoff: how the delays of a failing key grow.
    public init(retryBackoff: Backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(300))) {
        self.retryBackoff = retryBackoff
    }

    /// Keys that could be taken now.
    public var readyCount: Int { waiting.count }
    /// Keys that are being worked on.
    public var activeCount: Int { active.count }
    /// Keys with a time in the future.
    public var delayedCount: Int { delayed.count }
    /// How often a key failed in a row.
    public func failureCount(_ key: Key) -> Int { failureCounts[key] ?? 0 }

    /// Asks for a key now. A delay that it waits for is dropped: the sooner look replaces the later one.
    public mutating func add(_ key: Key, priority: Priority = .change) {
        delayed[key] = nil
        if active.contains(key) {
            dirty[key] = max(priority, dirty[key] ?? priority)
        } else if let current = waiting[key] {
            guard priority > current else { return }
            waiting[key] = priority
            ready[priority]?.append(key)
        } else {
            waiting[key] = priority
            ready[priority]?.append(key)
        }
    }

    /// Asks for a key at `due`, rounded up to a millisecond; the earlier of two times wins, and a key that is ready needs
    /// no time.
    public mutating func add(_ key: Key, due: Duration, priority: Priority) {
        // No clock sleeps to the attosecond: an exact time would come out as just before it, again and again.
        let due = due.roundedUpToMilliseconds
        guard waiting[key] == nil, dirty[key] == nil else { return }
        if let current = delayed[key], current.due <= due { return }
        delayed[key] = Delayed(due: due, priority: priority)
        timeline.insert(key, due: due)
    }

    /// Takes the next key that may run; nil when there is none now.
    public mutating func next(now: Duration) -> Key? {
        promote(now: now)
        for priority in [Priority.change, .recheck] {
            while let key = ready[priority]?.popFirst() {
                guard waiting[key] == priority else { continue }
                waiting[key] = nil
                active.insert(key)
                return key
            }
        }
        return nil
    }

    /// When the next delayed key is due; nil when none is.
    public mutating func nextDue() -> Duration? {
        while let first = timeline.first {
            if delayed[first.key]?.due == first.due { return first.due }
            timeline.removeFirst()
        }
        return nil
    }

    /// A key's work is over; if it was added meanwhile, it is ready again.
    public mutating func finished(_ key: Key) {
        active.remove(key)
        if let priority = dirty.removeValue(forKey: key) { add(key, priority: priority) }
    }

    /// Counts a failure and returns the delay before the next try.
    public mutating func failed(_ key: Key, random: Double) -> Duration {
        let count = failureCounts[key] ?? 0
        failureCounts[key] = count + 1
        return retryBackoff.ceiling(count) * random
    }

    /// Forgets a key's failures: it worked.
    public mutating func succeeded(_ key: Key) { failureCounts[key] = nil }

    /// Forgets a key's delay and failures: its object is gone. What was added since it was taken stays: that may be
    /// a new object of the same name.
    public mutating func forget(_ key: Key) {
        delayed[key] = nil
        failureCounts[key] = nil
    }

    private mutating func promote(now: Duration) {
        while let first = timeline.first, first.due <= now {
            timeline.removeFirst()
            guard let entry = delayed[first.key], entry.due == first.due else { continue }
            add(first.key, priority: entry.priority)
        }
    }
}

extension Duration {
    fileprivate var roundedUpToMilliseconds: Duration {
        let rest = components.attoseconds % 1_000_000_000_000_000
        return rest <= 0
            ? self : self + Duration(secondsComponent: 0, attosecondsComponent: 1_000_000_000_000_000 - rest)
    }
}

/// A queue on an array: popping moves an index, and the array is cut when half of it is gone.
private struct FIFO<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        defer {
            head += 1
            if head > 64, head * 2 > elements.count {
                elements.removeFirst(head)
                head = 0
            }
        }
        return elements[head]
    }
}

/// A binary heap by due time. Entries are never changed: outdated ones are skipped by whoever takes them.
private struct DueHeap<Key: Hashable & Sendable>: Sendable {
    struct Entry: Sendable {
        let key: Key
        let due: Duration
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }

    mutating func insert(_ key: Key, due: Duration) {
        entries.append(Entry(key: key, due: due))
        var child = entries.count - 1
        while child > 0, entries[child].due < entries[(child - 1) / 2].due {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() {
        guard let last = entries.popLast(), !entries.isEmpty else { return }
        entries[0] = last
        var parent = 0
        while true {
            let left = parent * 2 + 1
            guard left < entries.count else { return }
            let right = left + 1
            let smaller = right < entries.count && entries[right].due < entries[left].due ? right : left
            guard entries[smaller].due < entries[parent].due else { return }
            entries.swapAt(smaller, parent)
            parent = smaller
        }
    }
}
