public import Encoding
public import Telemetry

/// The runtime's time: the wall clock for what is written into objects, the uptime for deadlines and delays, so that a
/// step of the wall clock neither shortens nor prolongs them.
public struct RuntimeClock: Sendable {
    private let wall: any WallClock
    private let measure: @Sendable () -> Duration

    /// - Parameter uptime: a clock that only goes forward, suspended time included.
    public init(wall: any WallClock, uptime: @escaping @Sendable () -> Duration) {
        self.wall = wall
        self.measure = uptime
    }

    /// The machine's uptime beside a wall clock.
    public static func system(wall: any WallClock) -> RuntimeClock {
        let start = ContinuousClock.now
        return RuntimeClock(wall: wall) { start.duration(to: .now) }
    }

    /// Both from one clock that tests move.
    public static func virtual(_ clock: any WallClock) -> RuntimeClock {
        let start = clock.now
        return RuntimeClock(wall: clock) { clock.now - start }
    }

    /// The time of day.
    public var now: Timestamp { wall.now }

    /// Since some fixed moment.
    public var uptime: Duration { measure() }

    /// Returns after `duration`, or at once when it is not positive.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    public func sleep(for duration: Duration) async throws(CancellationError) {
        guard duration > .zero else { return }
        try await wall.sleep(until: wall.now + duration)
    }
}
