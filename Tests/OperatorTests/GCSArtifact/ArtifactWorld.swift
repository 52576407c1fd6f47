import CloudChecks
import ControllerRuntime
import Encoding
import GoogleCloud
import Glibc
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Telemetry
import Testing
import YAML

@testable import Operator

/// Ends the operator at one of its changes: before the request is sent, or when the reply is on its way.
final class CrashSwitch: Sendable {
    enum Moment: String, Sendable, CaseIterable {
        case beforeSend, beforeReply
    }

    private struct State {
        var changeCount = 0
        var target: (count: Int, moment: Moment)?
        var isDown = false
        var log: [String] = []
    }

    private let state = Mutex(State())

    var changeCount: Int { state.withLock { $0.changeCount } }
    var isDown: Bool { state.withLock { $0.isDown } }
    /// The changes that were sent.
    var log: [String] { state.withLock { $0.log } }

    func arm(_ count: Int, _ moment: Moment) { state.withLock { $0.target = (count, moment) } }
    func restart() { state.withLock { $0.isDown = false } }
    func clear() { state.withLock { $0.log = [] } }

    /// Sends a request, or dies.
    func pass<Reply>(
        _ request: HTTPRequest, _ send: (HTTPRequest) async throws(APIError) -> Reply
    ) async throws(APIError) -> Reply {
        let moment: Moment? = try state.withLock { state throws(APIError) in
            if state.isDown { throw CrashSwitch.dead }
            guard request.method != .get else { return nil }
            state.changeCount += 1
            guard let target = state.target, target.count == state.changeCount else {
                state.log.append(request.operation)
                return nil
            }
            state.isDown = true
            if target.moment == .beforeSend { throw CrashSwitch.dead }
            state.log.append(request.operation)
            return target.moment
        }
        let reply = try await send(request)
        if moment == .beforeReply { throw CrashSwitch.dead }
        return reply
    }

    private static let dead = APIError(.cancelled, operation: "crash", message: "the operator was killed")
}

struct CrashingTransport: HTTPTransport {
    let base: any HTTPTransport
    let crash: CrashSwitch

    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        try await crash.pass(request) { request throws(APIError) in try await base.send(request) }
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        try await crash.pass(request) { request throws(APIError) in try await base.open(request) }
    }
}

/// The simulated cluster and cloud with the artifacts' controller over them, stepped on a clock that stands still.
final class ArtifactWorld: Sendable {
    private struct Process: Sendable {
        let loop: ControllerLoop<GCSArtifactController>
        let cache: ObjectCache
        /// Its queue counts from here.
        let started: Timestamp
    }

    let clock = VirtualClock()
    let cluster: SimulatedCluster
    let cloud: SimulatedCloud
    let crash = CrashSwitch()
    private let uses = Uses()
    /// Who signs URLs, once the cloud knows it.
    static let signer = "signer@sandbox-project.iam.gserviceaccount.com"
    let admin: KubernetesClient
    private let process: Mutex<Process>
    private let dresses: Bool
    private static let server = HTTPURL(origin: "http://127.0.0.1:1", path: "/")

    /// - Parameter dresses: replies about buckets come as a server may give them: with more fields, in another order.
    init(dresses: Bool = false) throws {
        self.dresses = dresses
        var configuration = ClusterConfiguration(
            crds: try ArtifactWorld.crds.get(), users: ["admin": SimulatedUser(name: "admin")], clock: clock)
        configuration.seed = 7
        cluster = try SimulatedCluster(configuration)
        cloud = SimulatedCloud(CloudConfiguration(clock: clock, inspection: .ofTests))
        admin = ArtifactWorld.client(HandlerTransport(cluster))
        process = Mutex(ArtifactWorld.start(cluster, cloud, crash, clock, dresses, uses))
    }

    /// What others than TrainingJobs use.
    private final class Uses: Sendable {
        let list = Mutex<[ArtifactUse]>([])
    }

    func setUses(_ list: [ArtifactUse]) { uses.list.withLock { $0 = list } }

    private static func client(_ transport: any HTTPTransport) -> KubernetesClient {
        KubernetesClient(transport: transport, server: server, credentials: { () throws(APIError) in "admin" })
    }

    /// A fresh operator: nothing is remembered.
    private static func start(
        _ cluster: SimulatedCluster, _ cloud: SimulatedCloud, _ crash: CrashSwitch, _ clock: VirtualClock,
        _ dresses: Bool, _ uses: Uses
    ) -> Process {
        let cache = ObjectCache()
        let kubernetes = client(CrashingTransport(base: HandlerTransport(cluster), crash: crash))
        let google = GoogleCloudClient(
            transport: CrashingTransport(
                base: dresses ? DressingTransport(base: HandlerTransport(cloud)) : HandlerTransport(cloud), crash: crash
            ),
            tokens: NoTokens(), clock: clock)
        var transfers = TransferSettings()
        transfers.retries = 0
        let controller = GCSArtifactController(
            configuration: Artifacts.configuration, kubernetes: kubernetes,
            storage: StorageClient(google, transfers: transfers), cache: cache, clock: clock,
            otherUses: { _, _ in uses.list.withLock { $0 } },
            signing: URLSigning(IAMCredentialsClient(google)) { _ in signer })
        let environment = RuntimeEnvironment(client: kubernetes, clock: .virtual(clock), random: { 0.5 })
        let loop = ControllerLoop(
            controller, cache: cache, environment: environment,
            gate: MutationGate(clock: environment.clock, isOpen: true))
        return Process(loop: loop, cache: cache, started: clock.now)
    }

