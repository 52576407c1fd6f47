public import Encoding

/// A step of the wall clock that was not time that passed.
public struct ClockJump: Sendable, Hashable {
    /// By the wall clock after it: when it was noticed.
    public var time: Timestamp
    /// By how much the clock was put forward.
    public var amount: Duration

    public init(time: Timestamp, amount: Duration) {
        self.time = time
        self.amount = amount
    }
}

/// Compares the wall clock with the machine's uptime. Time in which the machine was suspended passed by both: nodes cost
/// money meanwhile. What was before this process began nobody knows: then the wall clock is believed.
struct ClockWatch: Sendable {
    /// Less than this is slewing, and the time between reading the two clocks.
    private static let tolerance: Duration = .seconds(30)
    /// Jumps beyond this number are forgotten, the oldest first.
    private static let limit = 16

    private var last: (wall: Timestamp, uptime: Duration)?
    private(set) var jumps: [ClockJump] = []

    /// Notes what both clocks show now.
    mutating func look(wall: Timestamp, uptime: Duration) {
        defer { last = (wall, uptime) }
        guard let last else { return }
        let amount = (wall - last.wall) - (uptime - last.uptime)
        guard amount > Self.tolerance else { return }
        jumps = (jumps + [ClockJump(time: wall, amount: amount)]).suffix(Self.limit)
    }
}

extension [ClockJump] {
    /// What passed from a moment to another by the wall clock, without the jumps between them.
    func elapsed(since start: Timestamp, until end: Timestamp) -> Duration {
        let jumped = filter { $0.time > start && $0.time <= end }.reduce(Duration.zero) { $0 + $1.amount }
        return Swift.max(.zero, end - start - jumped)
    }
}
