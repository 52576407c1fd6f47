import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Telemetry
import Testing

@testable import ControllerRuntime

/// Rows 42 to 46 of the fault matrix, on a clock that stands still.
@Suite(.timeLimit(.minutes(3))) struct LeadershipTests {
    @Test func `a leader whose calls hang gives up at its deadline, and ends before the lease does`() async throws {
        let world = try await Replicas()
        let cut = Hanging(world.clock)
        let (first, _) = world.replica("a", through: cut)
        async let firstExit = first.run()
        try await world.advance(until: "a leads") { world.said == ["a leads"] }
        try await world.cluster.create("w")
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        // The API server takes requests and never answers; the cloud is still there.
        cut.begin()
        let cutAt = world.clock.now
        try await world.cluster.resize("w", to: 9)
        let calls = world.cloud.calls
        try await world.advance(until: "a gives up", sleepers: 1) { world.said.contains("a lost") }
        #expect(world.clock.now - cutAt <= .milliseconds(10_250))
        #expect(!first.gate.isOpen)
        #expect(await firstExit == .leadershipLost)
        #expect(world.clock.now - cutAt <= .seconds(15))
        #expect(world.cloud.calls == calls)
    }

    @Test func `a stopped leader makes no change when it goes on, and ends`() async throws {
        let world = try await Replicas()
        let (first, requests) = world.replica("a")
        async let firstExit = first.run()
        try await world.advance(until: "a leads") { world.said == ["a leads"] }
        try await world.cluster.create("w")
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        requests.clear()
        // Twenty seconds in one step: as after SIGSTOP, SIGCONT. Nothing of the process ran meanwhile, but the user did.
        try await world.cluster.resize("w", to: 9)
        world.clock.advance(by: .seconds(20))
        #expect(await firstExit == .leadershipLost)
        #expect(requests.writes.filter { !$0.hasSuffix("leases/trainyard-operator") } == [])
        #expect(world.cloud.sizes.values.sorted() == [3])
    }

    @Test func `a leader in peace renews every two and a half seconds`() async throws {
        let options = LeaderElectionOptions(namespace: "ns", identity: "a")
        #expect(options.renewPeriod == .milliseconds(2500))
        let world = try await Replicas()
        let (first, requests) = world.replica("a")
        async let exit = first.run()
        try await world.advance(until: "a leads") { world.said == ["a leads"] }
        requests.clear()
        let start = world.clock.now
        try await world.advance(until: "a minute", sleepers: 1) { world.clock.now - start >= .seconds(60) }
        let renewals = requests.writes.filter { $0.hasSuffix("leases/trainyard-operator") }
        #expect((21...24).contains(renewals.count), "\(renewals.count)")
        first.stop()
        #expect(await exit == .stopped)
    }

    @Test func `two that both believe to lead make everything once`() async throws {
        let world = try await Replicas()
        let (first, _) = world.replica("a", isElected: false)
        let (second, _) = world.replica("b", isElected: false)
        async let firstExit = first.run()
        async let secondExit = second.run()
        for number in 0..<5 { try await world.cluster.create("w\(number)", size: .integer(Int64(number + 1))) }
        try await world.advance(until: "all are ready") {
            for number in 0..<5 where !(try await world.cluster.isReady("w\(number)")) { return false }
            return true
        }
        try await world.cluster.delete("w0")
        try await world.advance(until: "w0 is gone") { try await world.cluster.widget("w0") == nil }
        #expect(world.cloud.sizes.values.sorted() == [2, 3, 4, 5])
        #expect(try await world.cluster.admin.list(Job.self).items.count >= 4)
        first.stop()
        second.stop()
        #expect(await firstExit == .stopped)
        #expect(await secondExit == .stopped)
    }

    @Test(arguments: Wrong.allCases)
    func `a wrong clock on the wall changes nothing`(wrong: Wrong) async throws {
        let world = try await Replicas()
        let wall = WrongClock(world.clock)
        let (first, _) = world.replica("a", wall: wall)
        async let firstExit = first.run()
        try await world.advance(until: "a leads") { world.said == ["a leads"] }
        let (second, _) = world.replica("b")
        async let secondExit = second.run()
        wall.become(wrong)
        try await world.cluster.create("w")
        try await world.advance(until: "w is ready") { try await world.cluster.isReady("w") }
        let end = world.clock.now + .seconds(120)
        try await world.advance(until: "two minutes", by: .milliseconds(500), sleepers: 2) { world.clock.now >= end }
        #expect(world.said == ["a leads"])
        first.stop()
        #expect(await firstExit == .stopped)
        try await world.advance(until: "b leads", sleepers: 1) { world.said.last == "b leads" }
        second.stop()
        #expect(await secondExit == .stopped)
    }

    @Test
    func `a hundred transitions in ten minutes: two leaders for no longer than a renewal takes, and one in the end`()
        async throws
    {
        let world = try await Replicas()
        let lease = ObjectReference(type: Lease.resourceType, namespace: "ns", name: "trainyard-operator")
        let deployment = Deployment(world)
        async let first: Void = deployment.keepRunning("a")
        async let second: Void = deployment.keepRunning("b")
        let edits: [JSONValue] = [
            ["spec": ["holderIdentity": ""]], ["spec": ["holderIdentity": "thief"]], ["spec": nil],
            ["spec": ["renewTime": "2999-01-01T00:00:00.000000Z", "leaseTransitions": 2_147_483_647]],
            ["spec": ["leaseDurationSeconds": 1, "holderIdentity": nil]],
        ]
        try await world.advance(until: "somebody leads") { !world.said.isEmpty }
        for number in 0..<100 {
            if number % 7 == 6 {
                try? await world.cluster.admin.delete(lease)
            } else {
                _ = try? await world.cluster.admin.mergePatch(lease, edits[number % edits.count])
            }
            var overlap = 0
            for _ in 0..<6 {
                for _ in 0..<25 { await Task.yield() }
                try await Task.sleep(for: .milliseconds(2))  // Tries that are under way come to their end.
                overlap = deployment.leaderCount > 1 ? overlap + 1 : 0
                // Whoever is robbed of the lease by hand learns it at the next renewal, two and a half seconds later.
                if overlap == 4 { try await eventually("one has noticed") { deployment.leaderCount <= 1 } }
                world.clock.advance(by: .seconds(1))
            }
        }
        try await world.advance(until: "one leads", sleepers: 1) {
            deployment.managers.filter(\.isLeading).count == 1
        }
        #expect(deployment.restartCount <= 100)
        deployment.stop()
        _ = await (first, second)
    }

    @Test func `the new leader acts within fifteen seconds of the old one's last call, whenever that was`()
        async throws
    {
        for phase in 0..<3 {
            let world = try await Replicas()
            let cut = Hanging(world.clock)
            let (first, firstRequests) = world.replica("a", through: cut)
            async let firstExit = first.run()
            try await world.advance(until: "a leads") { world.said == ["a leads"] }
            let (second, _) = world.replica("b")
            async let secondExit = second.run()
            let start = world.clock.now
            try await world.advance(until: "some time", by: .milliseconds(350), sleepers: 2) {
                world.clock.now - start >= .milliseconds(4000 + phase * 700)
            }
            cut.begin()
            let lastCall = world.clock.now
            #expect(firstRequests.log.isEmpty == false)
            try await world.advance(until: "b leads", by: .milliseconds(200), sleepers: 1) {
                world.said.contains("b leads")
            }
            // Less the step of this test's clock.
            #expect(world.clock.now - lastCall < .milliseconds(14_800), "phase \(phase)")
            #expect(world.said == ["a leads", "a lost", "b leads"])
            second.stop()
            _ = await (firstExit, secondExit)
        }
    }
}

