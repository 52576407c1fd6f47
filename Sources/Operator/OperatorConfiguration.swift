public import GoogleCloud

/// What an installation of the operator is told: where it runs and how patient it is.
public struct OperatorConfiguration: Sendable, Hashable {
    /// The GKE cluster that the operator runs in and creates node pools in.
    public var cluster: ClusterName
    /// The uid of the namespace `kube-system`: tells our cloud resources from another cluster's.
    public var clusterUID: String
    /// The zones of the cluster's nodes, for candidates that name none.
    public var zones: [String]
    /// The image of runs that name none.
    public var trainerImage: String
    /// Shortest time between two status writes that carry nothing but progress and cost.
    public var progressInterval: Duration
    /// How often the cloud is asked while something is under way there.
    public var pollInterval: Duration
    /// How long a create that was never seen may still be on its way: longer than the age at which an intent is
    /// renewed before its create (half of this) and a request's timeout (30 s) together.
    public var createGrace: Duration
    /// Pause before a candidate that was stocked out is tried again.
    public var capacityRetryInterval: Duration
    /// How long an image that cannot be pulled may cost money.
    public var imagePullGrace: Duration
    /// How long pods that do not start may cost money.
    public var podStartGrace: Duration
    public var prices: PriceTable
    /// IAM members beside the project's own service accounts that artifacts may give access to, by namespace; `*`: of all.
    public var accessMembers: [String: Set<String>]
    /// Google service accounts that a namespace's endpoints may act as.
    public var runtimeAccounts: [String: Set<String>]
    /// What namespaces may use; nil: everything in the operator's project.
    public var tenantPolicies: TenantPolicies?
    /// Namespaces whose endpoints may be called by everybody; `*`: all of them.
    public var publicNamespaces: Set<String>
    /// E-mail address of the service account of the nodes that runs get; nil: the project's default.
    public var nodeServiceAccount: String?

    public init(
        cluster: ClusterName, clusterUID: String, zones: [String], trainerImage: String,
        progressInterval: Duration = .seconds(30), pollInterval: Duration? = nil,
        createGrace: Duration = .seconds(90), capacityRetryInterval: Duration = .seconds(60),
        imagePullGrace: Duration = .seconds(120), podStartGrace: Duration = .seconds(900),
        prices: PriceTable = .builtIn, nodeServiceAccount: String? = nil,
        accessMembers: [String: Set<String>] = [:], runtimeAccounts: [String: Set<String>] = [:],
        tenantPolicies: TenantPolicies? = nil, publicNamespaces: Set<String> = []
    ) {
        self.cluster = cluster
        self.clusterUID = clusterUID
        self.zones = zones
        self.trainerImage = trainerImage
        self.progressInterval = progressInterval
        self.pollInterval = pollInterval ?? min(.seconds(10), max(.seconds(1), progressInterval / 3))
        self.createGrace = createGrace
        self.capacityRetryInterval = capacityRetryInterval
        self.imagePullGrace = imagePullGrace
        self.podStartGrace = podStartGrace
        self.prices = prices
        self.nodeServiceAccount = nodeServiceAccount
        self.accessMembers = accessMembers
        self.runtimeAccounts = runtimeAccounts
        self.tenantPolicies = tenantPolicies
        self.publicNamespaces = publicNamespaces
    }

    /// Whether objects of a namespace may give an IAM member access: service accounts of the project, and whom
    /// `accessMembers` names. Never everybody, whatever that says.
    func mayGiveAccess(to member: String, in namespace: String) -> Bool {
        if ["allUsers", "allAuthenticatedUsers"].contains(member) { return false }
        if member.hasPrefix("serviceAccount:"), member.hasSuffix("@\(cluster.project).iam.gserviceaccount.com") {
            return true
        }
        return [namespace, "*"].contains { accessMembers[$0]?.contains(member) == true }
    }
}
