public import HTTP

/// Keeps a list of objects current: lists, watches from there, resumes from the last resource version, lists again when
/// the server has forgotten it. A value: inputs are facts, the answer is what to do next.
public struct WatchState: Sendable, Hashable {
    /// What the driver does next.
    public enum Command: Sendable, Hashable {
        /// Read a page; nil begins a new list, whatever was collected is dropped.
        case list(continueToken: String?)
        /// The list is complete (if one was going on): watch from here.
        case watch(resourceVersion: String)
        /// Then call `waitEnded`.
        case wait(Duration)
    }

    /// A watch that ends sooner without a single event was refused in disguise.
    static let shortestHealthyWatch: Duration = .seconds(1)

    private var afterWait = Command.list(continueToken: nil)
    private var resourceVersion = ""
    private var continueToken: String?
    private var hasProgress = false
    private var backoff: Backoff

    public init(backoff: Backoff = Backoff(initial: .milliseconds(800), maximum: .seconds(30))) {
        self.backoff = backoff
    }

    /// The first command.
    public func start() -> Command { .list(continueToken: nil) }

    /// A page came.
    public mutating func pageReceived(resourceVersion: String, continueToken: String?) -> Command {
        self.continueToken = continueToken
        if let continueToken { return .list(continueToken: continueToken) }
        self.resourceVersion = resourceVersion
        return watch()
    }

    /// A page did not come. The same page again, or from the start when its token has expired.
    public mutating func listFailed(_ error: APIError, random: Double) -> Command {
        let token = error.code == .expired ? nil : continueToken
        continueToken = token
        return wait(error, then: .list(continueToken: token), random: random)
    }

    /// An event or a bookmark came.
    public mutating func eventReceived(resourceVersion: String) {
        self.resourceVersion = resourceVersion
        hasProgress = true
        backoff.reset()
    }

    /// The server ended the watch as it does every few minutes.
    public mutating func watchEnded(after lifetime: Duration, random: Double) -> Command {
        if hasProgress || lifetime >= WatchState.shortestHealthyWatch {
            backoff.reset()
            return watch()
        }
        afterWait = watch()
        return .wait(backoff.next(random: random))
    }

    /// The watch could not be opened, broke, or sent an ERROR event.
    public mutating func watchFailed(_ error: APIError, random: Double) -> Command {
        guard error.code == .expired else { return wait(error, then: watch(), random: random) }
        // The first time at once: the objects are stale until the list is here. Again without progress: slowly.
        guard backoff.attempt > 0 else {
            _ = backoff.next(random: random)
            return .list(continueToken: nil)
        }
        return wait(error, then: .list(continueToken: nil), random: random)
    }

    /// The wait is over.
    public func waitEnded() -> Command { afterWait }

    private mutating func watch() -> Command {
        hasProgress = false
        return .watch(resourceVersion: resourceVersion)
    }

    private mutating func wait(_ error: APIError, then command: Command, random: Double) -> Command {
        afterWait = command
        return .wait(max(backoff.next(random: random), error.retryAfter ?? .zero))
    }
}
