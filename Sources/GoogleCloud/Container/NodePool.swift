/// A GKE node pool: the fields that we set or read, named as in container v1.
///
/// The fields from `status` on are output only: the client never sends them.
public struct NodePool: Codable, Sendable, Hashable {
    public var name: String
    public var config: NodeConfig?
    /// Per zone.
    public var initialNodeCount: Int?
    /// Zones; nil means the cluster's.
    public var locations: [String]?
    public var management: NodeManagement?
    public var placementPolicy: PlacementPolicy?
    public var autoscaling: NodePoolAutoscaling?
    /// Machines come only through a Kubernetes `ProvisioningRequest`.
    public var queuedProvisioning: FeatureSwitch?
    public var bestEffortProvisioning: BestEffortProvisioning?
    public var upgradeSettings: UpgradeSettings?
    public var maxPodsConstraint: MaxPodsConstraint?
    public var networkConfig: NodeNetworkConfig?

    public var status: NodePoolStatus?
    /// Deprecated by Google and still the fullest text.
    public var statusMessage: String?
    public var conditions: [StatusCondition]?
    public var etag: String?
    public var selfLink: String?
    public var instanceGroupUrls: [String]?

    public init(
        name: String, config: NodeConfig? = nil, initialNodeCount: Int? = nil, locations: [String]? = nil,
        management: NodeManagement? = nil, placementPolicy: PlacementPolicy? = nil, status: NodePoolStatus? = nil,
        statusMessage: String? = nil, conditions: [StatusCondition]? = nil, etag: String? = nil,
        selfLink: String? = nil, instanceGroupUrls: [String]? = nil
    ) {
        self.name = name
        self.config = config
        self.initialNodeCount = initialNodeCount
        self.locations = locations
        self.management = management
        self.placementPolicy = placementPolicy
        self.status = status
        self.statusMessage = statusMessage
        self.conditions = conditions
        self.etag = etag
        self.selfLink = selfLink
        self.instanceGroupUrls = instanceGroupUrls
    }

    /// The pool as a create may carry it.
    var withoutOutputFields: NodePool {
        var pool = self
        pool.status = nil
        pool.statusMessage = nil
        pool.conditions = nil
        pool.etag = nil
        pool.selfLink = nil
        pool.instanceGroupUrls = nil
        return pool
    }
}

/// A pool's state; a word that we do not know reads as `unspecified`.
public enum NodePoolStatus: String, Codable, Sendable, Hashable, CaseIterable {
    case unspecified = "STATUS_UNSPECIFIED"
    case provisioning = "PROVISIONING"
    case running = "RUNNING"
    /// Some machines are there and cost money, others are not.
    case runningWithError = "RUNNING_WITH_ERROR"
    case reconciling = "RECONCILING"
    case stopping = "STOPPING"
    /// Nothing usable; the pool still exists and must be deleted.
    case error = "ERROR"

    public init(from decoder: any Decoder) throws {
        let word = try decoder.singleValueContainer().decode(String.self)
        self = NodePoolStatus(rawValue: word) ?? .unspecified
    }
}

/// What a pool or an operation says about itself.
public struct StatusCondition: Codable, Sendable, Hashable {
    /// `GCE_STOCKOUT`, `GCE_QUOTA_EXCEEDED`, …; deprecated by Google and still filled.
    public var code: String?
    /// gRPC's word.
    public var canonicalCode: String?
    public var message: String?

    public init(code: String? = nil, canonicalCode: String? = nil, message: String? = nil) {
        self.code = code
        self.canonicalCode = canonicalCode
        self.message = message
    }
}

/// Repair and upgrade by GKE.
public struct NodeManagement: Codable, Sendable, Hashable {
    public var autoRepair: Bool?
    public var autoUpgrade: Bool?

    public init(autoRepair: Bool? = nil, autoUpgrade: Bool? = nil) {
        self.autoRepair = autoRepair
        self.autoUpgrade = autoUpgrade
    }
}

/// How the machines of a pool are placed.
public struct PlacementPolicy: Codable, Sendable, Hashable {
    /// `COMPACT`.
    public var type: String?
    public var tpuTopology: String?
    public var policyName: String?

    public init(type: String? = nil, tpuTopology: String? = nil, policyName: String? = nil) {
        self.type = type
        self.tpuTopology = tpuTopology
        self.policyName = policyName
    }
}
