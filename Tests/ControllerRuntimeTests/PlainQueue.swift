@testable import ControllerRuntime

/// What a work queue means, without its efficiency: arrays that are searched from the beginning.
struct PlainQueue {
    struct Ready: Equatable {
        var key: ObjectKey
        var priority: WorkQueue.Priority
        var since: Duration
    }

    struct Delayed {
        var key: ObjectKey
        var due: Duration
        var priority: WorkQueue.Priority
    }

    let concurrency: Int
    /// In the order in which they became ready at their priority.
    var ready: [Ready] = []
    var delayed: [Delayed] = []
    var active: [ObjectKey] = []
    var dirty: [Ready] = []
    /// The namespaces that have ready keys, by whose turn it is.
    var turns: [WorkQueue.Priority: [String?]] = [:]
    var changesInARow = 0

    init(concurrency: Int) { self.concurrency = concurrency }

    mutating func add(_ key: ObjectKey, _ priority: WorkQueue.Priority, since: Duration) {
        delayed.removeAll { $0.key == key }
        if active.contains(key) {
            if let index = dirty.firstIndex(where: { $0.key == key }) {
                dirty[index].priority = max(dirty[index].priority, priority)
            } else {
                dirty.append(Ready(key: key, priority: priority, since: since))
            }
        } else if let index = ready.firstIndex(where: { $0.key == key }) {
            guard priority > ready[index].priority else { return }
            var lifted = ready.remove(at: index)
            endTurn(of: key.namespace, lifted.priority)
            lifted.priority = priority
            append(lifted)
        } else {
            append(Ready(key: key, priority: priority, since: since))
        }
    }

    mutating func add(_ key: ObjectKey, due: Duration, _ priority: WorkQueue.Priority) {
        guard !ready.contains(where: { $0.key == key }), !dirty.contains(where: { $0.key == key }) else { return }
        if let current = delayed.first(where: { $0.key == key }), current.due <= due { return }
        delayed.removeAll { $0.key == key }
        delayed.append(Delayed(key: key, due: due, priority: priority))
    }

    mutating func next(now: Duration) -> WorkQueue.Turn? {
        // Sorting is stable.
        for entry in delayed.sorted(by: { $0.due < $1.due }) where entry.due <= now {
            add(entry.key, entry.priority, since: entry.due)
        }
        guard active.count < concurrency else { return nil }
        let order: [WorkQueue.Priority] = changesInARow >= 15 ? [.recheck, .change] : [.change, .recheck]
        for priority in order {
            if let turn = take(priority, now: now) { return turn }
        }
        return nil
    }

    mutating func finished(_ key: ObjectKey) {
        active.removeAll { $0 == key }
        if let index = dirty.firstIndex(where: { $0.key == key }) { append(dirty.remove(at: index)) }
    }

    private mutating func take(_ priority: WorkQueue.Priority, now: Duration) -> WorkQueue.Turn? {
        let limit = max(1, concurrency - max(1, concurrency / 8))
        let namespace = (turns[priority] ?? []).first { namespace in
            active.filter { $0.namespace == namespace }.count < limit
        }
        guard let namespace,
            let index = ready.firstIndex(where: { $0.priority == priority && $0.key.namespace == namespace })
        else { return nil }
        let taken = ready.remove(at: index)
        turns[priority]?.removeAll { $0 == namespace }
        turns[priority]?.append(namespace)
        endTurn(of: namespace, priority)
        active.append(taken.key)
        let othersWait = ready.contains { $0.priority == .recheck }
        changesInARow = priority == .change && othersWait ? changesInARow + 1 : 0
        return WorkQueue.Turn(key: taken.key, priority: priority, waited: now - taken.since)
    }

    private mutating func append(_ entry: Ready) {
        ready.append(entry)
        if turns[entry.priority]?.contains(entry.key.namespace) != true {
            turns[entry.priority, default: []].append(entry.key.namespace)
        }
    }

    private mutating func endTurn(of namespace: String?, _ priority: WorkQueue.Priority) {
        if ready.contains(where: { $0.priority == priority && $0.key.namespace == namespace }) { return }
        turns[priority]?.removeAll { $0 == namespace }
    }
}
