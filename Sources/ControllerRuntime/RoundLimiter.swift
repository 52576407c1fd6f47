/// Keeps a single object from taking rounds without end, whatever makes it ask for them (a plan that flips its own status,
/// a child that each apply changes, a writer that never rests): a burst, then one a second.
struct RoundLimiter: Sendable {
    static let burst = 20.0
    static let interval: Duration = .seconds(1)
    /// Beyond so many entries those that count nothing any more go.
    static let pruningCount = 1024

    private struct Tokens: Sendable {
        var count: Double
        var at: Duration

        func refilled(_ now: Duration) -> Double {
            min(RoundLimiter.burst, count + (now - at) / RoundLimiter.interval)
        }
    }

    private var tokens: [ObjectKey: Tokens] = [:]
    private var nextPruning = RoundLimiter.pruningCount

    var count: Int { tokens.count }

    /// Takes a token for a round now; nil when there is one, else the time until there is.
    mutating func admit(_ key: ObjectKey, now: Duration) -> Duration? {
        let available = tokens[key]?.refilled(now) ?? Self.burst
        guard available >= 1 else { return Self.interval * (1 - available) }
        tokens[key] = Tokens(count: available - 1, at: now)
        prune(now)
        return nil
    }

    private mutating func prune(_ now: Duration) {
        guard tokens.count > nextPruning else { return }
        tokens = tokens.filter { $0.value.refilled(now) < Self.burst }
        nextPruning = max(Self.pruningCount, tokens.count * 2)
    }
}
