public import HTTP

/// A long-running operation of GKE. It is never waited for: the next observation looks at the pool again.
public struct ContainerOperation: Codable, Sendable, Hashable {
    /// How far it is; a word that we do not know reads as `unspecified`.
    public enum Status: String, Codable, Sendable, Hashable {
        case unspecified = "STATUS_UNSPECIFIED"
        case pending = "PENDING"
        case running = "RUNNING"
        case done = "DONE"
        case aborting = "ABORTING"

        public init(from decoder: any Decoder) throws {
            let word = try decoder.singleValueContainer().decode(String.self)
            self = Status(rawValue: word) ?? .unspecified
        }
    }

    public typealias RPCStatus = GoogleCloud.RPCStatus

    /// `operation-…`, without a path.
    public var name: String
    /// `CREATE_NODE_POOL`, `SET_NODE_POOL_SIZE`, `DELETE_NODE_POOL`, …
    public var operationType: String?
    public var status: Status?
    /// The full URL of what it works on; ends in `/nodePools/<name>` for a pool.
    public var targetLink: String?
    public var startTime: String?
    public var endTime: String?
    public var error: RPCStatus?
    public var nodepoolConditions: [StatusCondition]?

    public init(
        name: String, operationType: String? = nil, status: Status? = nil, targetLink: String? = nil,
        startTime: String? = nil, endTime: String? = nil, error: RPCStatus? = nil,
        nodepoolConditions: [StatusCondition]? = nil
    ) {
        self.name = name
        self.operationType = operationType
        self.status = status
        self.targetLink = targetLink
        self.startTime = startTime
        self.endTime = endTime
        self.error = error
        self.nodepoolConditions = nodepoolConditions
    }

    public var isDone: Bool { status == .done }

    /// Whether it works on this node pool.
    public func targets(nodePool name: String) -> Bool { targetLink?.hasSuffix("/nodePools/\(name)") == true }

    /// Why it failed, classified (`.stockedOut`, `.quotaExceeded`, …); nil while it runs and when it succeeded.
    public var failure: APIError? {
        isDone ? error?.failure(operation: "container.\(operationType ?? "operation")") : nil
    }
}

extension NodePool {
    /// Why the pool is in error, classified; nil in every state but `ERROR` and `RUNNING_WITH_ERROR`.
    public var failure: APIError? {
        guard status == .error || status == .runningWithError else { return nil }
        return GoogleCloudErrors.error(
            conditions: conditions ?? [], message: statusMessage, operation: "container.nodePools")
    }
}

/// A GKE cluster: the little that we read of it.
public struct ContainerCluster: Codable, Sendable, Hashable {
    public var name: String
    /// Region or zone.
    public var location: String?
    /// Zones of its nodes.
    public var locations: [String]?
    /// `RUNNING`, …
    public var status: String?
    public var currentMasterVersion: String?
    /// A uuid that Google made; not the uid of `kube-system`.
    public var id: String?

    public init(
        name: String, location: String? = nil, locations: [String]? = nil, status: String? = nil,
        currentMasterVersion: String? = nil, id: String? = nil
    ) {
        self.name = name
        self.location = location
        self.locations = locations
        self.status = status
        self.currentMasterVersion = currentMasterVersion
        self.id = id
    }
}
