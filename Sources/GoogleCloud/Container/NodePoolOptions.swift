/// How the cluster autoscaler sizes a pool: either per zone (`minNodeCount`, `maxNodeCount`) or in all (`total…`).
public struct NodePoolAutoscaling: Codable, Sendable, Hashable {
    public var enabled: Bool?
    /// Per zone.
    public var minNodeCount: Int?
    /// Per zone.
    public var maxNodeCount: Int?
    /// Over all zones.
    public var totalMinNodeCount: Int?
    /// Over all zones.
    public var totalMaxNodeCount: Int?
    /// `BALANCED` or `ANY`.
    public var locationPolicy: String?

    public init(
        enabled: Bool, minNodeCount: Int? = nil, maxNodeCount: Int? = nil, totalMinNodeCount: Int? = nil,
        totalMaxNodeCount: Int? = nil, locationPolicy: String? = nil
    ) {
        self.enabled = enabled
        self.minNodeCount = minNodeCount
        self.maxNodeCount = maxNodeCount
        self.totalMinNodeCount = totalMinNodeCount
        self.totalMaxNodeCount = totalMaxNodeCount
        self.locationPolicy = locationPolicy
    }
}

/// Whether a create may end with some of the machines only.
public struct BestEffortProvisioning: Codable, Sendable, Hashable {
    public var enabled: Bool?
    public var minProvisionNodes: Int?

    public init(enabled: Bool, minProvisionNodes: Int? = nil) {
        self.enabled = enabled
        self.minProvisionNodes = minProvisionNodes
    }
}

/// How the machines of a pool are replaced in an upgrade.
public struct UpgradeSettings: Codable, Sendable, Hashable {
    /// `SURGE`, `BLUE_GREEN` or `SHORT_LIVED`.
    public var strategy: String?
    public var maxSurge: Int?
    public var maxUnavailable: Int?

    public init(strategy: String, maxSurge: Int? = nil, maxUnavailable: Int? = nil) {
        self.strategy = strategy
        self.maxSurge = maxSurge
        self.maxUnavailable = maxUnavailable
    }
}

/// How many pods a machine takes.
public struct MaxPodsConstraint: Codable, Sendable, Hashable {
    @Int64String public var maxPodsPerNode: Int64

    public init(maxPodsPerNode: Int64) { self.maxPodsPerNode = maxPodsPerNode }
}

/// The network of a pool's machines.
public struct NodeNetworkConfig: Codable, Sendable, Hashable {
    public var enablePrivateNodes: Bool?
    /// `auto` makes the extra networks that GPUs of the larger machines use.
    public var acceleratorNetworkProfile: String?
    /// Its name; nil: the cluster's.
    public var subnetwork: String?

    public init(
        enablePrivateNodes: Bool? = nil, acceleratorNetworkProfile: String? = nil, subnetwork: String? = nil
    ) {
        self.enablePrivateNodes = enablePrivateNodes
        self.acceleratorNetworkProfile = acceleratorNetworkProfile
        self.subnetwork = subnetwork
    }
}

/// How several pods share a GPU.
public struct GPUSharingConfig: Codable, Sendable, Hashable {
    /// `TIME_SHARING` or `MPS`.
    public var gpuSharingStrategy: String?
    @Int64String public var maxSharedClientsPerGpu: Int64

    public init(gpuSharingStrategy: String, maxSharedClientsPerGpu: Int64) {
        self.gpuSharingStrategy = gpuSharingStrategy
        self.maxSharedClientsPerGpu = maxSharedClientsPerGpu
    }
}

/// Local SSDs as the machines' scratch space.
public struct EphemeralStorageLocalSSDConfig: Codable, Sendable, Hashable {
    public var localSsdCount: Int?

    public init(localSsdCount: Int) { self.localSsdCount = localSsdCount }
}

/// A change of a pool: nil leaves a setting as it is. Labels and taints replace the whole set that was there; zones
/// (`locations`) must be a change of their own.
public struct NodePoolUpdate: Sendable, Hashable {
    /// Of the pool that was read.
    public var etag: String?
    /// Kubernetes labels of the nodes.
    public var labels: [String: String]?
    /// Google labels of the machines.
    public var resourceLabels: [String: String]?
    public var taints: [NodeTaint]?
    public var locations: [String]?
    public var machineType: String?
    public var diskType: String?
    public var diskSizeGb: Int64?
    public var upgradeSettings: UpgradeSettings?
    public var queuedProvisioning: FeatureSwitch?

    public init(etag: String? = nil) { self.etag = etag }
}

extension NodePoolUpdate: Encodable {
    private enum CodingKeys: String, CodingKey {
        case etag, labels, resourceLabels, taints, locations, machineType, diskType, diskSizeGb, upgradeSettings
        case queuedProvisioning
    }

    /// The API wraps each set, so that an empty one differs from none.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(etag, forKey: .etag)
        try container.encodeIfPresent(labels.map { ["labels": $0] }, forKey: .labels)
        try container.encodeIfPresent(resourceLabels.map { ["labels": $0] }, forKey: .resourceLabels)
        try container.encodeIfPresent(taints.map { ["taints": $0] }, forKey: .taints)
        try container.encodeIfPresent(locations, forKey: .locations)
        try container.encodeIfPresent(machineType, forKey: .machineType)
        try container.encodeIfPresent(diskType, forKey: .diskType)
        try container.encodeIfPresent(diskSizeGb.map { String($0) }, forKey: .diskSizeGb)
        try container.encodeIfPresent(upgradeSettings, forKey: .upgradeSettings)
        try container.encodeIfPresent(queuedProvisioning, forKey: .queuedProvisioning)
    }
}
