import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization

@testable import ControllerRuntime

/// Stands in front of a cluster: writes down what passes, and answers in its place where a test says so.
final class Interceptor: HTTPHandler {
    typealias Rule = @Sendable (HTTPRequest) -> HTTPReply?

    private struct State {
        var log: [String] = []
        var before: Rule = { _ in nil }
        var after: Rule = { _ in nil }
    }

    private let base: any HTTPHandler
    private let state = Mutex(State())

    init(_ base: any HTTPHandler) { self.base = base }

    /// `METHOD plural[/name[/sub]]` of each request, watches and reads included.
    var log: [String] { state.withLock(\.log) }

    /// The requests that change something.
    var writes: [String] { log.filter { !$0.hasPrefix("GET") && !$0.hasPrefix("WATCH") } }

    func clear() { state.withLock { $0.log = [] } }

    /// A reply of the rule takes the place of handling the request.
    func before(_ rule: @escaping Rule) { state.withLock { $0.before = rule } }

    /// A reply of the rule takes the place of the reply: the request was handled, its reply is lost.
    func after(_ rule: @escaping Rule) { state.withLock { $0.after = rule } }

    func respond(to request: HTTPRequest) async -> HTTPReply {
        let (before, after) = state.withLock { state in
            state.log.append(Interceptor.text(request))
            return (state.before, state.after)
        }
        if let reply = before(request) { return reply }
        let reply = await base.respond(to: request)
        return after(request) ?? reply
    }

    static func text(_ request: HTTPRequest) -> String {
        var segments = request.url.decodedSegments ?? []
        segments.removeFirst(min(segments.count, segments.first == "api" ? 2 : 3))
        if segments.first == "namespaces", segments.count > 2 { segments.removeFirst(2) }
        let verb = request.url.queryValue("watch") == "true" ? "WATCH" : request.method.rawValue
        return ([verb + " " + (segments.first ?? "")] + segments.dropFirst()).joined(separator: "/")
    }
}

/// A cluster, a fake cloud and the widgets' loop over them, stepped by the test on a clock that stands still.
struct TestWorld: Sendable {
    let cluster: WidgetCluster
    let interceptor: Interceptor
    let cloud: WidgetCloud
    let cache = ObjectCache()
    let gate: MutationGate
    let environment: RuntimeEnvironment
    let loop: ControllerLoop<WidgetController>

    var clock: VirtualClock { cluster.clock }

    init(options: ControllerOptions = ControllerOptions()) async throws {
        try await self.init(cluster: WidgetCluster(), cloud: WidgetCloud(), options: options)
    }

    /// - Parameter handler: in place of the cluster's own server.
    init(
        cluster: WidgetCluster, cloud: WidgetCloud = WidgetCloud(), handler: (any HTTPHandler)? = nil,
        options: ControllerOptions = ControllerOptions()
    ) {
        self.cluster = cluster
        self.cloud = cloud
        interceptor = Interceptor(handler ?? cluster.server)
        environment = RuntimeEnvironment(
            client: WidgetCluster.client(over: interceptor), clock: .virtual(cluster.clock), random: seededRandom())
        gate = MutationGate(clock: environment.clock, isOpen: true)
        loop = ControllerLoop(
            WidgetController(client: environment.client, cloud: cloud), cache: cache, environment: environment,
            gate: gate, options: options)
    }

    static func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "ns", name: name) }

    /// A world with one widget in its cluster and its store.
    static func withWidget(_ name: String = "w") async throws -> TestWorld {
        let world = try await TestWorld()
        try await world.cluster.create(name)
        try await world.sync()
        return world
    }

    /// Another process over the same cluster and cloud: nothing is remembered.
    func restarted() async throws -> TestWorld {
        let world = TestWorld(cluster: cluster, cloud: cloud, options: ControllerOptions())
        try await world.sync()
        return world
    }

    /// Brings the widgets' store up to date, as its watch would.
    func sync() async throws {
        let list = try await cluster.admin.list(Widget.self)
        loop.store.replace(with: list.items, resourceVersion: list.resourceVersion)
    }

    /// Steps rounds, moving the clock to the next delayed key, until nothing is due within five minutes or `limit`
    /// rounds have passed. Returns how many rounds there were.
    @discardableResult
    func settle(limit: Int = 100) async throws -> Int {
        for round in 0..<limit {
            if await loop.reconcileNext() != nil { continue }
            guard let due = loop.nextDue, due - environment.clock.uptime < .seconds(300) else { return round }
            clock.advance(by: due - environment.clock.uptime)
        }
        return limit
    }
}

/// The same "random" numbers each time.
func seededRandom(_ seed: UInt64 = 7) -> @Sendable () -> Double {
    let generator = SharedGenerator(seed: seed)
    return { generator.next() }
}

private final class SharedGenerator: Sendable {
    private let generator: Mutex<SeededGenerator>

    init(seed: UInt64) { generator = Mutex(SeededGenerator(seed: seed)) }

    func next() -> Double { generator.withLock { Double.random(in: 0..<1, using: &$0) } }
}

extension HTTPRequest {
    /// Whether this is that request, as `Interceptor.text` writes it.
    func isRequest(_ text: String) -> Bool { Interceptor.text(self) == text }
}

extension HTTPReply {
    /// A Status as an API server sends it.
    static func failure(_ status: Int, _ reason: String) -> HTTPReply {
        let body: JSONValue = ["kind": "Status", "reason": .string(reason), "message": .string("no: \(reason)")]
        return HTTPReply(status: status, body: body.serialized())
    }
}
