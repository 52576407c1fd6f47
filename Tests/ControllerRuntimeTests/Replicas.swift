import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Telemetry
import Testing

@testable import ControllerRuntime

/// Lets other tasks run until something holds; fails after a bound, so that nothing hangs.
func eventually(
    _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ holds: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    var count = 0
    while !(try await holds()) {
        guard ContinuousClock.now < deadline else {
            Issue.record("never came: \(what)", sourceLocation: sourceLocation)
            throw CancellationError()
        }
        count += 1
        if count < 100 {
            await Task.yield()
        } else {
            // Many tests wait beside each other: yielding alone would keep the cores from those who work.
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}

/// Replicas over one cluster and one cloud, on one clock that stands still.
final class Replicas: Sendable {
    let cluster: WidgetCluster
    let cloud = WidgetCloud()
    private let reports = Mutex<[String]>([])

    init() async throws { cluster = try await WidgetCluster() }

    var clock: VirtualClock { cluster.clock }

    /// - Parameters:
    ///   - handler: in place of the cluster's own server.
    ///   - wall: in place of the clock, as the time of day.
    ///   - way: to the server.
    func replica(
        _ identity: String, isElected: Bool = true, over handler: (any HTTPHandler)? = nil,
        wall: (any WallClock)? = nil, through way: Hanging? = nil
    ) -> (manager: ControllerManager, interceptor: Interceptor) {
        let interceptor = Interceptor(handler ?? cluster.server)
        let client = WidgetCluster.client(over: way?.handler(interceptor) ?? interceptor)
        let environment = RuntimeEnvironment(
            client: client, clock: .virtual(clock, wall: wall), random: seededRandom(),
            report: { report in
                switch report {
                case .leadershipGained(let who): self.reports.withLock { $0.append("\(who) leads") }
                case .leadershipLost(let who): self.reports.withLock { $0.append("\(who) lost") }
                default: break
                }
            })
        let manager = ControllerManager(
            environment: environment,
            leaderElection: isElected ? LeaderElectionOptions(namespace: "ns", identity: identity) : nil)
        manager.add(WidgetController(client: client, cloud: cloud))
        return (manager, interceptor)
    }

    var said: [String] { reports.withLock { $0 } }

    /// Moves the clock in steps until something holds; each step waits until so many tasks sleep on the clock, so that
    /// time does not run away from electors that have not had their turn.
    func advance(
        until what: String, by step: Duration = .milliseconds(250), sleepers: Int = 0,
        _ holds: () async throws -> Bool
    ) async throws {
        for _ in 0..<400 {
            for _ in 0..<25 { await Task.yield() }
            // A try for the lease sleeps on the clock too, as its own limit: time must not run away from one under way.
            try await Task.sleep(for: .milliseconds(2))
            try await eventually("\(sleepers) sleepers before: \(what)") {
                if clock.sleeperCount >= sleepers { return true }
                return try await holds()
            }
            if try await holds() { return }
            clock.advance(by: step)
        }
        try await eventually(what, holds)
    }
}
