internal import HTTP
internal import Synchronization
internal import Telemetry

/// Keeps a token for as long as it is good, and renews it: the one cache in front of every source.
///
/// At 80 % of the lifetime one caller fetches the next token; the others go on with the old one, and so does that caller
/// when the fetch fails while the old one is valid. Without a valid token all callers wait for the one fetch; a caller
/// that is cancelled leaves the others waiting. Fetches that fail are tried again after 1 s, 2 s, … 30 s, whoever asks,
/// and no more than 5 tokens at once or one a second are fetched, whatever the APIs say about them.
final class CachedTokens: TokenSource {
    private typealias Answer = Result<AccessToken, APIError>

    private struct State {
        var machine = TokenCacheState()
        /// As many as there are callers.
        var waiters: [Ticket<Answer>] = []
    }

    private let fetcher: any TokenFetcher
    private let clock: any WallClock
    private let state = Mutex(State())

    init(_ fetcher: any TokenFetcher, clock: any WallClock) {
        self.fetcher = fetcher
        self.clock = clock
    }

    func token() async throws(APIError) -> AccessToken? {
        let ticket = Ticket<Answer>()
        let now = clock.uptime
        let turn = state.withLock { state in
            let turn = state.machine.turn(now: now)
            switch turn {
            case .use, .fail: break
            case .wait, .fetch: state.waiters.append(ticket)
            }
            return turn
        }
        switch turn {
        case .use(let token): return token
        case .fail(let error): throw error
        case .wait: break
        case .fetch: fetch(begun: now)
        }
        switch await ticket.value() {
        case .success(let token)?: return token
        case .failure(let error)?: throw error
        case nil:
            throw APIError(.cancelled, operation: "token", message: "cancelled while it waited for an access token")
        }
    }

    func discard(_ token: AccessToken) {
        state.withLock { $0.machine.refused(token) }
    }

    /// Who waits for the fetch in flight now; for tests.
    var waiterCount: Int { state.withLock(\.waiters.count) }

    /// A task of its own, as no caller's cancellation may end it for the others. Its requests' timeouts end it.
    private func fetch(begun: Duration) {
        Task {
            do throws(APIError) {
                finish(.success(try await fetcher.fetch()), begun: begun)
            } catch {
                finish(.failure(error), begun: begun)
            }
        }
    }

    private func finish(_ answer: Answer, begun: Duration) {
        let now = clock.uptime
        let (waiters, shared) = state.withLock { state in
            let shared = state.machine.fetched(answer, begun: begun, now: now)
            defer { state.waiters = [] }
            return (state.waiters, shared)
        }
        for waiter in waiters { waiter.resolve(shared) }
    }
}

/// What a token cache knows; times are uptime.
struct TokenCacheState {
    enum Turn {
        case use(AccessToken)
        case fail(APIError)
        /// For the fetch in flight.
        case wait
        /// The caller starts the fetch and waits for it.
        case fetch
    }

    private struct Held {
        var token: AccessToken
        var since: Duration
        /// By an API.
        var isRefused = false
    }

    static let longestPause: Duration = .seconds(30)

    private var held: Held?
    private var isFetching = false
    private var failureCount = 0
    private var nextFetch: Duration?
    private var lastError = APIError(.unavailable, operation: "token", message: "tokens are asked for too often")
    private var bucket = TokenBucket(Rate(perSecond: 1, burst: 5))

    mutating func turn(now: Duration) -> Turn {
        if let held, !held.isRefused, now - held.since < held.token.lifetime * 4 / 5 { return .use(held.token) }
        let usable = valid(now).flatMap { $0.isRefused ? nil : $0.token }
        if isFetching { return usable.map(Turn.use) ?? .wait }
        if nextFetch.map({ now < $0 }) == true || bucket.reserve(now: now, longestWait: .zero) == nil {
            // A refused token is better than none: the API's answer says more than "not now".
            if let held = valid(now) { return .use(held.token) }
            var error = lastError
            error.retryAfter = max(error.retryAfter ?? .zero, nextFetch.map { $0 - now } ?? .seconds(1))
            return .fail(error)
        }
        isFetching = true
        return .fetch
    }

    /// - Returns: what everybody who waits gets.
    mutating func fetched(
        _ answer: Result<AccessToken, APIError>, begun: Duration, now: Duration
    ) -> Result<AccessToken, APIError> {
        isFetching = false
        switch answer {
        case .success(let token):
            held = Held(token: token, since: begun)
            failureCount = 0
            nextFetch = nil
            return answer
        case .failure(let error):
            failureCount += 1
            lastError = error
            let pause = min(.seconds(1 << min(failureCount - 1, 10)), Self.longestPause)
            nextFetch = now + max(pause, min(error.retryAfter ?? .zero, .seconds(60)))
            if let held = valid(now), !held.isRefused { return .success(held.token) }
            return answer
        }
    }

    mutating func refused(_ token: AccessToken) {
        if held?.token == token { held?.isRefused = true }
    }

    private func valid(_ now: Duration) -> Held? {
        held.flatMap { now - $0.since < $0.token.lifetime ? $0 : nil }
    }
}