/// What a Deployment does: a replica that ends begins again.
private final class Deployment: Sendable {
    private struct State {
        var managers: [String: ControllerManager] = [:]
        var restartCount = 0
        var isStopped = false
    }

    private let world: Replicas
    private let state = Mutex(State())

    init(_ world: Replicas) { self.world = world }

    var managers: [ControllerManager] { state.withLock { Array($0.managers.values) } }
    /// How many may act.
    var leaderCount: Int { managers.filter(\.gate.isOpen).count }
    var restartCount: Int { state.withLock(\.restartCount) }

    func keepRunning(_ name: String) async {
        while !Task.isCancelled, !state.withLock(\.isStopped) {
            let (manager, _) = world.replica(name)
            state.withLock { $0.managers[name] = manager }
            if await manager.run() == .leadershipLost { state.withLock { $0.restartCount += 1 } }
        }
    }

    func stop() {
        state.withLock { $0.isStopped = true }
        for manager in managers { manager.stop() }
    }
}

/// How a clock can be wrong.
enum Wrong: CaseIterable, Sendable { case hourAhead, hourBehind, frozen, twiceAsFast }

/// A time of day that goes wrong at some moment; nobody may sleep by it.
final class WrongClock: WallClock {
    private let base: VirtualClock
    private let state = Mutex<(wrong: Wrong, since: Timestamp)?>(nil)

    init(_ base: VirtualClock) { self.base = base }

    func become(_ wrong: Wrong) {
        let now = base.now
        state.withLock { $0 = (wrong, now) }
    }

    var now: Timestamp {
        let now = base.now
        switch state.withLock({ $0 }) {
        case nil: return now
        case (.hourAhead, _)?: return now + .seconds(3600)
        case (.hourBehind, _)?: return now + .seconds(-3600)
        case (.frozen, let since)?: return since
        case (.twiceAsFast, let since)?: return now + (now - since)
        }
    }

    func sleep(until moment: Timestamp) async throws(CancellationError) {
        Issue.record("somebody sleeps by the wall clock")
        throw CancellationError()
    }
}

/// A way to a server on which, from some moment on, nothing comes back.
final class Hanging: Sendable {
    private let clock: VirtualClock
    private let isCut = Mutex(false)

    init(_ clock: VirtualClock) { self.clock = clock }

    func begin() { isCut.withLock { $0 = true } }

    func handler(_ base: any HTTPHandler) -> any HTTPHandler { Handler(way: self, base: base) }

    private struct Handler: HTTPHandler {
        let way: Hanging
        let base: any HTTPHandler

        func respond(to request: HTTPRequest) async -> HTTPReply {
            if !way.isCut.withLock({ $0 }) { return await base.respond(to: request) }
            try? await way.clock.sleep(until: way.clock.now + .seconds(3600))  // Cancelled: the caller has gone.
            return .disconnect
        }
    }
}
