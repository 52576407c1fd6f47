import Synchronization

/// Gives out numbers once each, to several tasks.
final class NextIndex: Sendable {
    private let limit: Int
    private let value = Mutex(0)

    init(limit: Int) { self.limit = limit }

    /// nil after the last.
    func next() -> Int? {
        value.withLock { value in
            guard value < limit else { return nil }
            defer { value += 1 }
            return value
        }
    }
}
