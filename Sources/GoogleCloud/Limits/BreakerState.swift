internal import Encoding

/// A circuit breaker: after some failures in a row an API is left alone for a while, then one call tries whether it is
/// back. Times are uptime.
struct BreakerState: Sendable {
    /// What one call may do.
    enum Answer: Sendable, Hashable {
        case go(isProbe: Bool)
        /// At the earliest after this time.
        case refuse(Duration)
    }

    enum Phase: String, Sendable, Hashable, CaseIterable {
        case closed
        case open
        case probing
    }

    private(set) var phase = Phase.closed
    /// When the first failure of the present row happened, by the time of day: for people.
    private(set) var failingSince: Timestamp?
    /// What the last failure was, for people.
    private(set) var lastFailure = ""
    private let settings: LimitSettings.Breaker
    private var failureCount = 0
    private var pause: Duration = .zero
    /// While open: when the next call may try. While probing: when the probe counts as lost.
    private var next: Duration = .zero

    init(_ settings: LimitSettings.Breaker) { self.settings = settings }

    mutating func ask(now: Duration) -> Answer {
        switch phase {
        case .closed: return .go(isProbe: false)
        case .open, .probing:
            guard now >= next else {
                // Nobody knows how long a probe takes; a look a second is cheap, as nothing is sent.
                return .refuse(phase == .open ? next - now : min(next - now, .seconds(1)))
            }
            phase = .probing
            next = now + settings.longestProbe
            return .go(isProbe: true)
        }
    }

    /// The API answered, with whatever.
    ///
    /// - Returns: whether it was left alone until now.
    mutating func succeeded() -> Bool {
        let wasOpen = phase != .closed
        self = BreakerState(settings)
        return wasOpen
    }

    /// No answer, or none of the API's own.
    ///
    /// - Returns: whether this failure is why it is left alone from now on.
    mutating func failed(_ what: String, isProbe: Bool, now: Duration, at time: Timestamp) -> Bool {
        failingSince = failingSince ?? time
        lastFailure = what
        failureCount += 1
        switch phase {
        case .closed:
            guard failureCount >= settings.failures else { return false }
            pause = settings.firstPause
        case .probing where isProbe:
            pause = min(pause * 2, settings.longestPause)
        case .open, .probing:
            return false  // Sent before it was left alone.
        }
        let opened = phase == .closed
        phase = .open
        next = now + pause
        return opened
    }

    /// A probe ended without saying anything about the API: the next call is the probe.
    mutating func probeAbandoned(now: Duration) {
        guard phase == .probing else { return }
        phase = .open
        next = now
    }
}
