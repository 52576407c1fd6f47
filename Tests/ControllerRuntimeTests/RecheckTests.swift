import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime

private let w = TestWorld.key("w")

extension TestWorld {
    fileprivate func annotate(_ value: String) async throws {
        let reference = ObjectReference(type: Widget.resourceType, namespace: "ns", name: "w")
        try await cluster.admin.mergePatch(
            reference, ["metadata": ["annotations": ["trainyard.dev/recheck-seconds": .string(value)]]])
        try await sync()
    }

    /// Until the next look, when all is done.
    fileprivate func wait() throws -> Duration { try #require(loop.nextDue) - environment.clock.uptime }
}

@Suite struct RecheckTests {
    @Test func `an object that nobody changes is looked at after ten minutes, give or take one`() async throws {
        let world = try await TestWorld.withWidget()
        try await world.settle()
        var waits: [Duration] = []
        for _ in 0..<50 {
            world.clock.advance(by: try world.wait())
            #expect(await world.loop.reconcileNext()?.outcome == .settled)
            waits.append(try world.wait())
        }
        #expect(waits.allSatisfy { (.seconds(540)...Duration.seconds(660)).contains($0) })
        #expect(Set(waits).count == 50, "they would all come at once")
    }

    @Test(arguments: [("10", 10), ("86400", 86_400), ("90", 90)])
    func `its annotation says otherwise`(text: String, seconds: Int) async throws {
        let world = try await TestWorld.withWidget()
        try await world.settle()
        try await world.annotate(text)
        _ = await world.loop.reconcileNext()
        let wait = try world.wait()
        #expect((Duration.seconds(seconds) * 0.9...Duration.seconds(seconds) * 1.1 + .milliseconds(1)).contains(wait))
    }

    @Test(arguments: ["9", "86401", "", "-5", "1e3", "ten", "10.5", "99999999999999999999", "\u{0}"])
    func `an annotation that makes no sense is told once, and the usual time holds`(text: String) async throws {
        let world = try await TestWorld.withWidget()
        try await world.settle()
        try await world.annotate(text)
        world.interceptor.clear()
        for _ in 0..<5 {
            _ = await world.loop.reconcileNext()
            let wait = try world.wait()
            #expect((.seconds(540)...Duration.seconds(660)).contains(wait))
            world.clock.advance(by: wait)
        }
        #expect(world.interceptor.writes == ["POST events"])
        let events = try await world.cluster.admin.list(EventObject.resourceType).items
        let event = events.first { $0["reason"]?.stringValue == "InvalidAnnotation" }
        #expect(event?["note"]?.stringValue?.contains("not a whole number from 10 to 86400") == true)
    }

    @Test(.timeLimit(.minutes(5)))
    func `two hundred objects in peace: three hours without a single write`() async throws {
        let world = try await TestWorld()
        for number in 0..<200 { try await world.cluster.create("w\(number)") }
        try await world.sync()
        try await world.settle(limit: 10_000)
        #expect(world.cloud.sizes.count == 200)
        world.interceptor.clear()
        let end = world.environment.clock.uptime + .seconds(3 * 3600)
        var roundCount = 0
        while let due = world.loop.nextDue, due <= end {
            world.clock.advance(by: max(.zero, due - world.environment.clock.uptime))
            while let round = await world.loop.reconcileNext() {
                roundCount += 1
                #expect(round.outcome == .settled)
            }
        }
        #expect(world.interceptor.writes == [])
        #expect((200 * 16...200 * 20).contains(roundCount))
    }

    @Test func `what is wrong stays wrong: no retry within an hour, an edit is looked at at once`() async throws {
        let world = try await TestWorld.withWidget()
        world.cloud.fail(APIError(.invalid, operation: "read", message: "no such machine type"))
        #expect(
            await world.loop.reconcileNext()?.outcome
                == .failed(
                    APIError(.invalid, operation: "read", message: "no such machine type"), retry: .whenChanged))
        #expect(try await world.cluster.conditions("w") == ["Ready=False/Invalid", "Stalled=True/Invalid"])
        #expect(try world.wait() >= .seconds(3240))
        try await world.cluster.resize("w", to: 4)
        try await world.sync()
        try await world.settle()
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
    }
}

@Suite struct ConflictTests {
    /// Annotates every widget each ten milliseconds of a clock that every request moves on by three.
    private final class BusyNeighbour: HTTPHandler {
        private let cluster: WidgetCluster
        private let names: [String]
        private let last = Mutex<Int32>(-1)

        init(_ cluster: WidgetCluster, names: [String]) {
            self.cluster = cluster
            self.names = names
        }

        func respond(to request: HTTPRequest) async -> HTTPReply {
            cluster.clock.advance(by: .milliseconds(3))
            let now = cluster.clock.now.nanoseconds / 10_000_000
            let isDue = last.withLock { last in
                defer { last = now }
                return last != now
            }
            for name in isDue ? names : [] {
                let reference = ObjectReference(type: Widget.resourceType, namespace: "ns", name: name)
                _ = try? await cluster.admin.mergePatch(
                    reference, ["metadata": ["annotations": ["busy.example.com/now": .string("\(now)")]]])
            }
            return await cluster.server.respond(to: request)
        }
    }

    @Test func `another writer at a hundred a second keeps nobody from progress`() async throws {
        let names = (0..<5).map { "w\($0)" }
        let cluster = try await WidgetCluster()
        let world = TestWorld(cluster: cluster, handler: BusyNeighbour(cluster, names: names))
        for name in names { try await cluster.create(name) }
        try await world.sync()
        try await world.settle(limit: 500)
        for name in names { #expect(try await cluster.conditions(name) == ["Ready=True/Made"]) }
        let tries = world.interceptor.writes.filter { $0.hasSuffix("/status") }.count
        // Three writes of status each, as in peace.
        #expect((15..<75).contains(tries), "\(tries) tries for 15 writes")
        #expect(world.cloud.calls.count == 5)
    }

    @Test func `every second status write refused: all are written, each with two tries`() async throws {
        let world = try await TestWorld.withWidget()
        let count = Mutex(0)
        world.interceptor.before { request in
            guard request.isRequest("PATCH widgets/w/status") else { return nil }
            return count.withLock { count in
                count += 1
                return count % 2 == 1 ? .failure(409, "Conflict") : nil
            }
        }
        try await world.settle()
        #expect(try await world.cluster.conditions("w") == ["Ready=True/Made"])
        #expect(count.withLock { $0 } == 6)
    }

    @Test func `a status is not sent again over an object that its plan has not seen`() async throws {
        let world = try await TestWorld.withWidget()
        _ = await world.loop.reconcileNext()
        let reference = ObjectReference(type: Widget.resourceType, namespace: "ns", name: "w")
        let edits: [(patch: JSONValue, subresource: String?)] = [
            (["spec": ["size": 8]], nil), (["metadata": ["labels": ["a": "b"]]], nil),
            (["metadata": ["annotations": ["trainyard.dev/confirm": "yes"]]], nil),
            (["status": ["intended": 9]], "status"),
        ]
        for (patch, subresource) in edits {
            try await world.sync()
            let before = try #require(world.loop.store[w])
            try await world.cluster.admin.mergePatch(reference, patch, subresource: subresource)
            let writer = StatusWriter<Widget>(client: world.environment.client, store: world.loop.store)
            var status = try #require(before.status)
            status.intended = 77
            await #expect { try await writer.write(status, over: before) } throws: {
                ($0 as? APIError)?.code == .conflict
            }
        }
        #expect(try await world.cluster.widget("w")?.status?.intended == 9)
    }
}
