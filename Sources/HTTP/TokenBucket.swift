/// How many requests go per second, and how many at once after a rest.
public struct Rate: Sendable, Hashable {
    /// At least 0.001.
    public var perSecond: Double
    /// At least 1.
    public var burst: Int

    public init(perSecond: Double, burst: Int) {
        self.perSecond = max(perSecond, 0.001)
        self.burst = max(burst, 1)
    }
}

/// A token bucket; times are uptime. Callers get their turns in the order in which they asked.
public struct TokenBucket: Sendable {
    private let rate: Rate
    /// Negative when callers wait.
    private var tokens: Double
    private var refilled: Duration?

    public init(_ rate: Rate) {
        self.rate = rate
        tokens = Double(rate.burst)
    }

    /// Takes a token that is there, or one to come; returns how long until then.
    public mutating func reserve(now: Duration) -> Duration {
        refill(now)
        let wait = wait()
        tokens -= 1
        return wait
    }

    /// Takes a token that is there, or one to come.
    ///
    /// - Returns: how long until then; nil when that is longer than `longestWait`, and then nothing is taken.
    public mutating func reserve(now: Duration, longestWait: Duration) -> Duration? {
        refill(now)
        return wait() <= longestWait ? reserve(now: now) : nil
    }

    /// Somebody who took a token does not use it.
    public mutating func giveBack() { tokens = min(tokens + 1, Double(rate.burst)) }

    /// Whether nobody waits and nothing was taken lately: then it is like a new one.
    public mutating func isFull(now: Duration) -> Bool {
        refill(now)
        return tokens >= Double(rate.burst)
    }

    /// How long until a token is there that nobody has taken.
    public func wait() -> Duration { tokens >= 1 ? .zero : .seconds((1 - tokens) / rate.perSecond) }

    private mutating func refill(_ now: Duration) {
        if let refilled, now > refilled {
            tokens = min(Double(rate.burst), tokens + (now - refilled) / .seconds(1) * rate.perSecond)
        }
        refilled = max(refilled ?? now, now)
    }
}
