/// What was used lately, by key: when it is full, the quarter that was not used for longest goes.
struct RecentValues<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Slot: Sendable {
        var value: Value
        var usedAt: Duration
    }

    private let limit: Int
    private var slots: [Key: Slot] = [:]

    init(limit: Int) { self.limit = limit }

    var count: Int { slots.count }

    subscript(key: Key) -> Value? { slots[key]?.value }

    mutating func set(_ key: Key, _ value: Value, at now: Duration) {
        if slots[key] == nil, slots.count >= limit {
            let oldest = slots.sorted { $0.value.usedAt < $1.value.usedAt }
            for (old, _) in oldest.prefix(max(1, limit / 4)) { slots[old] = nil }
        }
        slots[key] = Slot(value: value, usedAt: now)
    }
}
