public import Encoding
public import HTTP
import Synchronization
public import Telemetry

/// What a `SandboxWorld` is made of.
public struct WorldConfiguration: Sendable {
    /// The CustomResourceDefinitions of the kinds that it serves, beside those that every cluster of GKE's has.
    public var crds: [JSONValue]
    /// May do everything in the cluster; the simulated nodes use it too.
    public var adminToken: String
    /// Further users by token, e.g. the operator with its ClusterRole's rules.
    public var users: [String: SimulatedUser]
    public var clock: any WallClock
    public var cloud: CloudConfiguration
    /// What pods can run, by image.
    public var images: [String: PodProgram]
    /// Pods' folders and logs, and the buckets' bytes unless `cloud` says otherwise.
    public var stateDirectory: String
    /// Of uids and names; nil draws them from the system.
    public var seed: UInt64?
    /// Runs Cloud Run services as processes behind addresses of loopback; nil leaves them to the clock and the script.
    public var front: FrontConfiguration?

    public init(
        crds: [JSONValue], adminToken: String, users: [String: SimulatedUser] = [:], clock: any WallClock,
        cloud: CloudConfiguration? = nil, images: [String: PodProgram] = [:], stateDirectory: String,
        seed: UInt64? = nil
    ) {
        self.crds = crds
        self.adminToken = adminToken
        self.users = users
        self.clock = clock
        self.cloud = cloud ?? CloudConfiguration(clock: clock, stateDirectory: stateDirectory + "/buckets")
        self.images = images
        self.stateDirectory = stateDirectory
        self.seed = seed
    }
}

/// A whole world on this machine: a Kubernetes API, Google Cloud's APIs and nodes that run pods as processes, behind one
/// handler.
///
/// Requests for `*.googleapis.com`, and those for paths of Google's APIs whatever their host, go to the cloud; all others
/// to the cluster. Nothing moves by itself: `tick` moves it, `run` ticks in real time.
public final class SandboxWorld: OptionServing {
    /// Between two ticks of `run`.
    private static let tickInterval = Duration.milliseconds(50)
    /// Between two looks at a world where nothing changes.
    private static let idleInterval = Duration.seconds(1)

    public let cluster: SimulatedCluster
    public let cloud: SimulatedCloud
    public let nodes: SimulatedNodes
    /// Absent where the configuration has none.
    public let front: RunFront?
    private let clock: any WallClock
    private let annotations: SandboxAnnotations
    private let hook = Mutex<RequestHook?>(nil)
    private let faults = Mutex<FaultInjector?>(nil)

    /// - Throws: `.invalidCRD` and the like when the cluster cannot be built.
    public init(_ configuration: WorldConfiguration) throws(SandboxError) {
        clock = configuration.clock
        var users = configuration.users
        users[configuration.adminToken] = SimulatedUser(name: "sandbox-admin", groups: ["system:masters"])
        var clusterConfiguration = ClusterConfiguration(
            crds: configuration.crds + [QueuedProvisioning.definition], users: users, clock: configuration.clock)
        clusterConfiguration.seed = configuration.seed
        let cluster = try SimulatedCluster(clusterConfiguration)
        let cloud = SimulatedCloud(configuration.cloud)
        let nodes = SimulatedNodes(
            NodesConfiguration(
                cluster: cluster, adminToken: configuration.adminToken, cloud: cloud,
                project: configuration.cloud.project, clock: configuration.clock, images: configuration.images,
                stateDirectory: configuration.stateDirectory, seed: configuration.seed ?? UInt64.random(in: 0 ... .max))
        )
        // The nodes hold the cluster: the other way round nothing would ever be freed.
        cluster.setPodLogs { [weak nodes] in await nodes?.log($0) ?? HTTPReply(status: 503) }
        annotations = SandboxAnnotations(
            cluster: ClusterAccess(handler: cluster, token: configuration.adminToken), cloud: cloud,
            stockouts: configuration.cloud.script.stockouts)
        self.cluster = cluster
        self.cloud = cloud
        self.nodes = nodes
        front =
            if let front = configuration.front {
                try RunFront(front, cloud: cloud, clock: configuration.clock)
            } else {
                nil
            }
    }

