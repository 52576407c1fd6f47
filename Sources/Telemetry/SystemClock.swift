public import Encoding
import Glibc

/// The machine's time of day, and its uptime.
public struct SystemClock: WallClock {
    public init() {}

    public var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int32(time.tv_nsec))
    }

    /// Sleeps by the monotonic clock for the time that is left now, and looks again: a clock that is set back or
    /// forward meanwhile is noticed within a minute.
    public func sleep(until moment: Timestamp) async throws(CancellationError) {
        while true {
            let left = moment - now
            if left <= .zero { return }
            do {
                try await Task.sleep(for: min(left, .seconds(60)))
            } catch {
                throw CancellationError()
            }
        }
    }

    private static let start = ContinuousClock.now

    public var uptime: Duration { SystemClock.start.duration(to: .now) }

    public func sleep(for duration: Duration) async throws(CancellationError) {
        guard duration > .zero else { return }
        do {
            try await Task.sleep(for: duration, tolerance: .zero, clock: ContinuousClock())
        } catch {
            throw CancellationError()
        }
    }
}
