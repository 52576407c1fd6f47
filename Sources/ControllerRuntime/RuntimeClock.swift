public import Encoding
public import Telemetry

/// The runtime's time: the wall clock for what is written into objects, the uptime for deadlines and delays, so that a
/// step of the wall clock neither shortens nor prolongs them.
public struct RuntimeClock: Sendable {
    private let wall: any WallClock
    private let measure: @Sendable () -> Duration
    private let pause: @Sendable (Duration) async throws -> Void

    /// - Parameters:
    ///   - uptime: a clock that only goes forward, suspended time included.
    ///   - sleep: by that clock; throws when the task is cancelled.
    public init(
        wall: any WallClock, uptime: @escaping @Sendable () -> Duration,
        sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.wall = wall
        self.measure = uptime
        self.pause = sleep
    }

    /// The machine's uptime beside a wall clock.
    public static func system(wall: any WallClock) -> RuntimeClock {
        let start = ContinuousClock.now
        return RuntimeClock(wall: wall, uptime: { start.duration(to: .now) }) { duration in
            try await Task.sleep(for: duration, tolerance: .zero, clock: ContinuousClock())
        }
    }

    /// Both from one clock that tests move; `wall` shows another time of day.
    public static func virtual(_ clock: any WallClock, wall: (any WallClock)? = nil) -> RuntimeClock {
        let start = clock.now
        return RuntimeClock(wall: wall ?? clock, uptime: { clock.now - start }) { duration in
            try await clock.sleep(until: clock.now + duration)
        }
    }

    /// The time of day.
    public var now: Timestamp { wall.now }

    /// Since some fixed moment.
    public var uptime: Duration { measure() }

    /// Returns after `duration` of uptime, or at once when it is not positive.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    public func sleep(for duration: Duration) async throws(CancellationError) {
        guard duration > .zero else { return }
        do {
            try await pause(duration)
        } catch {
            throw CancellationError()
        }
    }
}
