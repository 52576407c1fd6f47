import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

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
final class TestWorld: Sendable {
    let clock = VirtualClock()
    let cluster = ToyCluster()
    let interceptor: Interceptor
    let cloud = WidgetCloud()
    let cache = ObjectCache()
    let gate: MutationGate
    let environment: RuntimeEnvironment
    let loop: ControllerLoop<WidgetController>
    /// The test's own hands, past the interceptor.
    let admin: KubernetesClient

    init(options: ControllerOptions = ControllerOptions()) {
        interceptor = Interceptor(cluster)
        let server = HTTPURL(origin: "http://127.0.0.1:1", path: "/")
        let client = KubernetesClient(transport: HandlerTransport(interceptor), server: server)
        admin = KubernetesClient(transport: HandlerTransport(cluster), server: server)
        let random = Mutex(SeededGenerator(seed: 7))
        environment = RuntimeEnvironment(
            client: client, clock: .virtual(clock), random: { random.withLock { Double.random(in: 0..<1, using: &$0) } }
        )
        gate = MutationGate(clock: environment.clock, isOpen: true)
        loop = ControllerLoop(
            WidgetController(client: client, cloud: cloud), cache: cache, environment: environment, gate: gate,
            options: options)
    }

    static func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "ns", name: name) }

    /// Creates a widget.
    func create(_ name: String, size: Int, partner: String? = nil, manager: String? = nil) async throws {
        var spec: JSONValue = ["size": .integer(Int64(size))]
        spec["partner"] = partner.map { .string($0) }
        spec["manager"] = manager.map { .string($0) }
        try await admin.create(
            Widget.resourceType, ["metadata": ["name": .string(name), "namespace": "ns"], "spec": spec])
    }

    /// Brings the widgets' store up to date, as its watch would.
    func sync() async throws {
        let list = try await admin.list(Widget.self)
        loop.store.replace(with: list.items, resourceVersion: list.resourceVersion)
    }

    /// Steps rounds, moving the clock to the next delayed key, until nothing is due within ten minutes or `limit`
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

    /// The widget as the cluster has it.
    func widget(_ name: String) throws -> Widget? { try cluster.object("widgets", name)?.decode(Widget.self) }

    /// Its conditions as `Type=Status/Reason`.
    func conditions(_ name: String) throws -> [String] {
        (try widget(name)?.status?.conditions ?? []).map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" }
    }
}

extension HTTPRequest {
    /// Whether this is that request, as `Interceptor.text` writes it.
    func isRequest(_ text: String) -> Bool { Interceptor.text(self) == text }
}
