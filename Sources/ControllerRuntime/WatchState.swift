public import HTTP
import Kubernetes

/// Keeps a list of objects current: reads all of them (in a watch that begins with them, or in pages where the server
/// has no such watches), watches from there, resumes from the last resource version, reads all again when the server
/// has forgotten it. A value: inputs are facts, the answer is what to do next.
public struct WatchState: Sendable, Hashable {
    /// What the driver does next.
    public enum Command: Sendable, Hashable {
        /// Begin anew: open a watch that sends all objects first, and go on watching.
        case stream
        /// Read a page; nil begins a new list, whatever was read before is not the whole.
        case list(continueToken: String?)
        /// The list is complete (if one was going on): watch from here.
        case watch(resourceVersion: String)
        /// Then call `waitEnded`.
        case wait(Duration)
    }

    /// A watch that ends sooner without a single event was refused in disguise.
    static let shortestHealthyWatch: Duration = .seconds(1)
    /// A watch that lived so long has earned that the next expiry is answered at once.
    static let longHealthyWatch: Duration = .seconds(30)
    /// Initial events that broke off so often in a row are read in pages instead.
    static let maximumBrokenStreams = 3
    /// Answers "too large" in a row after which the server is not behind but has been put back to an earlier state.
    static let maximumTooLarge = 3
    /// Lists in a row that are older than what was seen before; then the server has been put back.
    static let maximumStaleLists = 3

    /// Whether watches that begin with all objects are tried at all.
    private var streams: Bool
    private var afterWait: Command
    private var resourceVersion = ""
    private var continueToken: String?
    private var isReadingInitialEvents = false
    private var hasProgress = false
    private var brokenStreamCount = 0
    private var tooLargeCount = 0
    private var staleListCount = 0
    private var backoff: Backoff
    /// Of reading everything again: not reset by a mere event, so that a server that expires each watch after one
    /// event is not asked for everything all the time.
    private var relistBackoff: Backoff

    public init(
        streams: Bool = true, backoff: Backoff = Backoff(initial: .milliseconds(800), maximum: .seconds(30))
    ) {
        self.streams = streams
        self.backoff = backoff
        relistBackoff = backoff
        afterWait = .list(continueToken: nil)
    }

    /// The first command.
    public mutating func start() -> Command { readAll() }

    // MARK: Pages

    /// A page came.
    public mutating func pageReceived(resourceVersion: String, continueToken: String?) -> Command {
        self.continueToken = continueToken
        if let continueToken { return .list(continueToken: continueToken) }
        staleListCount = 0
        self.resourceVersion = resourceVersion
        return watch()
    }

    /// A page did not come. The same page again, or from the start when its token has expired.
    public mutating func listFailed(_ error: APIError, random: Double) -> Command {
        let token = error.code == .expired ? nil : continueToken
        continueToken = token
        return wait(error, then: .list(continueToken: token), random: random)
    }

    /// A list (or the end of the initial events) is older than what was seen before. Again after a wait; nil when that
    /// has happened so often that the server must have been put back to an earlier state: take the list as it is.
    public mutating func staleListReceived(random: Double) -> Command? {
        isReadingInitialEvents = false
        staleListCount += 1
        guard staleListCount < WatchState.maximumStaleLists else { return nil }
        continueToken = nil
        afterWait = .list(continueToken: nil)
        return .wait(backoff.next(random: random))
    }

    // MARK: Watches

    /// All objects have come; changes follow in the same watch.
    public mutating func initialEventsEnded(resourceVersion: String) {
        isReadingInitialEvents = false
        brokenStreamCount = 0
        staleListCount = 0
        eventReceived(resourceVersion: resourceVersion)
    }

    /// The initial events did not end in time: this server does not know them, whatever it says.
    public mutating func initialEventsStalled() -> Command {
        streams = false
        return readAll()
    }

    /// An event or a bookmark came.
    public mutating func eventReceived(resourceVersion: String) {
        guard !isReadingInitialEvents else { return }
        self.resourceVersion = resourceVersion
        hasProgress = true
        tooLargeCount = 0
        backoff.reset()
    }

    /// The server ended the watch as it does every few minutes.
    public mutating func watchEnded(after lifetime: Duration, random: Double) -> Command {
        noteLifetime(lifetime)
        if isReadingInitialEvents { return streamBroke(wait: .zero, random: random) }
        if hasProgress || lifetime >= WatchState.shortestHealthyWatch {
            backoff.reset()
            return watch()
        }
        afterWait = watch()
        return .wait(backoff.next(random: random))
    }

    /// The watch could not be opened, broke, or sent an ERROR event.
    public mutating func watchFailed(_ error: APIError, after lifetime: Duration, random: Double) -> Command {
        noteLifetime(lifetime)
        if isReadingInitialEvents {
            guard error.code != .invalid else {
                streams = false
                return readAll()
            }
            return streamBroke(wait: error.retryAfter ?? .zero, random: random)
        }
        if error.reason == APIError.resourceVersionTooLarge {
            tooLargeCount += 1
            if tooLargeCount >= WatchState.maximumTooLarge {
                tooLargeCount = 0
                return readAllAgain(wait: error.retryAfter ?? .zero, random: random)
            }
        }
        guard error.code == .expired else { return wait(error, then: watch(), random: random) }
        return readAllAgain(wait: error.retryAfter ?? .zero, random: random)
    }

    /// The API server does not know the kind. Everything is read when it does; it is asked once a minute.
    public mutating func kindIsAbsent(random: Double) -> Command {
        continueToken = nil
        isReadingInitialEvents = false
        brokenStreamCount = 0
        afterWait = .stream
        return .wait(.seconds(120) * random)
    }

    /// The wait is over.
    public mutating func waitEnded() -> Command {
        if afterWait == .stream { return readAll() }
        return afterWait
    }

    // MARK: Decisions

    private mutating func readAll() -> Command {
        continueToken = nil
        guard streams, brokenStreamCount < WatchState.maximumBrokenStreams else { return .list(continueToken: nil) }
        isReadingInitialEvents = true
        hasProgress = false
        return .stream
    }

    /// The first time at once: the objects are stale until they are here. Again soon after: slowly.
    private mutating func readAllAgain(wait: Duration, random: Double) -> Command {
        defer { if relistBackoff.attempt == 0 { _ = relistBackoff.next(random: random) } }
        guard relistBackoff.attempt > 0 else { return readAll() }
        afterWait = .stream
        return .wait(max(relistBackoff.next(random: random), wait))
    }

    private mutating func streamBroke(wait: Duration, random: Double) -> Command {
        isReadingInitialEvents = false
        brokenStreamCount += 1
        afterWait = .stream
        return .wait(max(backoff.next(random: random), wait))
    }

    private mutating func noteLifetime(_ lifetime: Duration) {
        if lifetime >= WatchState.longHealthyWatch { relistBackoff.reset() }
    }

    private mutating func watch() -> Command {
        isReadingInitialEvents = false
        hasProgress = false
        // Read in pages once: the next time the watch is tried again.
        brokenStreamCount = 0
        return .watch(resourceVersion: resourceVersion)
    }

    private mutating func wait(_ error: APIError, then command: Command, random: Double) -> Command {
        afterWait = command
        return .wait(max(backoff.next(random: random), error.retryAfter ?? .zero))
    }
}