    /// Sees every request from now on; nil ends that.
    public func setHook(_ hook: RequestHook?) { self.hook.withLock { $0 = hook } }

    /// Plays a script for everybody who calls this world (the simulated nodes and `tick` do not); nil ends that.
    ///
    /// - Returns: what tells which faults happened.
    @discardableResult
    public func setFaults(_ script: FaultScript?) -> FaultInjector? {
        let injector = script.map { FaultInjector(apis, script: $0, clock: clock) }
        faults.withLock { $0 = injector }
        return injector
    }

    public func respond(to request: HTTPRequest) async -> HTTPReply {
        let handler: any HTTPHandler = faults.withLock { $0 } ?? apis
        guard let hook = hook.withLock({ $0 }) else { return await handler.respond(to: request) }
        return await hook.apply(SandboxWorld.side(of: request), request, handler: handler)
    }

    /// A request with what a fault script asks for; the world's own hook and script are not asked.
    func respond(to request: HTTPRequest, options: ServingOptions) async -> HTTPReply {
        await apis.respond(to: request, options: options)
    }

    private var apis: WorldAPIs { WorldAPIs(cluster: cluster, cloud: cloud) }

    /// The API that a request is meant for.
    public static func side(of request: HTTPRequest) -> SandboxSide {
        let host = request.url.authority.prefix { $0 != ":" }
        let hosts = [".googleapis.com", ".run.app", "metadata.google.internal", "169.254.169.254"]
        if host == "googleapis.com" || hosts.contains(where: host.hasSuffix) { return .cloud }
        let paths = [
            "/storage/v1/", "/upload/storage/v1/", "/download/storage/v1/", "/v1/projects/", "/v2/projects/",
            "/v3/projects/", "/compute/v1/", "/v1/services/", "/v1/token", "/token", "/computeMetadata/",
        ]
        return paths.contains(where: request.url.path.hasPrefix) ? .cloud : .cluster
    }

    /// Tells pods and instances where Cloud Storage is: `http://127.0.0.1:PORT` of the server that serves this world.
    public func setStorageEndpoint(_ endpoint: String) async {
        await nodes.setPodEnvironment(["STORAGE_EMULATOR_HOST": endpoint])
        // Services that call each other ask the metadata server for their tokens.
        let authority = HTTPURL(endpoint)?.authority ?? ""
        front?.setEnvironment(["STORAGE_EMULATOR_HOST": endpoint, "GCE_METADATA_HOST": authority])
    }

    /// Moves everything whose time has come.
    public func tick() async {
        await cluster.tick()
        cloud.tick()
        await annotations.apply(now: clock.now)
        await nodes.tick()
        await front?.tick()
    }

    /// Ticks every 50 ms of the clock until the task is cancelled. While nothing changes in the cluster and the project
    /// has no machines, nodes and annotations are looked at once a second only.
    public func run() async {
        async let _: Void? = front?.run()
        await runWorld()
    }

    private func runWorld() async {
        var last: (revision: Int64, moment: Timestamp)?
        while !Task.isCancelled {
            let (revision, now) = (cluster.resourceVersion, clock.now)
            if let last, last.revision == revision, cloud.isIdle, now < last.moment + SandboxWorld.idleInterval {
                await cluster.tick()
                cloud.tick()
            } else {
                await tick()
                last = (revision, now)
            }
            do {
                try await clock.sleep(until: clock.now + SandboxWorld.tickInterval)
            } catch {
                return
            }
        }
    }

    /// Ends the processes of all pods and instances, within about four seconds.
    public func stop() async {
        async let _: Void? = front?.stop()
        await nodes.stop()
    }

    /// Full names of what would cost money in the cloud now.
    public func computeResources() -> [String] { cloud.computeResources() }
}

/// Both APIs of a world, without its hook and its script.
private struct WorldAPIs: OptionServing {
    let cluster: SimulatedCluster
    let cloud: SimulatedCloud

    func respond(to request: HTTPRequest) async -> HTTPReply { await respond(to: request, options: ServingOptions()) }

    func respond(to request: HTTPRequest, options: ServingOptions) async -> HTTPReply {
        switch SandboxWorld.side(of: request) {
        case .cloud: await cloud.respond(to: request, options: options)
        case .cluster: await cluster.respond(to: request, options: options)
        }
    }
}
