/// Keys with a time in the future, each once, the earliest first: a binary heap that knows where each key lies.
struct DueTimes: Sendable {
    struct Entry: Sendable, Hashable {
        let key: ObjectKey
        let due: Duration
        let priority: WorkQueue.Priority
        /// Breaks ties: first come, first due.
        fileprivate let number: UInt64

        fileprivate func isBefore(_ other: Entry) -> Bool { (due, number) < (other.due, other.number) }
    }

    private var entries: [Entry] = []
    private var positions: [ObjectKey: Int] = [:]
    private var nextNumber: UInt64 = 0

    var count: Int { entries.count }
    var first: Entry? { entries.first }
    subscript(key: ObjectKey) -> Entry? { positions[key].map { entries[$0] } }

    /// Sets a key's time, in place of the one that it has.
    mutating func set(_ key: ObjectKey, due: Duration, priority: WorkQueue.Priority) {
        remove(key)
        entries.append(Entry(key: key, due: due, priority: priority, number: nextNumber))
        nextNumber += 1
        positions[key] = entries.count - 1
        rise(from: entries.count - 1)
    }

    mutating func remove(_ key: ObjectKey) {
        guard let position = positions.removeValue(forKey: key), let last = entries.popLast(),
            position < entries.count
        else { return }
        entries[position] = last
        positions[last.key] = position
        rise(from: position)
        sink(from: position)
    }

    private mutating func rise(from start: Int) {
        var child = start
        while child > 0, entries[child].isBefore(entries[(child - 1) / 2]) {
            swap(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func sink(from start: Int) {
        var parent = start
        while true {
            let (left, right) = (parent * 2 + 1, parent * 2 + 2)
            guard left < entries.count else { return }
            let smaller = right < entries.count && entries[right].isBefore(entries[left]) ? right : left
            guard entries[smaller].isBefore(entries[parent]) else { return }
            swap(smaller, parent)
            parent = smaller
        }
    }

    private mutating func swap(_ one: Int, _ other: Int) {
        entries.swapAt(one, other)
        positions[entries[one].key] = one
        positions[entries[other].key] = other
    }
}
