/// Exponential backoff with full jitter: the n-th delay is uniform in 0 ..< min(maximum, initial × 2ⁿ).
///
/// Full jitter spreads clients that failed together best (Brooker, "Exponential Backoff And Jitter", 2015).
public struct Backoff: Sendable, Hashable {
    public let initial: Duration
    public let maximum: Duration
    /// Delays given out since the last reset.
    public private(set) var attempt = 0

    public init(initial: Duration, maximum: Duration) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The upper end of delay number `attempt` (from 0).
    public func ceiling(_ attempt: Int) -> Duration {
        guard attempt < 32 else { return maximum }
        return min(maximum, initial * (1 << max(0, attempt)))
    }

    /// The next delay; `random` is in 0 ..< 1.
    public mutating func next(random: Double) -> Duration {
        defer { attempt += 1 }
        return ceiling(attempt) * random
    }

    /// Begins again: something worked.
    public mutating func reset() { attempt = 0 }
}
