/// Whose a cloud resource is: the uid of an object of a cluster, as the resource's labels say.
///
/// Nothing that is not ours is ever changed or deleted. A name proves nothing, and neither does one label alone.
public struct ResourceOwner: Sendable, Hashable {
    /// Google label: `metadata.uid` of the object that owns the resource.
    public static let ownerLabel = "trainyard-owner-uid"
    /// Google label: the cluster's uid.
    public static let clusterLabel = "trainyard-cluster-uid"

    public let ownerUID: String
    public let clusterUID: String

    /// - Returns: nil for an empty uid: that owns nothing.
    public init?(ownerUID: String, clusterUID: String) {
        guard !ownerUID.isEmpty, !clusterUID.isEmpty else { return nil }
        self.ownerUID = ownerUID
        self.clusterUID = clusterUID
    }

    /// The owner that labels name; nil where they name none.
    public init?(labels: [String: String]?) {
        guard let owner = labels?[Self.ownerLabel], let cluster = labels?[Self.clusterLabel] else { return nil }
        self.init(ownerUID: owner, clusterUID: cluster)
    }

    /// What a resource of this owner carries.
    public var labels: [String: String] { [Self.ownerLabel: ownerUID, Self.clusterLabel: clusterUID] }

    /// Whether a resource with these labels belongs to this owner.
    public func owns(labels: [String: String]?) -> Bool { ResourceOwner(labels: labels) == self }

    public func owns(_ pool: NodePool) -> Bool { ResourceOwner(pool) == self }

    public func owns(_ node: TPUNode) -> Bool { ResourceOwner(node) == self }

    public func owns(_ queued: QueuedResource) -> Bool { ResourceOwner(queued) == self }

    public func owns(_ service: RunService) -> Bool { ResourceOwner(service) == self }

    /// - Parameter projectNumber: of our project. Names of buckets are the world's, and anybody can set labels on a bucket
    ///   of theirs: only one of our project can be ours.
    public func owns(_ bucket: Bucket, projectNumber: Int64) -> Bool {
        ResourceOwner(bucket, projectNumber: projectNumber) == self
    }
}

/// Who owns a resource; nil where its labels name nobody.
extension ResourceOwner {
    public init?(_ pool: NodePool) { self.init(labels: pool.config?.resourceLabels) }

    public init?(_ node: TPUNode) { self.init(labels: node.configuration.labels) }

    /// A queued resource has no labels of its own: all its nodes must name the same owner.
    public init?(_ queued: QueuedResource) {
        let owners = (queued.configuration.tpu?.nodeSpec ?? []).map { ResourceOwner(labels: $0.node?.labels) }
        guard let first = owners.first, let owner = first, owners.allSatisfy({ $0 == owner }) else { return nil }
        self = owner
    }

    public init?(_ service: RunService) { self.init(labels: service.configuration.labels) }

    /// - Parameter projectNumber: of our project; a bucket of another has no owner here.
    public init?(_ bucket: Bucket, projectNumber: Int64) {
        guard projectNumber > 0, bucket.projectNumber == projectNumber else { return nil }
        self.init(labels: bucket.labels)
    }
}
