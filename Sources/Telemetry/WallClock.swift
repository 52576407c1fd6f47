public import Encoding

/// The time of day, and sleeping by it: the system's in production, a virtual one in tests.
public protocol WallClock: Sendable {
    /// The time now.
    var now: Timestamp { get }

    /// Returns at or after `moment`.
    ///
    /// - Throws: `CancellationError` when the task is cancelled while it sleeps.
    func sleep(until moment: Timestamp) async throws(CancellationError)
}
