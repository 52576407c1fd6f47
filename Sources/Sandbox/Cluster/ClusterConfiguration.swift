public import Encoding
public import Telemetry

/// What a `SimulatedCluster` is made of.
public struct ClusterConfiguration: Sendable {
    /// CustomResourceDefinitions that exist from the start.
    public var crds: [JSONValue]
    /// Who may call, by bearer token.
    public var users: [String: SimulatedUser]
    public var clock: any WallClock
    /// `gitVersion` of `/version`.
    public var version = "v1.36.2"
    /// The uid of `kube-system`, which is the cluster's id; drawn when nil.
    public var clusterUID: String?
    /// Seed of uids and generated names; nil draws them from the system.
    public var seed: UInt64?
    /// Events kept per resource for watches that resume; older resource versions get 410 (Expired).
    public var historyLimit = 10_000
    /// Events that wait for one slow watcher before its watch is ended.
    public var watchBufferLimit = 4096
    /// Time between two bookmarks of one watch.
    public var bookmarkInterval = Duration.seconds(60)
    /// What `SimulatedCluster.snapshot()` returned earlier.
    public var snapshot: JSONValue?

    public init(crds: [JSONValue] = [], users: [String: SimulatedUser], clock: any WallClock) {
        self.crds = crds
        self.users = users
        self.clock = clock
    }
}

/// A user of the simulated API server.
public struct SimulatedUser: Sendable, Hashable {
    public var name: String
    public var groups: [String]
    /// ClusterRole rules (`apiGroups`, `resources`, `verbs`, `resourceNames`, `nonResourceURLs`); nil allows all.
    public var rules: [JSONValue]?

    public init(name: String, groups: [String] = [], rules: [JSONValue]? = nil) {
        self.name = name
        self.groups = groups
        self.rules = rules
    }
}

/// What `GET …/pods/NAME/log` asks for.
public struct PodLogRequest: Sendable, Hashable {
    public var namespace: String
    public var name: String
    /// nil: the pod's only container.
    public var container: String?
    public var follow: Bool
    public var previous: Bool
    public var timestamps: Bool
    public var tailLines: Int?
    public var sinceSeconds: Int?
    public var limitBytes: Int?

    public init(
        namespace: String, name: String, container: String? = nil, follow: Bool = false, previous: Bool = false,
        timestamps: Bool = false, tailLines: Int? = nil, sinceSeconds: Int? = nil, limitBytes: Int? = nil
    ) {
        self.namespace = namespace
        self.name = name
        self.container = container
        self.follow = follow
        self.previous = previous
        self.timestamps = timestamps
        self.tailLines = tailLines
        self.sinceSeconds = sinceSeconds
        self.limitBytes = limitBytes
    }
}
