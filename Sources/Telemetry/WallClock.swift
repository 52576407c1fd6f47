public import Encoding

/// The time of day, and sleeping by it: the system's in production, a virtual one in tests.
public protocol WallClock: Sendable {
    /// The time now.
    var now: Timestamp { get }

    /// Since some fixed moment, suspended time included; no step of the time of day changes it. What lasts is measured
    /// by this.
    var uptime: Duration { get }

    /// Returns at or after `moment`.
    ///
    /// - Throws: `CancellationError` when the task is cancelled while it sleeps.
    func sleep(until moment: Timestamp) async throws(CancellationError)

    /// Returns after `duration` of uptime, or at once when it is not positive.
    ///
    /// - Throws: `CancellationError` when the task is cancelled while it sleeps.
    func sleep(for duration: Duration) async throws(CancellationError)
}

/// For virtual clocks, whose time of day only goes forward.
extension WallClock {
    public var uptime: Duration { now - Timestamp(seconds: 0) }

    public func sleep(for duration: Duration) async throws(CancellationError) {
        guard duration > .zero else { return }
        try await sleep(until: now + duration)
    }
}
