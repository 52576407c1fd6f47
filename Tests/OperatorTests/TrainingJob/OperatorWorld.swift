import CloudChecks
import Encoding
import FoundationEssentials
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Telemetry
import Testing
import TrainingContract

@testable import ControllerRuntime
@testable import Operator

/// What happens to the operator's requests that change something.
final class RequestFaults: HTTPTransport {
    /// Where the process dies.
    enum Crash: Sendable, Hashable {
        /// The request never leaves.
        case before(Int)
        /// The request is handled, its reply never read.
        case after(Int)
    }

    private struct State {
        var count = 0
        var crash: Crash?
        var isDead = false
        var log: [String] = []
    }

    private let base: any HTTPTransport
    private let state = Mutex(State())

    init(_ base: any HTTPTransport) { self.base = base }

    /// Changes sent so far, events left out.
    var count: Int { state.withLock(\.count) }
    var isDead: Bool { state.withLock(\.isDead) }
    /// `METHOD path` of each of them.
    var log: [String] { state.withLock(\.log) }

    func plan(_ crash: Crash?) { state.withLock { $0.crash = crash } }

    /// A new process: nothing of the old one's death is left.
    func revive() {
        state.withLock { state in
            state.isDead = false
            state.crash = nil
        }
    }

    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        let dead = APIError(.cancelled, operation: "crash", message: "the process is dead")
        let isChange = request.method != .get && !request.url.path.contains("/events")
        let crashesAfter = try state.withLock { state throws(APIError) in
            if state.isDead { throw dead }
            guard isChange else { return false }
            let index = state.count
            if state.crash == .before(index) {
                state.isDead = true
                throw dead
            }
            state.count += 1
            state.log.append("\(request.method.rawValue) \(request.url.path)")
            return state.crash == .after(index)
        }
        let response = try await base.send(request)
        guard crashesAfter else { return response }
        state.withLock { $0.isDead = true }
        throw dead
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream { try await base.open(request) }
}

/// The real TrainingJob controller in its real loop, with the operator's own role, over the simulated world on a virtual
/// clock. Time moves only here.
final class OperatorWorld {
    static let image = "trainyard.dev/trainer:test"

