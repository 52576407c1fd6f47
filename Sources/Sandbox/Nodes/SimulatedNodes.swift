public import HTTP
public import Telemetry

/// What `SimulatedNodes` is made of.
public struct NodesConfiguration: Sendable {
    /// The cluster's API and a token that may do everything there.
    public var cluster: any HTTPHandler
    public var adminToken: String
    /// Whose node pools become nodes.
    public var cloud: SimulatedCloud
    public var project: String
    public var clock: any WallClock
    /// What can run, by image as the pods name it.
    public var images: [String: PodProgram]
    /// Where the pods' folders and logs lie.
    public var stateDirectory: String
    /// Added to every container's environment.
    public var podEnvironment: [String: String]
    /// Of the pods' names.
    public var seed: UInt64

    public init(
        cluster: any HTTPHandler, adminToken: String, cloud: SimulatedCloud, project: String = "sandbox-project",
        clock: any WallClock, images: [String: PodProgram] = [:], stateDirectory: String,
        podEnvironment: [String: String] = [:], seed: UInt64 = 1
    ) {
        self.cluster = cluster
        self.adminToken = adminToken
        self.cloud = cloud
        self.project = project
        self.clock = clock
        self.images = images
        self.stateDirectory = stateDirectory
        self.podEnvironment = podEnvironment
        self.seed = seed
    }
}

/// Everything between a node pool and a training process: nodes, Job controller, scheduler, kubelets.
///
/// It works on snapshots of the cluster, over the cluster's REST API only, and does nothing between two ticks.
public final class SimulatedNodes: Sendable {
    private let rounds: NodeRounds
    private let kubelet: Kubelet
    private let logs: PodLogs

    public init(_ configuration: NodesConfiguration) {
        let cluster = ClusterAccess(handler: configuration.cluster, token: configuration.adminToken)
        kubelet = Kubelet(
            starter: ContainerStarter(
                images: configuration.images, stateDirectory: configuration.stateDirectory,
                cloud: configuration.cloud, cluster: cluster, environment: configuration.podEnvironment,
                addresses: PodAddresses()))
        rounds = NodeRounds(configuration, cluster: cluster, kubelet: kubelet)
        logs = PodLogs(
            cluster: cluster, stateDirectory: configuration.stateDirectory, clock: configuration.clock)
    }

    /// Moves everything whose time has come, until nothing more happens. A call while another one runs returns at once.
    public func tick() async { await rounds.tick() }

    /// Ends all processes within about three seconds; ticks after it do nothing.
    public func stop() async { await rounds.stop() }

    /// Answers `pods/log`, for `SimulatedCluster.setPodLogs`.
    public func log(_ request: PodLogRequest) async -> HTTPReply { await logs.reply(to: request) }

    /// Adds to the environment of every container that starts from now on.
    public func setPodEnvironment(_ environment: [String: String]) async {
        await kubelet.setEnvironment(environment)
    }
}

/// One round after the other over snapshots of the cluster.
private actor NodeRounds {
    /// Rounds per tick: pod created, bound, started, ended, counted, deleted, and some more for chains of jobs.
    private static let roundLimit = 12

    private let cloud: SimulatedCloud
    private let project: String
    private let clock: any WallClock
    private let cluster: ClusterAccess
    private let kubelet: Kubelet
    private let queue: QueuedProvisioning
    private var jobController: JobController
    private var events = EventRecorder()
    private var isTicking = false
    private var isStopped = false

    init(_ configuration: NodesConfiguration, cluster: ClusterAccess, kubelet: Kubelet) {
        cloud = configuration.cloud
        project = configuration.project
        clock = configuration.clock
        self.cluster = cluster
        self.kubelet = kubelet
        queue = QueuedProvisioning(cloud: configuration.cloud, cluster: cluster)
        jobController = JobController(seed: configuration.seed)
    }

    func tick() async {
        guard !isTicking, !isStopped else { return }
        isTicking = true
        defer { isTicking = false }
        for _ in 0..<NodeRounds.roundLimit {
            guard await round(), !isStopped else { return }
        }
    }

    func stop() async {
        isStopped = true
        let deadline = ContinuousClock.now + .seconds(2)
        while isTicking, ContinuousClock.now < deadline { await Task.yield() }
        await kubelet.stop(now: clock.now)
    }

    /// Whether anything was done.
    private func round() async -> Bool {
        let now = clock.now
        guard let nodes = await cluster.list(ClusterPath.nodes), let jobs = await cluster.list(ClusterPath.jobs),
            let podObjects = await cluster.list(ClusterPath.pods)
        else { return false }
        let pods = podObjects.map(PodView.init(object:))
        let nodeViews = nodes.map(NodeView.init(object:))
        var changes = NodeManager.changes(
            pools: cloud.nodePools(), nodes: nodes, project: project, now: now)
        changes.append(await queue.changes(pods: pods, now: now))
        changes.append(jobController.changes(jobs: jobs.map(JobView.init(object:)), pods: pods, now: now))
        changes.append(Scheduler.changes(pods: pods, nodes: nodes, now: now))
        changes.append(
            PodGarbage.changes(pods: pods, nodeNames: Set(nodeViews.map(\.name)), now: now))
        changes.append(await kubelet.sync(pods: pods, nodes: nodeViews, now: now))
        for write in changes.writes { await cluster.send(write) }  // What is refused is decided afresh next time.
        for event in changes.events { await cluster.send(events.write(for: event, now: now)) }
        return !changes.isEmpty
    }
}
