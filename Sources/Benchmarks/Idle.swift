import CEmbedded
import ControllerRuntime
import Encoding
import HTTP
import Operator
import Sandbox
import Synchronization
import YAML

/// idleWrites and idleRequestsPerSecond: the real controllers with leader election over the simulated cluster with all
/// objects in it, in this process, on a clock that is moved: after everything has had its first round, ten minutes in
/// steps of a quarter of a second. Counts requests to both APIs; writes to the lease are requests, but no writes.
enum Idle {
    private static let step: Duration = .milliseconds(250)

    static func run(objectCount: Int, into results: inout Results) async throws {
        let clock = VirtualClock(start: JobFixture.now)
        let cluster = try SimulatedCluster(try configuration(objectCount: objectCount, clock: clock))
        let counter = Counter(cluster)
        let parts = try InProcessOperator(
            transport: HandlerTransport(counter), token: "operator", clock: clock,
            leaderElection: LeaderElectionOptions(namespace: "trainyard-system", identity: "one"))
        let (requests, writes) = try await parts.running {
            // Every object has a first round, and its re-check a time of its own.
            for _ in 0..<240 { await advance(clock, cluster) }
            let before = counter.counts
            for _ in 0..<2400 { await advance(clock, cluster) }
            let after = counter.counts
            for line in counter.lines.prefix(20) { results.remark("idle: \(line.value) × \(line.key)") }
            return (after.requests - before.requests, after.writes - before.writes)
        }
        results.set(.idleWrites, Double(writes))
        results.set(.idleRequestsPerSecond, Double(requests) / 600)
    }

    /// Moves the clock, and waits until what that woke has been done.
    private static func advance(_ clock: VirtualClock, _ cluster: SimulatedCluster) async {
        clock.advance(by: step)
        await cluster.tick()
        var last = -1.0
        // Two looks at the CPU time of this process that agree: nothing runs.
        for _ in 0..<2000 {
            let now = Machine.cpuSeconds
            if now - last < 0.0003 { return }
            last = now
            try? await Task.sleep(for: .milliseconds(1))  // Never cancelled.
        }
    }

    private static func configuration(objectCount: Int, clock: VirtualClock) throws -> ClusterConfiguration {
        let fixture = try JobFixture()
        var objects = ["kube-system", "trainyard-system", "default"].map { name -> JSONValue in
            entry("", "namespaces", ["metadata": ["name": .string(name), "uid": .string("\(name)-uid")]])
        }
        for index in 0..<objectCount {
            objects.append(entry("trainyard.dev", "trainingjobs", fixture.object(index, version: 1000 + index)))
        }
        for index in 0..<min(20, objectCount) {
            let name = JobFixture.namespace(index)
            objects.append(
                entry("", "namespaces", ["metadata": ["name": .string(name), "uid": .string("\(name)-uid")]]))
        }
        var configuration = ClusterConfiguration(
            crds: try crds(),
            users: ["operator": SimulatedUser(name: "operator", groups: ["system:masters"])], clock: clock)
        configuration.snapshot = [
            "revision": .integer(Int64(1000 + objectCount)), "objects": .array(objects),
        ]
        return configuration
    }

    private static func entry(_ group: String, _ plural: String, _ object: JSONValue) -> JSONValue {
        var object = object
        if object.value(at: ["metadata", "resourceVersion"]) == nil {
            object.set("1", at: ["metadata", "resourceVersion"])
        }
        return ["group": .string(group), "plural": .string(plural), "object": object]
    }

    static func crds() throws -> [JSONValue] {
        try [
            trainyard_embedded_trainingjobs_crd(), trainyard_embedded_gcsartifacts_crd(),
            trainyard_embedded_modelendpoints_crd(),
        ].flatMap { file in
            let bytes = UnsafeBufferPointer(start: file.bytes, count: file.count)
            return try YAML.documents(String(decoding: bytes, as: UTF8.self)).map(\.json)
        }
    }

    /// Counts what passes; answers for Google with nothing.
    private final class Counter: HTTPHandler {
        struct Counts: Sendable {
            var requests = 0
            var writes = 0
            var lines: [String: Int] = [:]
        }

        private let base: SimulatedCluster
        private let state = Mutex(Counts())

        init(_ base: SimulatedCluster) { self.base = base }

        var counts: Counts { state.withLock { $0 } }
        var lines: [(key: String, value: Int)] { counts.lines.sorted { $0.value > $1.value } }

        func respond(to request: HTTPRequest) async -> HTTPReply {
            let isWatch = request.url.queryValue("watch") == "true"
            let line = "\(isWatch ? "WATCH" : request.method.rawValue) \(request.url.path)"
            state.withLock { counts in
                counts.requests += 1
                if request.method != .get, !request.url.path.contains("/leases") { counts.writes += 1 }
                counts.lines[line, default: 0] += 1
            }
            if request.url.path.hasPrefix("/v1/") { return CannedServer.reply(200, [:]) }
            return await base.respond(to: request)
        }
    }
}