    // MARK: Stepping

    /// Steps rounds until nothing is due within `horizon` from now; an operator that died is started again.
    func settle(horizon: Duration = .seconds(50)) async throws {
        let end = clock.now + horizon
        for _ in 0..<300 {
            await Task.yield()  // Nothing here waits: others' timeouts go on meanwhile.
            try await sync()
            let (loop, started) = process.withLock { ($0.loop, $0.started) }
            if await loop.reconcileNext() != nil {
                if crash.isDown {
                    crash.restart()
                    process.withLock { $0 = ArtifactWorld.start(cluster, cloud, crash, clock, dresses, uses) }
                }
                continue
            }
            let uptime = clock.now - started
            guard let due = loop.nextDue, clock.now + (due - uptime) < end else { return }
            clock.advance(by: due - uptime)
        }
        Issue.record("it does not settle")
    }

    private func sync() async throws {
        let cache = process.withLock { $0.cache }
        let artifacts = try await admin.list(GCSArtifact.self)
        cache.store(GCSArtifact.self).replace(with: artifacts.items, resourceVersion: artifacts.resourceVersion)
        let jobs = try await admin.list(TrainingJob.self)
        cache.store(TrainingJob.self).replace(with: jobs.items, resourceVersion: jobs.resourceVersion)
    }

    // MARK: The user's hands

    func apply(_ yaml: String) async throws {
        for document in try YAML.documents(yaml) {
            var object = document.json
            if object.value(at: ["metadata", "namespace"]) == nil {
                object.set("default", at: ["metadata", "namespace"])
            }
            let type = object["kind"] == "TrainingJob" ? TrainingJob.resourceType : GCSArtifact.resourceType
            try await admin.create(type, object)
        }
    }

    func artifact(_ name: String = "runs") async throws -> GCSArtifact? {
        try await admin.find(GCSArtifact.self, namespace: "default", name: name)
    }

    func patch(_ patch: JSONValue, of name: String = "runs") async throws {
        try await admin.mergePatch(
            ObjectReference(type: GCSArtifact.resourceType, namespace: "default", name: name), patch)
    }

    func delete(_ name: String = "runs") async throws {
        try await admin.delete(ObjectReference(type: GCSArtifact.resourceType, namespace: "default", name: name))
    }

    /// A run's files in the bucket and, in the job's status, that they are verified.
    func finishRun(_ id: String, of job: String = "mnist", in prefix: String = "") async throws {
        var outputs = TrainingJob.OutputsStatus()
        for (path, text) in [("metrics.json", #"{"test_accuracy":[91.2]}"#), ("model.safetensors", "weights of \(id)")]
        {
            let name = "\(prefix)runs/\(id)/\(path)"
            try cloud.putObject(bucket: "runs-bucket", name: name, bytes: Array(text.utf8))
            let object = try await storage.object(name, in: "runs-bucket")
            var file = TrainingJob.OutputsStatus.File(path: path)
            file.generation = String(object.generation)
            file.crc32c = object.crc32c
            file.sizeBytes = object.size
            file.verified = true
            outputs.files.append(file)
        }
        try cloud.putObject(bucket: "runs-bucket", name: "\(prefix)runs/\(id)/progress.json", bytes: Array("{}".utf8))
        outputs.count = 2
        outputs.verifiedCount = 2
        let object = try await admin.get(TrainingJob.self, namespace: "default", name: job)
        var status = TrainingJob.Status()
        status.observedGeneration = 1
        status.run = TrainingJob.Run(number: 1, id: id)
        status.run?.result = "Succeeded"
        status.run?.prefix = "gs://runs-bucket/\(prefix)runs/\(id)/"
        status.run?.completionTime = Timestamp(seconds: 1_795_255_000)
        status.outputs = outputs
        status.conditions = [
            Condition(
                type: "OutputsVerified", status: .true, reason: "Succeeded", message: "2 of 2 files verified",
                lastTransitionTime: Timestamp(seconds: 1_795_255_000))
        ]
        _ = try await admin.updateStatus(of: object, to: status)
    }

    /// The test's own client of the cloud.
    var storage: StorageClient {
        StorageClient(GoogleCloudClient(transport: HandlerTransport(cloud), tokens: NoTokens(), clock: clock))
    }

    // MARK: Files

    /// Tests/OperatorTests/GCSArtifact/ArtifactWorld.swift, four levels up.
    private static let root = #filePath.split(separator: "/").dropLast(4).map { "/\($0)" }.joined()

    /// Read once: a world is made for each crash.
    private static let crds = Result { () throws -> [JSONValue] in
        try ["gcsartifacts", "trainingjobs"].map { name in
            let file = try #require(fopen("\(root)/crds/\(name).yaml", "r"))
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            let count = fread(&bytes, 1, bytes.count, file)
            return try YAML.document(String(decoding: bytes[..<count], as: UTF8.self)).json
        }
    }
}
