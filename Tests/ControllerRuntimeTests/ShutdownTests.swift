import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime

/// Takes its time outside the cluster.
private final class SlowController: Controller {
    typealias Object = Widget

    struct Observation: Sendable, Equatable {
        var widget: Widget
        var isMade: Bool
    }

    enum CloudAction: Sendable, Equatable { case make(String) }

    let clock: VirtualClock
    let time: Duration
    private let state = Mutex((begun: Set<String>(), ended: Set<String>()))

    init(clock: VirtualClock, time: Duration) {
        self.clock = clock
        self.time = time
    }

    var begunCount: Int { state.withLock(\.begun.count) }
    var endedCount: Int { state.withLock(\.ended.count) }

    func observe(_ object: Widget) async throws(APIError) -> Observation {
        Observation(widget: object, isMade: state.withLock { $0.ended.contains(object.metadata.name) })
    }

    static func plan(_ observation: Observation) -> Plan<Widget.Status, CloudAction> {
        let ready = Condition(
            type: "Ready", status: observation.isMade ? .true : .false, reason: "Made", message: "",
            lastTransitionTime: Timestamp(seconds: 0))
        return Plan(
            steps: observation.isMade ? [] : [.cloud(.make(observation.widget.metadata.name))],
            status: Widget.Status(conditions: [ready]), next: observation.isMade ? .whenChanged : .after(.zero))
    }

    func perform(_ action: CloudAction) async throws(APIError) {
        guard case .make(let name) = action else { return }
        state.withLock { _ = $0.begun.insert(name) }
        do throws(CancellationError) {
            try await clock.sleep(until: clock.now + time)
        } catch {
            throw APIError(.cancelled, operation: "make", message: "cancelled")
        }
        state.withLock { _ = $0.ended.insert(name) }
    }
}

/// Whether something has ended.
private final class Ending: Sendable {
    private let isOver = Mutex(false)

    var hasCome: Bool { isOver.withLock { $0 } }

    func note<Value: Sendable>(_ body: () async -> Value) async -> Value {
        defer { isOver.withLock { $0 = true } }
        return await body()
    }
}

/// Row 10: the end with a hundred calls in flight.
@Suite(.timeLimit(.minutes(3))) struct ShutdownTests {
    private func world(
        _ time: Duration
    ) async throws -> (cluster: WidgetCluster, controller: SlowController, manager: ControllerManager) {
        let cluster = try await WidgetCluster()
        let controller = SlowController(clock: cluster.clock, time: time)
        let manager = ControllerManager(
            environment: RuntimeEnvironment(
                client: WidgetCluster.client(over: cluster.server), clock: .virtual(cluster.clock),
                random: seededRandom()),
            leaderElection: LeaderElectionOptions(namespace: "ns", identity: "a"))
        manager.add(controller, options: ControllerOptions(concurrency: 128))
        for number in 0..<150 { try await cluster.create("w\(number)") }
        return (cluster, controller, manager)
    }

    private func lease(_ cluster: WidgetCluster) async throws -> Lease.Spec? {
        try await cluster.admin.find(Lease.self, namespace: "ns", name: "trainyard-operator")?.spec
    }

    private func holder(_ cluster: WidgetCluster) async throws -> String? { try await lease(cluster)?.holderIdentity }

    @Test func `calls in flight are finished and told, none is begun, then the lease is free`() async throws {
        let (cluster, controller, manager) = try await world(.seconds(5))
        async let exit = manager.run()
        // An eighth of the places is left to other namespaces.
        try await eventually("112 calls are in flight") { controller.begunCount == 112 }
        #expect(manager.statistics.controllers.map(\.queue.activeCount) == [112])
        manager.stop()
        for _ in 0..<500 { await Task.yield() }
        #expect(try await holder(cluster) == "a", "the lease is kept while calls are in flight")
        for _ in 0..<6 {
            cluster.clock.advance(by: .seconds(1))
            for _ in 0..<200 { await Task.yield() }
        }
        #expect(await exit == .stopped)
        #expect(controller.begunCount == 112)
        #expect(controller.endedCount == 112)
        #expect(try await holder(cluster) == "")
        let told = try await cluster.admin.list(Widget.self).items.filter { $0.status?.observedGeneration == 1 }
        #expect(told.count == 112)
    }

    @Test func `calls that take longer than the grace are given up, and the lease is free all the same`() async throws {
        let (cluster, controller, manager) = try await world(.seconds(600))
        let ending = Ending()
        async let exit = ending.note { await manager.run() }
        try await eventually("calls are in flight") { controller.begunCount == 112 }
        manager.stop()
        let start = cluster.clock.now
        while !ending.hasCome, cluster.clock.now - start < .seconds(60) {
            // Time must not run away from a renewal, nor from the end, that have not had their turn.
            try await eventually("the lease is renewed, or all is over") {
                guard let renewed = try await lease(cluster)?.renewTime?.time else { return true }
                return ending.hasCome || cluster.clock.now - renewed < .seconds(5)
            }
            let isEndDue = cluster.clock.now == start || cluster.clock.now - start >= .seconds(20)
            try await Task.sleep(for: .milliseconds(isEndDue ? 100 : 2))
            if ending.hasCome { break }
            cluster.clock.advance(by: .milliseconds(500))
        }
        #expect(await exit == .stopped)
        #expect(cluster.clock.now - start <= .seconds(25))
        #expect(controller.endedCount == 0)
        #expect(try await holder(cluster) == "")
    }
}

/// A controller that is content.
private struct ContentController: Controller {
    typealias Object = Widget

    func observe(_ object: Widget) async throws(APIError) -> Widget { object }

    static func plan(_ observation: Widget) -> Plan<Widget.Status, Never> {
        Plan(status: observation.status ?? Widget.Status())
    }
}

@Suite(.timeLimit(.minutes(3))) struct ThroughputTests {
    /// Measured with `swift test -c release` alone on a machine: see the Benchmarks. Here only what is absurd fails.
    @Test func `a round that finds nothing to do costs next to nothing`() async throws {
        let cluster = try await WidgetCluster()
        let interceptor = Interceptor(cluster.server)
        let environment = RuntimeEnvironment(
            client: WidgetCluster.client(over: interceptor), clock: .virtual(cluster.clock), random: seededRandom())
        let cache = ObjectCache()
        let loop = ControllerLoop(
            ContentController(), cache: cache, environment: environment,
            gate: MutationGate(clock: environment.clock, isOpen: true))
        let condition = Condition(
            type: "Ready", status: .true, reason: "Made", message: "all is well",
            lastTransitionTime: Timestamp(seconds: 1), observedGeneration: 1)
        let widgets = (0..<10_000).map { number in
            Widget(
                metadata: ObjectMeta(
                    name: "w\(number)", namespace: "team\(number % 20)", uid: "u\(number)",
                    resourceVersion: "\(number + 1)", generation: 1, finalizers: [Finalizer.name]),
                spec: Widget.Spec(size: 3),
                status: Widget.Status(observedGeneration: 1, conditions: [condition], intended: 3))
        }
        loop.store.replace(with: widgets, resourceVersion: "20000")
        let start = ContinuousClock.now
        var count = 0
        while let round = await loop.reconcileNext() {
            #expect(round.outcome == .settled)
            count += 1
        }
        let rate = Double(count) / ((ContinuousClock.now - start) / .seconds(1))
        #expect(count == 10_000)
        #expect(interceptor.log == [])
        #expect(rate > 1_000, "\(rate) rounds a second")
        print("no-op rounds a second, one at a time: \(Int(rate))")
    }
}