    /// The CRDs and the operator's role, read once.
    private static let files = Result {
        let crds =
            try Repository.yaml("crds/trainingjobs.yaml") + Repository.yaml("crds/gcsartifacts.yaml")
            + Repository.yaml("crds/modelendpoints.yaml")
        let role = try Repository.yaml("charts/trainyard/files/clusterrole-rules.yaml")
        return (crds, try #require(role.first?["rules"]?.arrayValue))
    }

    let clock = VirtualClock()
    let world: SandboxWorld
    let admin: KubernetesClient
    let faults: RequestFaults
    private(set) var loop: ControllerLoop<TrainingJobController>
    private var cache: ObjectCache
    private let server = HTTPURL(origin: "http://127.0.0.1:1", path: "/")
    private let folder: String

    /// - Parameter rules: of the operator's role; the chart's unless told otherwise.
    init(
        stockouts: Set<String> = ["spot/us-central1-a"], rules: [JSONValue]? = nil,
        program: @escaping @Sendable (PodContext) async -> PodResult
    ) async throws {
        folder = FileManager.default.temporaryDirectory.path + "/operator-world-\(UInt64.random(in: 0 ... .max))"
        let (crds, role) = try OperatorWorld.files.get()
        var configuration = WorldConfiguration(
            crds: crds, adminToken: "admin",
            users: ["operator": SimulatedUser(name: "operator", rules: rules ?? role)], clock: clock,
            images: [OperatorWorld.image: .scripted(program)], stateDirectory: folder, seed: 7)
        configuration.cloud.script.stockouts = stockouts
        configuration.cloud.inspection = .ofTests
        world = try SandboxWorld(configuration)
        admin = KubernetesClient(
            transport: HandlerTransport(world), server: server, credentials: { () throws(APIError) in "admin" })
        faults = RequestFaults(HandlerTransport(world))
        (loop, cache) = OperatorWorld.process(faults, server: server, clock: clock)
        try await prepare()
    }

    deinit {
        // Left files are in the temporary directory.
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// A process of the operator: nothing is carried over from an earlier one.
    private static func process(
        _ faults: RequestFaults, server: HTTPURL, clock: VirtualClock
    ) -> (ControllerLoop<TrainingJobController>, ObjectCache) {
        let client = KubernetesClient(
            transport: faults, server: server, credentials: { () throws(APIError) in "operator" })
        let google = GoogleCloudClient(transport: faults, tokens: NoTokens(), clock: clock)
        let cache = ObjectCache()
        guard let cluster = ClusterName("projects/sandbox-project/locations/us-central1/clusters/sandbox") else {
            preconditionFailure("the constant is a valid name")
        }
        let configuration = OperatorConfiguration(
            cluster: cluster, clusterUID: "cluster-uid", zones: ["us-central1-a", "us-central1-b"],
            trainerImage: image, progressInterval: .seconds(3))
        let environment = RuntimeEnvironment(client: client, clock: .virtual(clock), random: { 0.5 })
        let controller = TrainingJobController(
            configuration: configuration, kubernetes: client, container: ContainerClient(google),
            storage: StorageClient(google), compute: ComputeClient(google), cache: cache, clock: environment.clock)
        let gate = MutationGate(clock: environment.clock, isOpen: true)
        return (ControllerLoop(controller, cache: cache, environment: environment, gate: gate), cache)
    }

    /// kill -9, and a start.
    func restart() {
        faults.revive()
        (loop, cache) = OperatorWorld.process(faults, server: server, clock: clock)
    }

    /// Buckets and the artifacts that name them, ready.
    private func prepare() async throws {
        try await admin.create(
            ResourceType(group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false),
            ["metadata": ["name": "ml"]])
        let google = StorageClient(
            GoogleCloudClient(transport: HandlerTransport(world), tokens: NoTokens(), clock: clock))
        for (name, bucket) in [("dataset", "data-bucket"), ("runs", "runs-bucket")] {
            _ = try await google.insertBucket(
                BucketConfiguration(name: bucket, location: "us-central1"), project: "sandbox-project")
            let spec: JSONValue = ["bucket": ["name": .string(bucket), "location": "us-central1"], "layout": "Flat"]
            let object = try await admin.create(
                GCSArtifact.resourceType,
                ["metadata": ["name": .string(name), "namespace": "ml"], "spec": spec])
            var artifact = try object.decode(GCSArtifact.self)
            var status = GCSArtifact.Status()
            status.observedGeneration = 1
            status.uri = "gs://\(bucket)/"
            status.conditions = [
                Condition(type: "Ready", status: .true, reason: "Ready", message: "", lastTransitionTime: clock.now)
            ]
            artifact = try await admin.updateStatus(of: artifact, to: status)
        }
        try world.cloud.putObject(
            bucket: "data-bucket", name: "train-images-idx3-ubyte.gz", bytes: [1, 2, 3], contentType: "application/gzip"
        )
    }

    // MARK: Objects

    /// The example of the builders, as a manifest.
    static func manifest(_ change: (inout TrainingJob.Spec) -> Void = { _ in }) throws -> JSONValue {
        [
            "apiVersion": "trainyard.dev/v1alpha1", "kind": "TrainingJob",
            "metadata": ["name": "mnist", "namespace": "ml"],
            "spec": try JSONValue(encoding: trainingJob(change).spec),
        ]
    }

    func create(_ change: (inout TrainingJob.Spec) -> Void = { _ in }) async throws {
        try await admin.create(TrainingJob.resourceType, try OperatorWorld.manifest(change))
    }

    func job() async throws -> TrainingJob? {
        try await admin.find(TrainingJob.self, namespace: "ml", name: "mnist")
    }

    func patch(_ patch: JSONValue) async throws {
        try await admin.mergePatch(
            ObjectReference(type: TrainingJob.resourceType, namespace: "ml", name: "mnist"), patch)
    }

    func delete() async throws {
        try await admin.delete(ObjectReference(type: TrainingJob.resourceType, namespace: "ml", name: "mnist"))
    }

    /// Node pools that were created, each by how often, as the cloud counts.
    var createCount: Int { world.cloud.callCount("container.nodePools.create") }

    // MARK: Time

    /// Brings the operator's stores up to date, as its watches would.
    private func sync() async throws {
        try await sync(TrainingJob.self, nil)
        try await sync(GCSArtifact.self, nil)
        try await sync(Job.self, Ownership.jobLabel)
        try await sync(Pod.self, Ownership.jobLabel)
        try await sync(Service.self, Ownership.jobLabel)
        try await sync(Node.self, Ownership.jobLabel)
        try await sync(ProvisioningRequest.self, Ownership.jobLabel)
    }

    private func sync<Object: KubernetesResource>(_ type: Object.Type, _ selector: String?) async throws {
        let list = try await admin.list(type, ObjectSelection(labelSelector: selector))
        cache.store(type, labelSelector: selector).replace(with: list.items, resourceVersion: list.resourceVersion)
    }

    /// Lets time pass second by second, with the operator at work, until `isOver` holds.
    ///
    /// - Throws: when it does not hold after `seconds`; the message shows the object's conditions.
    func run(
        for seconds: Int = 300, until isOver: (TrainingJob?) -> Bool,
        at location: SourceLocation = #_sourceLocation
    ) async throws {
        for _ in 0..<seconds {
            await Task.yield()  // Nothing here waits: others' timeouts go on meanwhile.
            try await sync()
            if isOver(try await job()) { return }
            await work()
            if faults.isDead { restart() }
            clock.advance(by: .seconds(1))
            await world.tick()
        }
        let last = try await job()
        guard !isOver(last) else { return }
        let conditions = last?.status?.conditions.map { "\($0.type)=\($0.status.rawValue)/\($0.reason): \($0.message)" }
        Issue.record("not over after \(seconds) s: \(conditions ?? ["no object"])", sourceLocation: location)
        throw CancellationError()
    }

    /// Lets time pass with the operator at work.
    func pass(seconds: Int) async throws {
        for _ in 0..<seconds {
            await Task.yield()  // Nothing here waits: others' timeouts go on meanwhile.
            try await sync()
            await work()
            clock.advance(by: .seconds(1))
            await world.tick()
        }
    }

    /// Rounds until nothing is due now.
    private func work() async {
        for _ in 0..<50 {
            guard !faults.isDead, await loop.reconcileNext() != nil else { return }
        }
    }
}

extension TrainingJob {
    func isTrue(_ type: String) -> Bool { status?.conditions.isTrue(type) == true }

    /// The run has ended and no compute is left.
    var isOver: Bool { status?.run?.result != nil && isTrue("ComputeReleased") && !isTrue("Reconciling") }

    var readyReason: String? { status?.conditions.first(ofType: "Ready")?.reason }
}

/// Trainers as functions.
enum Trainers {
    /// Writes progress, then outputs with that accuracy, and exits with 0.
    static func succeeding(accuracy: Double = 90) -> @Sendable (PodContext) async -> PodResult {
        { context in
            let environment = context.environment
            let steps = [
                PodResult.Step(after: .seconds(4)) {
                    var report = report()
                    report.runID = environment["ML_RUN_ID"] ?? ""
                    put(context, environment["ML_PROGRESS_URI"], (try? JSONValue(encoding: report)) ?? .null)
                },
                PodResult.Step(after: .seconds(9)) {
                    let output = environment["ML_OUTPUT_URI"] ?? ""
                    put(context, output + "model.safetensors", ["weights": 1])
                    put(
                        context, output + "metrics.json", ["epoch": [1, 2], "test_accuracy": [70, .number(accuracy)]])
                },
            ]
            return PodResult(exitCode: 0, after: .seconds(10), steps: steps)
        }
    }

    /// Each attempt ends as listed; later ones as the last.
    static func scripted(_ exits: [Int32]) -> @Sendable (PodContext) async -> PodResult {
        { context in
            let attempt = Int(context.environment["ML_ATTEMPT"] ?? "1") ?? 1
            let code = exits[min(attempt, exits.count) - 1]
            return code == 0
                ? await succeeding()(context) : PodResult(exitCode: code, after: .seconds(3), log: "broken")
        }
    }

    /// The first attempt trains until it is told to stop, and writes a checkpoint then; the next succeeds.
    static func interrupted() -> @Sendable (PodContext) async -> PodResult {
        { context in
            guard context.environment["ML_ATTEMPT"] == "1" else { return await succeeding()(context) }
            return PodResult(
                exitCode: 0, after: .seconds(100_000), onTerminate: .init(exitCode: 75, after: .seconds(2)))
        }
    }

    private static func put(_ context: PodContext, _ uri: String?, _ value: JSONValue) {
        do {
            try context.putObject(uri ?? "", value.serialized())
        } catch {
            Issue.record("\(uri ?? "no URI"): \(error.message)")
        }
    }
}
