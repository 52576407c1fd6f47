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

@testable import ControllerRuntime
@testable import Operator

/// All controllers in their real loops, with the operator's own role, over the simulated world on a virtual clock that
/// moves only here; what goes wrong is said by a plan, and an oracle sees every request.
final class FaultWorld: @unchecked Sendable {
    // Sendable because one task owns a world, and what it calls back into runs within that task's own calls.

    static let image = "trainyard.dev/trainer:test"
    static let clusterUID = "11111111-2222-4333-8444-555555555555"
    /// Nothing that the operator says may hold them.
    static let canaries = ["canary-of-the-cluster", "canary-of-the-cloud"]

    /// The CRDs and the operator's role, read once.
    static let files = Result {
        let crds = try ["trainingjobs", "gcsartifacts", "modelendpoints"].flatMap {
            try Repository.yaml("crds/\($0).yaml")
        }
        let role = try Repository.yaml("charts/trainyard/files/clusterrole-rules.yaml")
        return (crds, try #require(role.first?["rules"]?.arrayValue))
    }

    private struct Process {
        var cache = ObjectCache()
        var jobs: ControllerLoop<TrainingJobController>
        var artifacts: ControllerLoop<GCSArtifactController>
        var endpoints: ControllerLoop<ModelEndpointController>
    }

    private struct CanaryTokens: TokenSource {
        func token() async throws(APIError) -> AccessToken? {
            AccessToken(FaultWorld.canaries[1], lifetime: .seconds(4_000_000_000))
        }
        func discard(_ token: AccessToken) async {}
    }

    let clock = VirtualClock()
    /// The operator's wall clock.
    let operatorClock: SkewedClock
    let world: SandboxWorld
    let admin: KubernetesClient
    let transport: FaultTransport
    /// What a script does to the operator's requests, and to nobody else's.
    let faults: FaultInjector
    let oracle: Oracle
    /// Where the story is set.
    var namespace = "ml"
    /// Which of the controllers there are.
    var runsJobs = true
    var runsArtifacts = true
    var runsEndpoints = false
    /// Objects that the story has made.
    var madeCount = 0
    var hasDecoys = false
    private var process: Process
    /// Another replica that believes to lead as well.
    private var twin: Process?
    private var isHeld = false
    private var heldUntil = Timestamp(seconds: 0)
    private var staleChanges: Int?
    private var views: [StoreView] = []
    private var syncedVersion: Int64 = -1
    private var quietSeconds = 0
    private var passedSeconds = 0
    /// Rounds per key and second, for the bound on effort.
    private var rounds: [String: [Int64: Int]] = [:]
    private let folder: String
    private static let server = HTTPURL(origin: "http://127.0.0.1:1", path: "/")

    /// - Parameter resources: the operator's rights on these are missing.
    init(
        stockouts: Set<String> = [], timings: CloudTimings = CloudTimings(), dropping resources: Set<String> = [],
        hasKueue: Bool = false,
        program: @escaping @Sendable (PodContext) async -> PodResult = Trainers.succeeding()
    ) async throws {
        folder = FileManager.default.temporaryDirectory.path + "/fault-world-\(UInt64.random(in: 0 ... .max))"
        let (crds, role) = try FaultWorld.files.get()
        let rules = role.filter { rule in
            rule["resources"]?.arrayValue?.contains { resources.contains($0.stringValue ?? "") } != true
        }
        var configuration = WorldConfiguration(
            crds: crds + (hasKueue ? [Kueue.definition, Kueue.priorities] : []), adminToken: "admin",
            users: [FaultWorld.canaries[0]: SimulatedUser(name: "operator", rules: rules)], clock: clock,
            images: [FaultWorld.image: .scripted(program)], stateDirectory: folder, seed: 7)
        configuration.cloud.stateDirectory = nil
        configuration.cloud.script.stockouts = stockouts
        configuration.cloud.inspection = .ofTests
        configuration.cloud.timings = timings
        world = try SandboxWorld(configuration)
        admin = KubernetesClient(
            transport: HandlerTransport(world), server: FaultWorld.server,
            credentials: { () throws(APIError) in "admin" })
        faults = FaultInjector(world, script: FaultScript(), clock: clock)
        transport = FaultTransport(HandlerTransport(faults))
        oracle = Oracle(
            world: world, admin: admin, clusterUID: FaultWorld.clusterUID, canaries: FaultWorld.canaries, clock: clock)
        operatorClock = SkewedClock(clock)
        process = FaultWorld.start(transport, clock: clock, skewed: operatorClock, oracle: oracle)
        try await createNamespace()
        transport.observe(
            .init(
                before: { [unowned self] in await oracle.willHandle($0) },
                after: { [unowned self] in await oracle.didHandle($0, $1) },
                pass: { [unowned self] in await letPass(seconds: $0) },
                happened: { [unowned self] in took($0) }))
    }

    deinit {
        // Left files are in the temporary directory.
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// A process of the operator: nothing is carried over from an earlier one.
    private static func start(
        _ transport: FaultTransport, clock: VirtualClock, skewed wall: SkewedClock, oracle: Oracle
    ) -> Process {
        let client = KubernetesClient(
            transport: transport, server: server, credentials: { () throws(APIError) in canaries[0] })
        let google = GoogleCloudClient(
            transport: transport, tokens: CanaryTokens(), clock: wall,
            limits: CallLimits(clock: WaitingClock(clock, transport), random: { 0.5 }))
        var transfers = TransferSettings()
        transfers.retries = 0
        let storage = StorageClient(google, transfers: transfers)
        guard let cluster = ClusterName("projects/sandbox-project/locations/us-central1/clusters/sandbox") else {
            preconditionFailure("the constant is a valid name")
        }
        let configuration = OperatorConfiguration(
            cluster: cluster, clusterUID: clusterUID, zones: ["us-central1-a", "us-central1-b"],
            trainerImage: image, progressInterval: .seconds(12),
            runtimeAccounts: ["ml": ["digits@sandbox-project.iam.gserviceaccount.com"]])
        let start = clock.now
        let environment = RuntimeEnvironment(
            client: client,
            clock: RuntimeClock(
                wall: wall, uptime: { clock.now - start }, sleep: { try await clock.sleep(until: clock.now + $0) }),
            random: { 0.5 },
            report: { oracle.heard("\($0)") })
        let gate = MutationGate(clock: environment.clock, isOpen: true)
        let cache = ObjectCache()
        let jobs = TrainingJobController(
            configuration: configuration, kubernetes: client, container: ContainerClient(google), storage: storage,
            compute: ComputeClient(google), registry: ArtifactRegistryClient(google), cache: cache,
            clock: environment.clock)
        let artifacts = GCSArtifactController(
            configuration: configuration, kubernetes: client, storage: storage, cache: cache, clock: wall,
            otherUses: ModelEndpoint.uses(client),
            signing: URLSigning(IAMCredentialsClient(google)) { _ in "sandbox@sandbox-project.iam.gserviceaccount.com" }
        )
        let endpoints = ModelEndpointController(
            configuration: configuration, kubernetes: client, run: RunClient(google),
            invoker: RunInvoker(transport: transport, identity: identity(transport, wall), clock: wall),
            monitoring: MonitoringClient(google), storage: storage, cache: cache, clock: wall)
        return Process(
            cache: cache, jobs: ControllerLoop(jobs, cache: cache, environment: environment, gate: gate),
            artifacts: ControllerLoop(artifacts, cache: cache, environment: environment, gate: gate),
            endpoints: ControllerLoop(endpoints, cache: cache, environment: environment, gate: gate))
    }

    private static func identity(_ transport: FaultTransport, _ clock: SkewedClock) -> MetadataServerIdentity {
        do throws(APIError) {
            return try MetadataServerIdentity(transport: transport, clock: clock)
        } catch {
            preconditionFailure("the standard host is valid")
        }
    }

    /// A second replica works beside the first from now on, or no longer.
    func setTwin(_ isThere: Bool) {
        twin =
            isThere
            ? FaultWorld.start(transport, clock: clock, skewed: operatorClock, oracle: oracle) : nil
        syncedVersion = -1
    }

    func createNamespace() async throws {
        try await admin.create(
            ResourceType(group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false),
            ["metadata": ["name": .string(namespace)]])
    }

    // MARK: Faults

    private func took(_ fault: RequestFault) {
        switch fault {
        case .holdWatches(let seconds):
            isHeld = true
            heldUntil = clock.now + .seconds(seconds)
        case .restartStale(let changes):
            staleChanges = changes
            isHeld = true
            heldUntil = clock.now + .seconds(5)
        case .repeatEvents:
            for key in process.jobs.store.keys { process.jobs.enqueue(key) }
            for key in process.artifacts.store.keys { process.artifacts.enqueue(key) }
            for key in process.endpoints.store.keys { process.endpoints.enqueue(key) }
        default: break
        }
    }

    private func restart() {
        transport.revive()
        process = FaultWorld.start(transport, clock: clock, skewed: operatorClock, oracle: oracle)
        syncedVersion = -1
        guard let changes = staleChanges else { return }
        staleChanges = nil
        views[max(0, views.count - 1 - changes)].fill(process.cache)
    }

    // MARK: Time

    /// Lets time pass with the operator at work until `isOver` holds; coarser steps while nothing happens.
    ///
    /// - Returns: whether it came to hold.
    func run(atMost seconds: Int = 1500, until isOver: () async throws -> Bool) async throws -> Bool {
        // What passes while the operator waits for a reply is not its time.
        let start = passedSeconds
        let end = clock.now + .seconds(seconds)
        while clock.now < end + .seconds(passedSeconds - start) {
            await Task.yield()  // Nothing here waits: others' timeouts go on meanwhile.
            try await sync()
            if try await isOver() { return true }
            let before = (world.cluster.resourceVersion, transport.trace.count)
            await work()
            if transport.isDead { restart() }
            quietSeconds = before == (world.cluster.resourceVersion, transport.trace.count) ? quietSeconds + 1 : 0
            await tick(seconds: quietSeconds > 5 ? 20 : 3)
        }
        return try await isOver()
    }

    /// Time without the operator: it is dead, or waits for a reply.
    private func letPass(seconds: Int) async {
        passedSeconds += seconds
        var left = seconds
        while left > 0 {
            // What goes on in the world takes seconds; long waits are looked at more coarsely.
            let step = min(left, left > 600 ? 60 : left > 120 ? 10 : 1)
            await tick(seconds: step)
            left -= step
        }
    }

    private func tick(seconds: Int) async {
        clock.advance(by: .seconds(seconds))
        await world.tick()
        await oracle.look()
    }

    /// Brings the operator's stores up to date, as its watches would.
    private func sync() async throws {
        if isHeld {
            guard clock.now >= heldUntil else { return }
            isHeld = false
            syncedVersion = -1
        }
        let version = world.cluster.resourceVersion
        guard version != syncedVersion else { return }
        syncedVersion = version
        let view = try await StoreView(admin)
        views = views.suffix(7) + [view]
        view.fill(process.cache)
        if let twin { view.fill(twin.cache) }
    }

    /// Rounds until nothing is due now.
    private func work() async {
        for _ in 0..<2000 {
            guard !transport.isDead else { return }
            if let twin {
                if runsJobs { _ = await twin.jobs.reconcileNext() }
                if runsArtifacts { _ = await twin.artifacts.reconcileNext() }
                if runsEndpoints { _ = await twin.endpoints.reconcileNext() }
            }
            if runsJobs, let (key, _) = await process.jobs.reconcileNext() {
                note("trainingjobs \(key)")
            } else if runsArtifacts, let (key, _) = await process.artifacts.reconcileNext() {
                note("gcsartifacts \(key)")
            } else if runsEndpoints, let (key, _) = await process.endpoints.reconcileNext() {
                note("modelendpoints \(key)")
            } else {
                return
            }
        }
        oracle.violated("I9", "2,000 rounds within one second")
    }

    /// No key is worked on more than once a second for more than ten seconds.
    private func note(_ key: String) {
        let second = clock.now.seconds
        rounds[key, default: [:]][second, default: 0] += 1
        let recent = (second - 14...second).reduce(0) { $0 + (rounds[key]?[$1] ?? 0) }
        if recent > 60 { oracle.violated("I9", "\(key): \(recent) rounds in 15 seconds") }
    }
}

/// Every kind that the operator watches, as one list each.
struct StoreView: Sendable {
    private let fillers: [@Sendable (ObjectCache) -> Void]

    init(_ admin: KubernetesClient) async throws {
        fillers = [
            try await Self.filler(TrainingJob.self, nil, admin), try await Self.filler(GCSArtifact.self, nil, admin),
            try await Self.filler(ModelEndpoint.self, nil, admin),
            try await Self.filler(Job.self, Ownership.jobLabel, admin),
            try await Self.filler(Pod.self, Ownership.jobLabel, admin),
            try await Self.filler(Service.self, Ownership.jobLabel, admin),
            try await Self.filler(Node.self, Ownership.jobLabel, admin),
            try await Self.filler(Workload.self, Ownership.jobLabel, admin, isOptional: true),
            try await Self.filler(ProvisioningRequest.self, Ownership.jobLabel, admin, isOptional: true),
        ]
    }

    func fill(_ cache: ObjectCache) { for filler in fillers { filler(cache) } }

    private static func filler<Object: KubernetesResource>(
        _ type: Object.Type, _ selector: String?, _ admin: KubernetesClient, isOptional: Bool = false
    ) async throws -> @Sendable (ObjectCache) -> Void {
        let list: ObjectList<Object>
        do throws(APIError) {
            list = try await admin.list(type, ObjectSelection(labelSelector: selector))
        } catch  where error.code == .notFound {
            // The kind is gone: a watch ends, and tells nothing more.
            return { if isOptional { $0.store(type, labelSelector: selector, isOptional: true).setServed(false) } }
        }
        return { cache in
            cache.store(type, labelSelector: selector).replace(
                with: list.items, resourceVersion: list.resourceVersion)
        }
    }
}

/// The clock of waits inside a call: while a call waits its turn, the world goes on and nothing else in the operator does.
struct WaitingClock: WallClock {
    private let base: VirtualClock
    private let transport: FaultTransport

    init(_ base: VirtualClock, _ transport: FaultTransport) {
        self.base = base
        self.transport = transport
    }

    var now: Timestamp { base.now }
    var uptime: Duration { base.uptime }

    func sleep(until moment: Timestamp) async throws(CancellationError) { try await sleep(for: moment - base.now) }

    func sleep(for duration: Duration) async throws(CancellationError) {
        if duration <= .zero { return }
        await transport.letPass(seconds: Int((duration / .seconds(1)).rounded(.up)))
    }
}

/// A wall clock that is wrong.
final class SkewedClock: WallClock {
    private let base: VirtualClock
    private let offset = Mutex(Duration.zero)

    init(_ base: VirtualClock) { self.base = base }

    var now: Timestamp { base.now + offset.withLock { $0 } }
    var uptime: Duration { base.uptime }

    func set(_ offset: Duration) { self.offset.withLock { $0 = offset } }

    func sleep(until moment: Timestamp) async throws(CancellationError) {
        try await base.sleep(until: moment + offset.withLock { .zero - $0 })
    }

    func sleep(for duration: Duration) async throws(CancellationError) { try await base.sleep(for: duration) }
}
