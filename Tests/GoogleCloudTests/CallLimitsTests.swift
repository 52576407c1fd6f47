import Encoding
import HTTP
import Sandbox
import Synchronization
import Telemetry
import Testing

@testable import GoogleCloud

/// Keeps requests until the test answers them.
private final class HeldTransport: HTTPTransport {
    private struct State {
        var requests: [HTTPRequest] = []
        var tickets: [Ticket<HTTPResponse>] = []
        var inFlight = 0
        var mostInFlight = 0
    }

    private let state = Mutex(State())

    var count: Int { state.withLock(\.requests.count) }
    var mostInFlight: Int { state.withLock(\.mostInFlight) }
    var pools: [String] {
        state.withLock(\.requests).map { $0.url.path.split(separator: "/").last.map(String.init) ?? "" }
    }

    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        let ticket = Ticket<HTTPResponse>()
        state.withLock { state in
            state.requests.append(request)
            state.tickets.append(ticket)
            state.inFlight += 1
            state.mostInFlight = max(state.mostInFlight, state.inFlight)
        }
        let response = await ticket.value()
        state.withLock { $0.inFlight -= 1 }
        guard let response else { throw APIError(.cancelled, operation: "test", message: "cancelled") }
        return response
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        throw APIError(.invalid, operation: "test", message: "not used")
    }

    /// Answers request `number`, from 1.
    func answer(_ number: Int, _ response: HTTPResponse = .json(["name": "operation-1"])) {
        state.withLock { $0.tickets[number - 1] }.resolve(response)
    }
}

@Suite struct CallLimitsTests {
    private let clock = VirtualClock()
    private let transport = HeldTransport()
    private let registry = MetricsRegistry()
    private let metrics: CallMetrics
    private let container: ContainerClient

