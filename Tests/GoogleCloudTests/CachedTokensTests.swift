import Encoding
import HTTP
import Sandbox
import Synchronization
import Telemetry
import Testing

@testable import GoogleCloud

/// Gives what the test says, when the test says it.
final class HeldFetcher: TokenFetcher {
    typealias Answer = Result<AccessToken, APIError>

    private let tickets = Mutex<[Ticket<Answer>]>([])

    var count: Int { tickets.withLock(\.count) }

    func fetch() async throws(APIError) -> AccessToken {
        let ticket = Ticket<Answer>()
        tickets.withLock { $0.append(ticket) }
        guard let answer = await ticket.value() else {
            throw APIError(.cancelled, operation: "fetch", message: "the fetch was cancelled")
        }
        return try answer.get()
    }

    /// Answers fetch number `number`, from 1.
    func answer(_ number: Int, _ answer: Answer) {
        tickets.withLock { $0[number - 1] }.resolve(answer)
    }
}

/// Looks again and again until it is so; a test that never gets there fails.
func eventually(_ isSo: () -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(60)
    while !isSo() {
        try #require(ContinuousClock.now < end, "it did not happen within a minute")
        await Task.yield()
    }
}

@Suite struct CachedTokensTests {
    private let clock = VirtualClock()
    private let fetcher = HeldFetcher()
    private let cache: CachedTokens

    init() { cache = CachedTokens(fetcher, clock: clock) }

    private static func token(_ secret: String, seconds: Int64 = 1000) -> AccessToken {
        AccessToken(secret, lifetime: .seconds(seconds))
    }

    private func ask() -> Task<Result<AccessToken?, APIError>, Never> {
        Task { [cache] in
            do throws(APIError) {
                return .success(try await cache.token())
            } catch {
                return .failure(error)
            }
        }
    }

    private static let lost = APIError(.unavailable, operation: "fetch", message: "not there")

