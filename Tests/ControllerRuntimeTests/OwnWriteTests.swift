import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime

private let w = TestWorld.key("w")
private let service = ObjectReference(type: Service.resourceType, namespace: "ns", name: "w")

/// A round never begins on a view that lacks what the rounds before it wrote: one test for each way in which the reply to
/// a write can fail to reach the store.
@Suite struct OwnWriteTests {
    @Test func `after a finalizer write without a reply the object is read before anything else`() async throws {
        let world = try await TestWorld.withWidget()
        world.interceptor.after { $0.isRequest("PATCH widgets/w") ? .failure(504, "Timeout") : nil }
        guard case .failed = await world.loop.reconcileNext()?.outcome else {
            Issue.record("the lost reply went unnoticed")
            return
        }
        world.interceptor.after { _ in nil }
        world.interceptor.clear()
        try await world.settle()
        #expect(world.interceptor.log.first == "GET widgets/w")
        #expect(!world.interceptor.writes.contains("PATCH widgets/w"))
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
    }

    @Test func `after a status write without a reply nothing is written until the object was read`() async throws {
        let world = try await TestWorld.withWidget()
        world.interceptor.after { $0.isRequest("PATCH widgets/w/status") ? .failure(504, "Timeout") : nil }
        world.interceptor.before { $0.isRequest("GET widgets/w") ? .failure(503, "ServiceUnavailable") : nil }
        _ = await world.loop.reconcileNext()
        #expect(try await world.cluster.widget("w")?.status?.intended == 3)
        #expect(world.loop.store[w]?.status?.intended == nil, "the store cannot know yet")
        world.interceptor.after { _ in nil }
        world.interceptor.clear()
        for _ in 0..<5 {
            world.clock.advance(by: .seconds(60))
            guard case .failed(let error, .backoff) = await world.loop.reconcileNext()?.outcome else {
                Issue.record("a round went on without knowing what it had written")
                return
            }
            #expect(error.code == .unavailable)
        }
        #expect(world.interceptor.writes == [])
        world.interceptor.before { _ in nil }
        try await world.settle()
        #expect(world.interceptor.writes.filter { $0 == "PATCH widgets/w/status" }.count == 2, "the intent was known")
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
    }

    @Test(arguments: [false, true])
    func `after a child's write whose reply is lost or cannot be read the child is read into the store`(
        isLost: Bool
    ) async throws {
        let world = try await TestWorld.withWidget()
        let garbage: JSONValue = ["metadata": ["name": "w", "namespace": "ns"], "spec": "not an object"]
        world.interceptor.after { request in
            guard request.isRequest("PATCH services/w") else { return nil }
            return isLost ? .failure(504, "Timeout") : HTTPReply(status: 200, body: garbage.serialized())
        }
        let services = world.cache.store(Service.self)
        for _ in 0..<2 { _ = await world.loop.reconcileNext() }
        #expect(services[w] == nil)
        world.interceptor.after { _ in nil }
        world.interceptor.clear()
        while services[w] == nil, let due = world.loop.nextDue {
            world.clock.advance(by: due - world.environment.clock.uptime)
            _ = await world.loop.reconcileNext()
        }
        #expect(world.interceptor.log.first == "GET services/w")
        #expect(services[w]?.metadata.uid != nil)
        try await world.settle()
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
    }

    @Test func `a deleted child is gone from the store before its watch says so`() async throws {
        let world = try await TestWorld.withWidget()
        try await world.settle()
        let services = world.cache.store(Service.self)
        #expect(services[w] != nil)
        let loop = ControllerLoop(
            PruningController(services: services), cache: world.cache, environment: world.environment,
            gate: world.gate)
        world.interceptor.clear()
        for _ in 0..<3 { _ = await loop.reconcileOnce(w) }
        #expect(world.interceptor.writes.filter { $0.hasPrefix("DELETE") } == ["DELETE services/w"])
        #expect(services[w] == nil)
    }

    @Test func `what a label selector does not pick any more leaves its store, what it cannot judge stays`() throws {
        let cache = ObjectCache()
        let picked = cache.store(Service.self, labelSelector: "team=a,tier")
        let other = cache.store(Service.self, labelSelector: "team!=a")
        let all = cache.store(Service.self)
        let old = Service(
            metadata: ObjectMeta(name: "w", namespace: "ns", resourceVersion: "5", labels: ["team": "a", "tier": ""]))
        for store in [picked, other, all] { store.put(old) }
        let reply: JSONValue = [
            "metadata": ["name": "w", "namespace": "ns", "resourceVersion": "7", "labels": ["team": "b", "tier": ""]]
        ]
        #expect(cache.recordWrite(service, reply))
        #expect(picked[w] == nil)
        #expect(other[w] == old)
        #expect(all[w]?.metadata.resourceVersion == "7")
    }

    @Test func `a reply about another object is no news`() {
        let cache = ObjectCache()
        let store = cache.store(Service.self)
        #expect(!cache.recordWrite(service, ["metadata": ["name": "x", "namespace": "ns", "resourceVersion": "7"]]))
        #expect(!cache.recordWrite(service, ["kind": "Status", "status": "Success"]))
        #expect(store.count == 0)
    }

    @Test(arguments: APIError.Code.allCases)
    func `only a refusal leaves no doubt`(code: APIError.Code) {
        let refusals: [APIError.Code] = [
            .invalid, .unauthorized, .forbidden, .notFound, .alreadyExists, .conflict, .preconditionFailed, .expired,
            .rateLimited, .quotaExceeded, .stockedOut,
        ]
        #expect(APIError(code, operation: "", message: "").leavesOutcomeOpen == !refusals.contains(code))
    }
}

/// Wants no service, as the store sees it.
private struct PruningController: Controller {
    typealias Object = Widget

    struct Observation: Sendable, Equatable {
        var widget: Widget
        var service: Service?
    }

    let services: ObjectStore<Service>

    func observe(_ object: Widget) async throws(APIError) -> Observation {
        Observation(widget: object, service: services[w])
    }

    static func plan(_ observation: Observation) -> Plan<Widget.Status, Never> {
        let status = observation.widget.status ?? Widget.Status()
        guard let service = observation.service else { return Plan(status: status) }
        return Plan(steps: [.delete(ObjectReference(service))], status: status, next: .after(.zero))
    }
}
