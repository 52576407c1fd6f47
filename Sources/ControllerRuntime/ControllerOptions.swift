/// How a controller is run.
public struct ControllerOptions: Sendable {
    /// Objects worked on at the same time.
    public var concurrency: Int
    /// How often an object that nobody changed is looked at, give or take a tenth; an object's annotation
    /// `trainyard.dev/recheck-seconds` says otherwise for that one.
    public var recheckInterval: Duration
    /// How often an object is looked at that waits for somebody to act.
    public var slowRetryInterval: Duration
    /// How often an object is looked at whose request was refused as wrong. Not a retry: only its change can help, or
    /// an upgrade of who refused it.
    public var invalidRetryInterval: Duration
    /// Conflicts in a row that are observed again at once.
    public var conflictLimit: Int
    /// How the delays of a failing object grow.
    public var retryBackoff: Backoff

    public init(
        concurrency: Int = 16, recheckInterval: Duration = .seconds(600), slowRetryInterval: Duration = .seconds(60),
        invalidRetryInterval: Duration = .seconds(3600), conflictLimit: Int = 5,
        retryBackoff: Backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(300))
    ) {
        self.concurrency = max(1, concurrency)
        self.recheckInterval = recheckInterval
        self.slowRetryInterval = slowRetryInterval
        self.invalidRetryInterval = invalidRetryInterval
        self.conflictLimit = conflictLimit
        self.retryBackoff = retryBackoff
    }

    /// Puts a key back as its round's outcome asks, before the queue hears that it has finished.
    ///
    /// What goes on at once keeps the priority of the round; whatever waits for a time comes back as a re-check: nobody
    /// changed anything, and a change that comes meanwhile lifts it.
    ///
    /// - Parameters:
    ///   - recheckInterval: the object's own, where it has one.
    ///   - random: in 0 ..< 1; spreads what would come together.
    func schedule(
        _ turn: WorkQueue.Turn, _ outcome: ReconcileOutcome, recheckInterval: Duration? = nil,
        in queue: inout WorkQueue, now: Duration, random: Double
    ) {
        let key = turn.key
        func goOn() { queue.add(key, priority: turn.priority, now: now) }
        func comeBack(after delay: Duration) { queue.add(key, due: now + delay) }
        func comeBackAbout(_ interval: Duration) { comeBack(after: interval * (0.9 + 0.2 * random)) }

        switch outcome {
        case .done: queue.forget(key)
        case .settled:
            queue.succeeded(key)
            comeBackAbout(recheckInterval ?? self.recheckInterval)
        case .again(let delay):
            queue.succeeded(key)
            if delay > .zero { comeBack(after: delay) } else { goOn() }
        case .failed(_, let retry):
            let backoff = queue.failed(key, random: random)
            switch retry {
            case .atOnce:
                if queue.failureCount(key) <= conflictLimit { goOn() } else { comeBack(after: backoff) }
            case .after(let delay): comeBack(after: delay * (1 + 0.1 * random))
            case .backoff: comeBack(after: backoff)
            case .slowly, .never: comeBackAbout(slowRetryInterval)
            case .whenChanged: comeBackAbout(invalidRetryInterval)
            }
        }
    }
}