    @Test func `a thousand callers cause one request, and a caller that is cancelled leaves the others`() async throws {
        let callers = (0..<1000).map { _ in ask() }
        try await eventually { cache.waiterCount == 1000 }
        for caller in callers[..<10] { caller.cancel() }
        for caller in callers[..<10] {
            #expect(await caller.value == .failure(cancelledWaiting))
        }
        fetcher.answer(1, .success(Self.token("a")))
        for caller in callers[10...] { #expect(await caller.value == .success(Self.token("a"))) }
        #expect(fetcher.count == 1)
    }

    private var cancelledWaiting: APIError {
        APIError(.cancelled, operation: "token", message: "cancelled while it waited for an access token")
    }

    @Test func `the caller that began the fetch may be cancelled; the fetch goes on for all`() async throws {
        let first = ask()
        try await eventually { fetcher.count == 1 }
        let second = ask()
        try await eventually { cache.waiterCount == 2 }
        first.cancel()
        #expect(await first.value == .failure(cancelledWaiting))
        fetcher.answer(1, .success(Self.token("a")))
        #expect(await second.value == .success(Self.token("a")))
    }

    @Test func `from 80 % on one caller renews, and nobody else waits`() async throws {
        let first = ask()
        try await eventually { fetcher.count == 1 }
        fetcher.answer(1, .success(Self.token("a")))
        #expect(await first.value == .success(Self.token("a")))
        clock.advance(by: .seconds(800))
        let renewing = ask()
        try await eventually { fetcher.count == 2 }
        for _ in 0..<100 { #expect(await ask().value == .success(Self.token("a"))) }
        fetcher.answer(2, .success(Self.token("b")))
        #expect(await renewing.value == .success(Self.token("b")))
        #expect(await ask().value == .success(Self.token("b")))
        #expect(fetcher.count == 2)
    }

    @Test func `while the source is away the old token is used to its end, and the source is asked ever more rarely`()
        async throws
    {
        let first = ask()
        try await eventually { fetcher.count == 1 }
        fetcher.answer(1, .success(Self.token("a")))
        _ = await first.value
        clock.advance(by: .seconds(800))
        var fetchedAt: [Int] = []
        for second in 0..<200 {
            let count = fetcher.count
            let isAnswered = Mutex(false)
            let caller = Task {
                let result = await ask().value
                isAnswered.withLock { $0 = true }
                return result
            }
            try await eventually { fetcher.count > count || isAnswered.withLock { $0 } }
            if fetcher.count > count {
                fetchedAt.append(second)
                fetcher.answer(fetcher.count, .failure(Self.lost))
            }
            #expect(await caller.value == .success(Self.token("a")))
            clock.advance(by: .seconds(1))
        }
        #expect(fetchedAt == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181])
        // Over: the error is told, without a storm.
        let late = ask()
        guard case .failure(let error) = await late.value else {
            Issue.record("a token that is over was used")
            return
        }
        #expect(error.code == .unavailable)
        #expect(error.retryAfter == .seconds(11))
        #expect(fetcher.count == 12)
    }

    @Test func `a source that refuses is not asked by each of a thousand callers`() async throws {
        let first = ask()
        try await eventually { fetcher.count == 1 }
        fetcher.answer(1, .failure(Self.lost))
        #expect(await first.value == .failure(Self.lost))
        for _ in 0..<1000 {
            guard case .failure(let error) = await ask().value else {
                Issue.record("no error")
                return
            }
            #expect(error.retryAfter == .seconds(1))
        }
        #expect(fetcher.count == 1)
    }

    @Test func `a token that an API refused is fetched anew at once, five times; then it is used as it is`()
        async throws
    {
        for number in 1...5 {
            let caller = ask()
            try await eventually { fetcher.count == number }
            fetcher.answer(number, .success(Self.token("t\(number)")))
            #expect(await caller.value == .success(Self.token("t\(number)")))
            cache.discard(Self.token("an older one"))
            #expect(await ask().value == .success(Self.token("t\(number)")))
            cache.discard(Self.token("t\(number)"))
        }
        for _ in 0..<100 { #expect(await ask().value == .success(Self.token("t5"))) }
        clock.advance(by: .seconds(1))
        let caller = ask()
        try await eventually { fetcher.count == 6 }
        fetcher.answer(6, .success(Self.token("t6")))
        #expect(await caller.value == .success(Self.token("t6")))
    }

    @Test(arguments: [Duration.seconds(3600), .seconds(-3600), .seconds(1_000_000_000)])
    func `a step of the time of day neither ends nor prolongs a token`(step: Duration) async throws {
        let stepping = SteppingClock(clock)
        let cache = CachedTokens(fetcher, clock: stepping)
        async let first = cache.token()
        try await eventually { fetcher.count == 1 }
        fetcher.answer(1, .success(Self.token("a")))
        #expect(try await first == Self.token("a"))
        stepping.step(step)
        #expect(try await cache.token() == Self.token("a"))
        clock.advance(by: .seconds(799))
        #expect(try await cache.token() == Self.token("a"))
        #expect(fetcher.count == 1)
        clock.advance(by: .seconds(1))
        async let second = cache.token()
        try await eventually { fetcher.count == 2 }
        fetcher.answer(2, .success(Self.token("b")))
        #expect(try await second == Self.token("b"))
    }

    @Test func `a token of five seconds is renewed after four`() async throws {
        async let first = cache.token()
        try await eventually { fetcher.count == 1 }
        fetcher.answer(1, .success(Self.token("a", seconds: 5)))
        _ = try await first
        clock.advance(by: .milliseconds(3999))
        #expect(try await cache.token() == Self.token("a", seconds: 5))
        clock.advance(by: .milliseconds(1))
        let renewing = ask()
        try await eventually { fetcher.count == 2 }
        fetcher.answer(2, .failure(Self.lost))
        #expect(await renewing.value == .success(Self.token("a", seconds: 5)))
    }
}

/// A time of day that jumps, beside an uptime that does not.
final class SteppingClock: WallClock {
    private let base: VirtualClock
    private let offset = Mutex(Duration.zero)

    init(_ base: VirtualClock) { self.base = base }

    func step(_ duration: Duration) { offset.withLock { $0 = duration } }

    var now: Timestamp { base.now + offset.withLock { $0 } }
    var uptime: Duration { base.uptime }
    func sleep(until moment: Timestamp) async throws(CancellationError) {
        Issue.record("somebody sleeps by the time of day")
    }
    func sleep(for duration: Duration) async throws(CancellationError) { try await base.sleep(for: duration) }
}
