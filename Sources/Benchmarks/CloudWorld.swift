import CEmbedded
import Encoding
import HTTP
import Sandbox
import Synchronization
import Telemetry
import YAML

/// A simulated cluster and a simulated Google Cloud behind one port of this process. Replies of the cloud take a while,
/// and what happens to the artifacts is counted, as the servers see it: the operator is a process of its own.
final class CloudWorld: HTTPHandler {
    /// What was seen since the counters were cleared.
    struct Seen: Sendable {
        /// Artifacts whose status said Ready=True, and when the last of them did.
        var ready: Set<String> = []
        var lastReady: Int64 = 0
        /// Artifacts whose finalizer went.
        var gone: Set<String> = []
        /// Buckets by how often somebody asked to create them.
        var inserts: [String: Int] = [:]
        /// Changes of something that is not of this run.
        var foreign: [String] = []
        var cloudRequestCount = 0
    }

    private struct State {
        var seen = Seen()
        var inFlight = 0
        var ours = ArtifactLoad.Places()
    }

    static let operatorToken = "operator"
    let cluster: SimulatedCluster
    let cloud: SimulatedCloud
    private let latency: Duration
    private let state = Mutex(State())

    /// - Parameters:
    ///   - latency: of each call to the cloud; half of it passes before the call is handled.
    ///   - inspection: looks at the requests to the cloud.
    init(latency: Duration, inspection: RequestInspection?) throws {
        let clock = SystemClock()
        var configuration = ClusterConfiguration(
            crds: try Idle.crds(),
            users: [
                "admin": SimulatedUser(name: "admin", groups: ["system:masters"]),
                Self.operatorToken: SimulatedUser(name: "operator", rules: try Self.rules()),
            ], clock: clock)
        configuration.clusterUID = ArtifactLoad.clusterUID
        cluster = try SimulatedCluster(configuration)
        cloud = SimulatedCloud(
            CloudConfiguration(
                project: ArtifactLoad.project, clusterName: "bench", clock: clock, inspection: inspection))
        self.latency = latency
    }

    /// The chart's role for the operator.
    private static func rules() throws -> [JSONValue] {
        let file = trainyard_embedded_clusterrole_rules()
        let text = String(decoding: UnsafeBufferPointer(start: file.bytes, count: file.count), as: UTF8.self)
        return try YAML.document(text).json["rules"]?.arrayValue ?? []
    }

    var seen: Seen { state.withLock(\.seen) }

    /// What may be changed from now on.
    func set(ours: ArtifactLoad.Places) { state.withLock { $0.ours = ours } }

    func clear() {
        state.withLock { state in
            state.seen.ready = []
            state.seen.gone = []
            state.seen.cloudRequestCount = 0
        }
    }

    /// Waits until something was seen.
    func wait(_ what: String, within limit: Duration = .seconds(600), _ holds: (Seen) -> Bool) async throws {
        let deadline = ContinuousClock.now + limit
        while !state.withLock({ holds($0.seen) }) {
            guard ContinuousClock.now < deadline else { throw BenchmarkError("never came: \(what)") }
            await Machine.sleep(milliseconds: 5)
        }
    }

    /// Waits until every call has been handled that an operator sent before it ended.
    func drain() async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while state.withLock({ $0.inFlight > 0 }) {
            guard ContinuousClock.now < deadline else { throw BenchmarkError("calls never end") }
            await Machine.sleep(milliseconds: 5)
        }
    }

    // MARK: Requests

    func respond(to request: HTTPRequest) async -> HTTPReply {
        guard SandboxWorld.side(of: request) == .cloud else {
            let reply = await cluster.respond(to: request)
            note(request, reply)
            return reply
        }
        // What has left the operator arrives, whatever becomes of the operator: its end does not cancel this.
        let handling = Task { await self.handle(request) }
        return await handling.value
    }

    private func handle(_ request: HTTPRequest) async -> HTTPReply {
        state.withLock { state in
            state.inFlight += 1
            state.seen.cloudRequestCount += 1
        }
        defer { state.withLock { $0.inFlight -= 1 } }
        try? await Task.sleep(for: latency / 2)  // Never cancelled.
        noteChange(request)
        let reply = await cloud.respond(to: request)
        try? await Task.sleep(for: latency / 2)  // As above.
        return reply
    }

    private func noteChange(_ request: HTTPRequest) {
        guard request.method != .get, request.method != .head else { return }
        let target = ArtifactLoad.Target(request)
        state.withLock { state in
            if case .bucketCreation(let name) = target { state.seen.inserts[name, default: 0] += 1 }
            if !state.ours.contains(target) { state.seen.foreign.append("\(request.method.rawValue) \(request.url)") }
        }
    }

    /// Ready, and gone, as the API server confirmed it.
    private func note(_ request: HTTPRequest, _ reply: HTTPReply) {
        guard request.method == .put || request.method == .patch, reply.status == 200,
            request.url.path.contains("/gcsartifacts/"), case .bytes(let bytes) = reply.body,
            let object = try? JSONValue(parsing: bytes),  // The simulated server writes JSON.
            let name = object.value(at: ["metadata", "name"])?.stringValue
        else { return }
        let isReady = (object.value(at: ["status", "conditions"])?.arrayValue ?? []).contains {
            $0["type"] == "Ready" && $0["status"] == "True"
        }
        let isDeleting = object.value(at: ["metadata", "deletionTimestamp"]) != nil
        let isHeld = !(object.value(at: ["metadata", "finalizers"])?.arrayValue ?? []).isEmpty
        let now = Machine.nanoseconds
        state.withLock { state in
            if isReady, !isDeleting, state.seen.ready.insert(name).inserted { state.seen.lastReady = now }
            if isDeleting, !isHeld { state.seen.gone.insert(name) }
        }
    }
}
