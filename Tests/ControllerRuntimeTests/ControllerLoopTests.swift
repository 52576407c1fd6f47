import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime

private let w = TestWorld.key("w")

@Suite struct ControllerLoopTests {
    @Test func `a new object gets its finalizer, its intent, its children and its readiness, in this order`()
        async throws
    {
        let world = try await TestWorld.withWidget()
        try await world.settle()
        #expect(
            world.interceptor.writes == [
                "PATCH widgets/w", "PATCH widgets/w/status", "PATCH services/w", "POST jobs", "PATCH widgets/w/status",
                "POST events", "PATCH widgets/w/status",
            ])
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
        #expect(try await world.cluster.widget("w")?.status?.observedGeneration == 1)
        #expect(world.cloud.sizes.values.sorted() == [3])
    }

    @Test func `nothing is written when nothing changes`() async throws {
        let world = try await TestWorld.withWidget()
        try await world.settle()
        world.interceptor.clear()
        for _ in 0..<20 {
            world.clock.advance(by: .seconds(700))
            #expect(await world.loop.reconcileNext()?.outcome == .settled)
        }
        #expect(world.interceptor.writes == [])
    }

    @Test func `a deleted object keeps its finalizer until the cloud has let go`() async throws {
        let world = try await TestWorld.withWidget()
        try await world.settle()
        try await world.cluster.delete("w")
        world.cloud.fail(APIError(.unavailable, operation: "write", message: "not now"))
        try await world.sync()
        world.loop.enqueue(w)
        guard case .failed = await world.loop.reconcileNext()?.outcome else {
            Issue.record("the failure of the cloud did not end the round")
            return
        }
        #expect(try await world.cluster.widget("w")?.metadata.finalizers == [Finalizer.name])
        try await world.settle()
        #expect(try await world.cluster.widget("w") == nil)
        #expect(world.cloud.sizes.isEmpty)
    }

    @Test func `an object that is going without our finalizer is left alone`() async throws {
        let world = try await TestWorld()
        try await world.cluster.admin.create(
            Widget.resourceType,
            ["metadata": ["name": "w", "namespace": "ns", "finalizers": ["other/one"]], "spec": ["size": 1]])
        try await world.cluster.delete("w")
        try await world.sync()
        try await world.settle()
        #expect(world.interceptor.log == [])
    }

    @Test func `another manager's object is not touched`() async throws {
        let world = try await TestWorld()
        try await world.cluster.create("w", manager: "somebody")
        try await world.sync()
        try await world.settle()
        #expect(world.interceptor.log == [])
    }

    @Test func `a conflict on the status is observed again at once, with what is true now`() async throws {
        let world = try await TestWorld.withWidget()
        _ = await world.loop.reconcileNext()
        // The user edits; the store does not know yet.
        try await world.cluster.resize("w", to: 5)
        world.interceptor.clear()
        let outcome = await world.loop.reconcileNext()?.outcome
        guard case .failed(let error, .atOnce) = outcome else {
            Issue.record("not a conflict: \(String(describing: outcome))")
            return
        }
        #expect(error.code == .conflict)
        #expect(world.loop.store[w]?.spec.size == 5)
        try await world.settle()
        #expect(world.cloud.sizes.values.sorted() == [5])
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
    }

    @Test func `conflicts without end become slow`() async throws {
        let world = try await TestWorld.withWidget()
        world.interceptor.before { $0.isRequest("PATCH widgets/w/status") ? .failure(409, "Conflict") : nil }
        var immediate = 0
        while await world.loop.reconcileNext() != nil { immediate += 1 }
        #expect(immediate == 6)
        world.interceptor.before { _ in nil }
        try await world.settle()
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
    }

    @Test func `a failure shows in the status once, with an event, and goes when it passes`() async throws {
        let world = try await TestWorld.withWidget()
        _ = await world.loop.reconcileNext()
        world.cloud.fail(
            APIError(.unavailable, operation: "read", message: "try 1"),
            APIError(.unavailable, operation: "read", message: "try 2"))
        world.interceptor.clear()
        _ = await world.loop.reconcileNext()
        #expect(try await world.cluster.conditions("w") == ["Ready=False/Unavailable", "Reconciling=True/Unavailable"])
        #expect(world.interceptor.writes == ["PATCH widgets/w/status", "POST events"])
        world.interceptor.clear()
        world.clock.advance(by: .seconds(10))
        _ = await world.loop.reconcileNext()
        #expect(world.interceptor.writes == [])
        try await world.settle()
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
    }

    @Test func `what the user must fix is looked at slowly`() async throws {
        let world = try await TestWorld.withWidget()
        world.cloud.fail(APIError(.forbidden, operation: "read", message: "needs things.get"))
        let next = await world.loop.reconcileNext()
        #expect(
            next?.outcome
                == .failed(APIError(.forbidden, operation: "read", message: "needs things.get"), retry: .slowly))
        #expect(
            try await world.cluster.conditions("w") == [
                "Ready=False/PermissionDenied", "Stalled=True/PermissionDenied",
            ])
        let due = try #require(world.loop.nextDue)
        #expect((.seconds(54)...Duration.seconds(66)).contains(due - world.environment.clock.uptime))
    }

    @Test func `the wait that a service asks for is kept, and a little more so that not all come at once`()
        async throws
    {
        let world = try await TestWorld.withWidget()
        world.cloud.fail(APIError(.rateLimited, operation: "read", message: "", retryAfter: .seconds(42)))
        _ = await world.loop.reconcileNext()
        let due = try #require(world.loop.nextDue)
        #expect((.seconds(42)...Duration.milliseconds(46_200)).contains(due - world.environment.clock.uptime))
    }

    @Test func `a status that the schema refuses is written in its smallest form`() async throws {
        let world = try await TestWorld.withWidget()
        let writer = StatusWriter<Widget>(client: world.environment.client, store: world.loop.store)
        let object = try #require(world.loop.store[w])
        let status = Widget.Status(observedGeneration: 1, intended: 3, motto: "much too long")
        await #expect { try await writer.write(status, over: object) } throws: { ($0 as? APIError)?.code == .invalid }
        #expect(try await world.cluster.widget("w")?.status == Widget.Status(observedGeneration: 1, intended: 3))
    }

    @Test func `a status that the server changes is not written for ever`() async throws {
        let world = try await TestWorld.withWidget()
        let writer = StatusWriter<Widget>(client: world.environment.client, store: world.loop.store)
        let status = Widget.Status(observedGeneration: 1, intended: 3, note: "dropped")
        let first = try await writer.write(status, over: try #require(world.loop.store[w]))
        #expect(first?.status == Widget.Status(observedGeneration: 1, intended: 3))
        #expect(try await writer.write(status, over: try #require(world.loop.store[w])) == nil)
        #expect(world.interceptor.writes == ["PATCH widgets/w/status"])
        var other = status
        other.intended = 4
        #expect(try await writer.write(other, over: try #require(world.loop.store[w])) != nil)
    }

    @Test func `a status write leaves labels, annotations and spec alone`() async throws {
        let world = try await TestWorld.withWidget()
        let reference = ObjectReference(type: Widget.resourceType, namespace: "ns", name: "w")
        try await world.cluster.admin.mergePatch(
            reference, ["metadata": ["labels": ["a": "b"], "annotations": ["c": "d"]]])
        try await world.sync()
        try await world.settle()
        let widget = try #require(try await world.cluster.widget("w"))
        #expect(widget.metadata.labels == ["a": "b"])
        #expect(widget.metadata.annotations == ["c": "d"])
        #expect(widget.spec == Widget.Spec(size: 3))
        #expect(widget.metadata.generation == 1)
    }

    @Test func `a child of that name that is not ours is not touched`() async throws {
        let world = try await TestWorld()
        for type in [Service.resourceType, Job.resourceType] {
            try await world.cluster.createForeign(type, "w")
        }
        try await world.cluster.create("w")
        try await world.sync()
        let owner = try #require(world.loop.store[w])
        let writer = ChildWriter(
            client: world.environment.client, cache: world.cache, unsettled: UnsettledWrites(), owner: w,
            ownerUID: owner.metadata.uid)
        for (type, method) in [(Service.resourceType, Manifest.Method.apply), (Job.resourceType, .createOnce)] {
            await #expect { try await writer.apply(WidgetController.manifest(type, method, owner)) } throws: {
                ($0 as? APIError)?.reason == "NameConflict"
            }
            await #expect {
                try await writer.delete(ObjectReference(type: type, namespace: "ns", name: "w"))
            } throws: { ($0 as? APIError)?.reason == "NameConflict" }
        }
        #expect(world.interceptor.writes == ["POST jobs"])
        for type in [Service.resourceType, Job.resourceType] {
            #expect(try await world.cluster.owner(of: type, "w") == "theirs")
        }
    }

    @Test func `a child whose create lost its reply is adopted`() async throws {
        let world = try await TestWorld.withWidget()
        world.interceptor.after { $0.isRequest("POST jobs") ? .failure(504, "Timeout") : nil }
        for _ in 0..<3 { _ = await world.loop.reconcileNext() }
        world.interceptor.after { _ in nil }
        try await world.settle()
        #expect(try await world.cluster.admin.list(Job.self).items.map(\.metadata.name) == ["w"])
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
    }

    @Test func `an edit that came in with a refused status write is looked at, not slept over`() async throws {
        let world = try await TestWorld.withWidget()
        // The first status write reaches a server that refuses it, and meanwhile the user edits.
        let edited = Mutex(false)
        world.interceptor.before { request in
            guard request.isRequest("PATCH widgets/w/status"), !edited.withLock({ $0 }) else { return nil }
            return .failure(503, "ServiceUnavailable")
        }
        try await world.cluster.resize("w", to: 9)
        _ = await world.loop.reconcileNext()
        edited.withLock { $0 = true }
        #expect(world.loop.store[w]?.spec.size == 9)
        #expect(await world.loop.reconcileNext() != nil, "the edit waits for a retry")
        try await world.settle()
        #expect(world.cloud.sizes.values.sorted() == [9])
    }

    @Test func `a closed gate stops before anything is sent`() async throws {
        let world = try await TestWorld.withWidget()
        world.gate.close()
        guard case .failed(_, .never) = await world.loop.reconcileNext()?.outcome else {
            Issue.record("the round was not stopped")
            return
        }
        #expect(world.interceptor.log == [])
    }

    @Test func `a plan that does nothing and wants to go on at once cannot spin`() async throws {
        let world = try await TestWorld.withWidget()
        let loop = ControllerLoop(
            RestlessController(), cache: world.cache, environment: world.environment, gate: world.gate)
        loop.enqueue(w)
        var roundCount = 0
        while world.environment.clock.uptime < .seconds(10) {
            if await loop.reconcileNext() != nil {
                roundCount += 1
            } else {
                world.clock.advance(by: .milliseconds(100))
            }
        }
        #expect((9...12).contains(roundCount))
    }

    @Test func `an object that is not in the store needs nothing`() async throws {
        let world = try await TestWorld()
        #expect(await world.loop.reconcileOnce(TestWorld.key("none")) == .done)
        #expect(world.interceptor.log == [])
    }
}

/// Never content.
private struct RestlessController: Controller {
    typealias Object = Widget

    func observe(_ object: Widget) async throws(APIError) -> Widget { object }

    static func plan(_ observation: Widget) -> Plan<Widget.Status, Never> {
        Plan(status: observation.status ?? Widget.Status(observedGeneration: 1), next: .after(.zero))
    }
}
