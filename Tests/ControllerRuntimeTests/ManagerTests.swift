import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime

@Suite(.timeLimit(.minutes(3))) struct ManagerTests {
    @Test func `objects that are there and objects that come are worked on, and a stop ends it`() async throws {
        let world = try await Replicas()
        try await world.cluster.create("early")
        let (manager, _) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.advance(until: "early is ready") { try await world.cluster.isReady("early") }
        try await world.cluster.create("late")
        try await world.advance(until: "late is ready") { try await world.cluster.isReady("late") }
        #expect(manager.missing == [])
        manager.stop()
        #expect(await exit == .stopped)
    }

    @Test func `a watch that was told to list again notices what was deleted meanwhile`() async throws {
        let world = try await Replicas()
        try await world.cluster.create("w")
        let (manager, interceptor) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        // The watch breaks, and when it is back the server has forgotten where it was.
        interceptor.before { $0.isRequest("WATCH widgets") ? .failure(503, "ServiceUnavailable") : nil }
        world.cluster.server.endWatches()
        try await world.cluster.delete("w")
        world.cluster.server.compact()
        interceptor.before { _ in nil }
        try await world.advance(until: "w is gone") { try await world.cluster.widget("w") == nil }
        #expect(world.cloud.sizes.isEmpty)
        #expect(interceptor.log.filter { $0 == "WATCH widgets" }.count >= 3)
        manager.stop()
        #expect(await exit == .stopped)
    }

    @Test func `a change of a child and of a partner makes the loop look again`() async throws {
        let world = try await Replicas()
        try await world.cluster.create("w", partner: "other")
        let (manager, interceptor) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        let looks = { interceptor.log.filter { $0 == "GET services/w" }.count }
        let before = looks()
        try await world.cluster.admin.mergePatch(
            ObjectReference(type: Service.resourceType, namespace: "ns", name: "w"),
            ["metadata": ["labels": ["a": "b"]]])
        try await eventually("a look after the service changed") { looks() > before }
        let between = looks()
        try await world.cluster.create("other")
        try await eventually("a look after the partner came") { looks() > between }
        manager.stop()
        #expect(await exit == .stopped)
    }

    @Test func `two candidates: one leads, the other takes over at once after a clean stop`() async throws {
        let world = try await Replicas()
        let (first, _) = world.replica("a")
        async let firstExit = first.run()
        try await world.advance(until: "a leads") { world.said == ["a leads"] }
        let (second, secondRequests) = world.replica("b")
        async let secondExit = second.run()
        try await world.cluster.create("w")
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        #expect(secondRequests.writes == [])
        first.stop()
        #expect(await firstExit == .stopped)
        let stoppedAt = world.clock.now
        try await world.advance(until: "b leads", sleepers: 1) { world.said.last == "b leads" }
        #expect(world.clock.now - stoppedAt <= .seconds(2))
        try await world.cluster.create("x")
        try await world.advance(until: "x is ready") { try await world.cluster.isReady("x") }
        second.stop()
        #expect(await secondExit == .stopped)
    }

    @Test(arguments: ["a", "thief"])
    func `a stop during a renewal that was carried out frees the lease, and only an own one`(holder: String)
        async throws
    {
        let world = try await Replicas()
        let (manager, interceptor) = world.replica("a")
        async let exit = manager.run()
        try await world.advance(until: "a leads") { manager.isLeading }
        let renewalCount = Mutex(0)
        interceptor.after { request in
            guard request.isRequest("PUT leases/trainyard-operator") else { return nil }
            let isFirst = renewalCount.withLock { count in
                count += 1
                return count == 1
            }
            return isFirst ? .failure(504, "Timeout") : nil
        }
        try await world.advance(until: "a reply is lost") { renewalCount.withLock { $0 } == 1 }
        let lease = ObjectReference(type: Lease.resourceType, namespace: "ns", name: "trainyard-operator")
        try await world.cluster.admin.mergePatch(lease, ["spec": ["holderIdentity": .string(holder)]])
        manager.stop()
        #expect(await exit == .stopped)
        let left = try await world.cluster.admin.find(Lease.self, namespace: "ns", name: lease.name)?.spec
        #expect(left?.holderIdentity == (holder == "a" ? "" : holder))
    }

    @Test func `a leader that cannot renew stops changing things before another may lead`() async throws {
        let world = try await Replicas()
        let (first, firstRequests) = world.replica("a")
        async let firstExit = first.run()
        try await world.advance(until: "a leads") { world.said == ["a leads"] }
        let (second, _) = world.replica("b")
        async let secondExit = second.run()
        // The API server does not answer the first one any more.
        firstRequests.before { _ in .failure(503, "ServiceUnavailable") }
        let cutAt = world.clock.now
        try await world.advance(until: "a gives up", sleepers: 2) { world.said.contains("a lost") }
        #expect(await firstExit == .leadershipLost)
        #expect(!first.gate.isOpen)
        #expect(world.clock.now - cutAt <= .milliseconds(10_250))
        #expect(world.said == ["a leads", "a lost"])
        try await world.advance(until: "b leads", sleepers: 1) { world.said.last == "b leads" }
        #expect(world.clock.now - cutAt <= .seconds(15))
        second.stop()
        #expect(await secondExit == .stopped)
    }

    @Test func `a frozen leader finds its gate closed when it wakes, without having looked`() async throws {
        let world = try await Replicas()
        let clock = RuntimeClock.virtual(world.clock)
        let gate = MutationGate(clock: clock)
        let environment = RuntimeEnvironment(client: WidgetCluster.client(over: world.cluster.server), clock: clock)
        let elector = LeaderElector(
            environment: environment, options: LeaderElectionOptions(namespace: "ns", identity: "a"), gate: gate)
        #expect(await elector.acquire())
        #expect(gate.isOpen)
        // What is under way to the network when the process is frozen is not sent when it wakes.
        let post = HTTPRequest(.post, HTTPURL(origin: "http://127.0.0.1:1", path: "/"))
        let limit = try #require(try gate.admitted(post).notAfter)
        #expect(limit <= .now + .seconds(10))
        world.clock.advance(by: .seconds(20))
        #expect(!gate.isOpen)
        let transport = GatedTransport(HandlerTransport(world.cluster.server), gate: gate)
        let url = HTTPURL(origin: "http://127.0.0.1:1", path: "/api/v1/namespaces/ns/services")
        await #expect { try await transport.send(HTTPRequest(.post, url)) } throws: {
            ($0 as? APIError)?.code == .cancelled
        }
        #expect(try await transport.send(HTTPRequest(.get, url)).status == 403)
    }

    @Test func `a lease that is deleted or taken by hand leaves one leader`() async throws {
        let world = try await Replicas()
        let (first, _) = world.replica("a")
        async let firstExit = first.run()
        try await world.advance(until: "a leads") { world.said == ["a leads"] }
        let lease = ObjectReference(type: Lease.resourceType, namespace: "ns", name: "trainyard-operator")
        try await world.cluster.admin.delete(lease)
        try await world.advance(until: "the lease is back") {
            try await world.cluster.admin.find(Lease.self, namespace: "ns", name: lease.name) != nil
        }
        #expect(world.said == ["a leads"])
        try await world.cluster.admin.mergePatch(lease, ["spec": ["holderIdentity": "thief"]])
        try await world.advance(until: "a lost") { world.said.contains("a lost") }
        #expect(await firstExit == .leadershipLost)
        #expect(!first.gate.isOpen)
    }

    @Test func `what is missing at the start is named, and comes without a restart`() async throws {
        let world = try await Replicas()
        let (manager, interceptor) = world.replica("a", isElected: false)
        interceptor.before { $0.isRequest("WATCH widgets") ? .failure(404, "NotFound") : nil }
        async let exit = manager.run()
        try await eventually("the reason") {
            manager.missing == ["the CRD widgets.example.com is not installed: WATCH widgets: no: NotFound (HTTP 404)"]
        }
        interceptor.before { _ in nil }
        try await world.advance(until: "nothing is missing", by: .seconds(1)) { manager.missing == [] }
        manager.stop()
        #expect(await exit == .stopped)
    }

    @Test func `a right that is taken away while running shows in the readiness, and goes when it is back`()
        async throws
    {
        let world = try await Replicas()
        let (manager, interceptor) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.advance(until: "it is ready") {
            manager.missing == [] && interceptor.log.contains("WATCH pods")
        }
        interceptor.before { $0.isRequest("WATCH pods") ? .failure(403, "Forbidden") : nil }
        world.cluster.server.endWatches()
        try await world.advance(until: "pods are missed", by: .seconds(1)) {
            manager.missing == ["RBAC does not allow to watch pods: WATCH pods: no: Forbidden (HTTP 403)"]
        }
        interceptor.before { _ in nil }
        try await world.advance(until: "nothing is missing", by: .seconds(1)) { manager.missing == [] }
        manager.stop()
        #expect(await exit == .stopped)
    }

    @Test func `a lease that cannot be had shows in the readiness`() async throws {
        let world = try await Replicas()
        let (manager, interceptor) = world.replica("a")
        interceptor.before { $0.isRequest("POST leases") ? .failure(403, "Forbidden") : nil }
        async let exit = manager.run()
        try await world.advance(until: "the lease is missed") {
            manager.missing == ["the lease cannot be had: POST leases: no: Forbidden (HTTP 403)"]
        }
        interceptor.before { _ in nil }
        try await world.advance(until: "it leads") { manager.missing == [] && manager.isLeading }
        manager.stop()
        #expect(await exit == .stopped)
    }

    @Test func `one object that does not decode does not stall the others`() async throws {
        let world = try await Replicas()
        try await world.cluster.create("poison", size: "three")
        try await world.cluster.create("w")
        let (manager, _) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        manager.stop()
        #expect(await exit == .stopped)
    }
}