    init() {
        metrics = CallMetrics(registry)
        let limits = CallLimits(clock: clock, metrics: metrics, random: { 0 })
        container = ContainerClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: clock, limits: limits))
    }

    private func delete(
        _ pool: String, for owner: String, in name: ClusterName = cluster
    ) -> Task<APIError?, Never> {
        Task { [container] in
            await failure { () async throws(APIError) in
                try await CallOwner.named(owner) { () async throws(APIError) in
                    try await container.deleteNodePool(pool, in: name)
                }
            }
        }
    }

    /// Starts a call and waits until it waits for its turn: one sleeper more, for its deadline.
    private func deleteLater(_ pool: String, for owner: String) async throws -> Task<APIError?, Never> {
        let sleepers = clock.sleeperCount
        let task = delete(pool, for: owner)
        try await eventually { clock.sleeperCount > sleepers }
        return task
    }

    @Test func `changes of a cluster go one at a time, and namespaces take turns`() async throws {
        var calls = [delete("a1", for: "a")]
        try await eventually { transport.count == 1 }
        for (pool, owner) in [("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c")] {
            calls.append(try await deleteLater(pool, for: owner))
        }
        // Another cluster, and reading, wait for nobody.
        let other = try #require(ClusterName(project: "p1", location: "us-central1", cluster: "c2"))
        let elsewhere = delete("x1", for: "a", in: other)
        try await eventually { transport.count == 2 }
        let reading = Task { [container] in
            await failure { () async throws(APIError) in try await container.nodePool("r1", in: cluster) }
        }
        try await eventually { transport.count == 3 }
        #expect(Set(transport.pools[1...]) == ["x1", "r1"])
        transport.answer(2)
        transport.answer(3)
        #expect(await elsewhere.value == nil)
        #expect(await reading.value == nil)
        transport.answer(1)
        for number in 4...7 {
            try await eventually { transport.count == number }
            transport.answer(number)
        }
        for call in calls { #expect(await call.value == nil) }
        #expect(transport.pools.filter { $0 != "x1" && $0 != "r1" } == ["a1", "a2", "b1", "c1", "a3"])
        #expect(metrics.waits.count("container", "mutate", "cluster") == 6)
    }

    @Test func `many namespaces at once never have two changes under way`() async throws {
        var calls: [Task<APIError?, Never>] = []
        for owner in 0..<10 { for pool in 0..<2 { calls.append(delete("n\(owner)-\(pool)", for: "n\(owner)")) } }
        for number in 1...20 {
            // Rates: ten at once, two a second after that.
            try await eventually {
                if transport.count < number { clock.advance(by: .milliseconds(1)) }
                return transport.count == number
            }
            transport.answer(number)
        }
        for call in calls { #expect(await call.value == nil) }
        #expect(transport.mostInFlight == 1)
    }

    @Test func `who would be the fifth to wait of a namespace is refused at once`() async throws {
        let first = delete("a0", for: "a")
        try await eventually { transport.count == 1 }
        var calls: [Task<APIError?, Never>] = []
        for number in 1...4 { calls.append(try await deleteLater("a\(number)", for: "a")) }
        let error = try #require(await delete("a5", for: "a").value)
        #expect(error.code == .rateLimited)
        #expect(error.reason == "ClusterBusy")
        #expect(error.retryAfter == .seconds(15))
        #expect(
            error.message
                == "other changes of projects/p1/locations/us-central1/clusters/c1 go first: GKE makes one at a "
                + "time")
        #expect(metrics.throttled.value("container", "mutate", "cluster") == 1)
        // Time is bounded as well.
        clock.advance(by: .seconds(20))
        for call in calls { #expect(await call.value?.reason == "ClusterBusy") }
        transport.answer(1)
        #expect(await first.value == nil)
        let next = delete("a6", for: "a")
        try await eventually { transport.count == 2 }
        transport.answer(2)
        #expect(await next.value == nil)
    }

    @Test func `who is cancelled while it waits goes, and the others move up`() async throws {
        let first = delete("a1", for: "a")
        try await eventually { transport.count == 1 }
        let second = try await deleteLater("a2", for: "a")
        let third = try await deleteLater("a3", for: "a")
        second.cancel()
        #expect(await second.value?.code == .cancelled)
        transport.answer(1)
        try await eventually { transport.count == 2 }
        #expect(transport.pools == ["a1", "a3"])
        transport.answer(2)
        #expect(await first.value == nil)
        #expect(await third.value == nil)
        #expect(clock.sleeperCount == 0)
    }

    @Test func `a cluster with a running operation rests five seconds, and the waiting namespace is next`() async throws
    {
        let first = delete("a1", for: "a")
        try await eventually { transport.count == 1 }
        let second = try await deleteLater("b1", for: "b")
        transport.answer(
            1,
            .json(
                [
                    "error": [
                        "code": 400, "status": "FAILED_PRECONDITION",
                        "message": "Cluster is running incompatible operation operation-1.",
                    ]
                ], status: 400))
        let refused = try #require(await first.value)
        #expect(refused.code == .rateLimited)
        #expect(metrics.throttled.value("container", "mutate", "service") == 1)
        try await eventually { clock.nextWake == clock.now + .seconds(5) }
        let third = delete("a2", for: "a")
        try await eventually { clock.sleeperCount == 2 }
        #expect(transport.count == 1)
        clock.advance(by: .seconds(5))
        try await eventually { transport.count == 2 }
        #expect(transport.pools.last == "b1")
        transport.answer(2)
        try await eventually { transport.count == 3 }
        transport.answer(3)
        #expect(await second.value == nil)
        #expect(await third.value == nil)
    }

    @Test
    func `a call waits for its rate, gives its place back when cancelled, and is refused beyond the longest wait`()
        async throws
    {
        let impatient = ImpatientClock()
        var settings = LimitSettings()
        settings.rates["storage"] = .init(read: Rate(perSecond: 1, burst: 2), mutate: Rate(perSecond: 1, burst: 1))
        settings.longestRateWait = .seconds(2)
        let limits = CallLimits(settings, clock: impatient, metrics: metrics, random: { 1 })
        let url = try #require(HTTPURL("https://storage.googleapis.com/storage/v1/b?project=p"))
        let call = GoogleCall("storage.buckets.list", .get, url)
        for _ in 0..<4 { limits.finished(try await limits.admit(call), .answered) }
        #expect(impatient.pauses == [.seconds(1), .seconds(1)])
        #expect(metrics.waits.count("storage", "read", "rate") == 4)
        // Other projects have buckets of their own.
        let other = try #require(HTTPURL("https://storage.googleapis.com/storage/v1/b?project=q"))
        _ = try await limits.admit(GoogleCall("storage.buckets.list", .get, other))
        #expect(impatient.pauses.count == 2)

        let virtual = CallLimits(settings, clock: clock, metrics: metrics, random: { 1 })
        func ask() -> Task<APIError?, Never> {
            Task { await failure { () async throws(APIError) in _ = try await virtual.admit(call) } }
        }
        #expect(await ask().value == nil)
        #expect(await ask().value == nil)
        let third = ask()
        try await eventually { clock.sleeperCount == 1 }
        let fourth = ask()
        try await eventually { clock.sleeperCount == 2 }
        let refused = try #require(await ask().value)
        #expect(refused.code == .rateLimited)
        #expect(refused.retryAfter == .milliseconds(4500))
        #expect(metrics.throttled.value("storage", "read", "rate") == 1)
        third.cancel()
        #expect(await third.value?.code == .cancelled)
        let fifth = ask()
        try await eventually { clock.sleeperCount == 2 }
        clock.advance(by: .seconds(2))
        #expect(await fourth.value == nil)
        #expect(await fifth.value == nil)
    }

    @Test func `an API that does not answer is left alone, and the others go on`() async throws {
        let isDown = Mutex(true)
        let scripted = ScriptedTransport { number, request in
            if request.url.authority.hasPrefix("storage") { return .reply(.json(["name": "b"])) }
            guard isDown.withLock({ $0 }) else { return .reply(.json(["name": "pool"])) }
            return number == 1 ? .loseRequest : .reply(HTTPResponse(status: 503, body: Array("<html>".utf8)))
        }
        let limits = CallLimits(clock: clock, metrics: metrics, random: { 0 })
        let client = GoogleCloudClient(transport: scripted, tokens: NoTokens(), clock: clock, limits: limits)
        let (container, storage) = (ContainerClient(client), StorageClient(client))
        func read() async -> APIError? {
            await failure { () async throws(APIError) in try await container.nodePool("pool", in: cluster) }
        }
        let began = clock.now
        for _ in 0..<5 { #expect(await read()?.code == .unavailable) }
        #expect(scripted.requests.count == 5)
        #expect(metrics.breakerOpen.value("container") == 1)
        clock.advance(by: .seconds(1))
        let refused = try #require(await read())
        #expect(
            refused
                == APIError(
                    .unavailable, operation: "container.nodePools.get",
                    message: "Google's container API has not answered since \(began) (HTTP 503): it is left alone, and "
                        + "tried again from time to time", reason: "CircuitBreakerOpen", retryAfter: .seconds(4)))
        #expect(scripted.requests.count == 5)
        #expect(metrics.throttled.value("container", "read", "breaker") == 1)
        #expect(try await storage.bucket("some-bucket").name == "b")

        clock.advance(by: .seconds(4))
        #expect(await read()?.reason == nil)
        #expect(scripted.requests.count == 7)
        #expect(await read()?.reason == "CircuitBreakerOpen")
        isDown.withLock { $0 = false }
        clock.advance(by: .seconds(10))
        #expect(await read() == nil)
        #expect(await read() == nil)
        #expect(metrics.breakerOpen.value("container") == 0)
        #expect(metrics.breakerOpened.value("container") == 1)
        #expect(scripted.requests.count == 9)
    }

    @Test func `a probe that is cancelled says nothing, and the next call is the probe`() async throws {
        let limits = CallLimits(clock: clock, metrics: metrics, random: { 0 })
        let call = GoogleCall("tpu.x.get", .get, HTTPURL(origin: "https://tpu.googleapis.com", path: "/v2"))
        for _ in 0..<5 { limits.finished(try await limits.admit(call), .failed("HTTP 503")) }
        clock.advance(by: .seconds(5))
        limits.finished(try await limits.admit(call), .unknown)
        #expect(metrics.breakerOpen.value("tpu") == 1)
        let probe = try await limits.admit(call)
        let other = await failure { () async throws(APIError) in _ = try await limits.admit(call) }
        #expect(other?.reason == "CircuitBreakerOpen")
        limits.finished(probe, .answered)
        #expect(metrics.breakerOpen.value("tpu") == 0)
    }

    @Test func `refusals are answers: permissions, quotas and rates open no breaker`() async throws {
        let scripted = ScriptedTransport { number, _ in
            .reply(.json(["error": ["message": "no"]], status: [400, 403, 404, 409, 412, 429][number % 6]))
        }
        let limits = CallLimits(clock: ImpatientClock(), metrics: metrics)
        let container = ContainerClient(
            GoogleCloudClient(transport: scripted, tokens: NoTokens(), clock: ImpatientClock(), limits: limits))
        for _ in 0..<30 {
            _ = await failure { () async throws(APIError) in try await container.nodePool("pool", in: cluster) }
        }
        #expect(scripted.requests.count == 30)
        #expect(metrics.throttled.value("container", "read", "service") == 5)
    }

    @Test func `a source of tokens that fails says nothing about the API`() async throws {
        let metadata = ScriptedTransport { _, _ in .loseRequest }
        let tokens = try MetadataServerTokens(transport: metadata, clock: ImpatientClock())
        let limits = CallLimits(clock: clock, metrics: metrics)
        let container = ContainerClient(
            GoogleCloudClient(transport: NoTransport(), tokens: tokens, clock: clock, limits: limits))
        for _ in 0..<10 {
            let error = await failure { () async throws(APIError) in try await container.nodePool("pool", in: cluster) }
            #expect(error?.message.hasPrefix("no metadata server at metadata.google.internal") == true)
        }
        #expect(metrics.breakerOpened.value("container") == 0)
    }

    @Test func `the metrics page has every limit with its labels`() {
        metrics.waits.observe(.milliseconds(300), "container", "mutate", "cluster")
        metrics.throttled.increment("tpu", "read", "service")
        metrics.breakerOpen.set(1, "run")
        metrics.breakerOpened.increment("run")
        let page = registry.text
        for line in [
            #"trainyard_google_call_wait_seconds_bucket{api="container",verb="mutate",limit="cluster",le="0.5"} 1"#,
            #"trainyard_google_calls_throttled_total{api="tpu",verb="read",limit="service"} 1"#,
            #"trainyard_google_breaker_open{api="run"} 1"#, #"trainyard_google_breaker_opened_total{api="run"} 1"#,
        ] { #expect(page.contains(line + "\n"), "\(page)") }
    }
}
