public import HTTP

/// TPUs to wait for. At most one of `spot` and `guaranteed`; neither is on demand.
public struct QueuedResourceConfiguration: Codable, Sendable, Hashable {
    public struct TPU: Codable, Sendable, Hashable {
        public var nodeSpec: [NodeSpec]?

        public init(nodeSpec: [NodeSpec]) { self.nodeSpec = nodeSpec }
    }

    /// One node (`nodeId`) or several alike (`multisliceParams`).
    public struct NodeSpec: Codable, Sendable, Hashable {
        /// `projects/P/locations/Z`.
        public var parent: String?
        public var nodeId: String?
        public var multisliceParams: Multislice?
        public var node: TPUNodeConfiguration?

        public init(
            parent: LocationName, nodeId: String? = nil, multisliceParams: Multislice? = nil,
            node: TPUNodeConfiguration
        ) {
            self.parent = parent.description
            self.nodeId = nodeId
            self.multisliceParams = multisliceParams
            self.node = node
        }
    }

    /// More than one node, named `<prefix>-0` and so on.
    public struct Multislice: Codable, Sendable, Hashable {
        public var nodeCount: Int?
        public var nodeIdPrefix: String?

        public init(nodeCount: Int, nodeIdPrefix: String) {
            self.nodeCount = nodeCount
            self.nodeIdPrefix = nodeIdPrefix
        }
    }

    /// The machines may be taken back; a message without fields.
    public struct Spot: Codable, Sendable, Hashable {
        public init() {}
    }

    public struct Guaranteed: Codable, Sendable, Hashable {
        /// `3600s`.
        public var minDuration: String?

        public init(minDuration: String? = nil) { self.minDuration = minDuration }
    }

    /// How long it may wait; after that it fails.
    public struct QueueingPolicy: Codable, Sendable, Hashable {
        /// `21600s`, from now on.
        public var validUntilDuration: String?
        /// RFC 3339.
        public var validUntilTime: String?

        public init(validUntilDuration: String) { self.validUntilDuration = validUntilDuration }
        public init(validUntilTime: String) { self.validUntilTime = validUntilTime }
    }

    public var tpu: TPU?
    public var spot: Spot?
    public var guaranteed: Guaranteed?
    /// `projects/P/locations/Z/reservations/R`.
    public var reservationName: String?
    public var queueingPolicy: QueueingPolicy?

    public init(tpu: TPU) { self.tpu = tpu }
}

/// TPUs that were asked for.
public struct QueuedResource: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        case creating = "CREATING"
        case accepted = "ACCEPTED"
        case waitingForResources = "WAITING_FOR_RESOURCES"
        case provisioning = "PROVISIONING"
        case active = "ACTIVE"
        case suspending = "SUSPENDING"
        /// The nodes are gone: preempted or failed.
        case suspended = "SUSPENDED"
        case failed = "FAILED"
        case deleting = "DELETING"
    }

    /// `projects/P/locations/Z/queuedResources/Q`.
    public var name: String
    /// RFC 3339.
    public var createTime: String?
    public var state: OpenEnum<State>?
    /// Who caused the state: `USER` or `SERVICE`.
    public var stateInitiator: String?
    var error: RPCStatus?
    /// What was asked for.
    public var configuration: QueuedResourceConfiguration

    /// Why it failed, classified (`.stockedOut`, `.quotaExceeded`, …); nil in every other state.
    public var failure: APIError? {
        guard state == .known(.failed) else { return nil }
        return error?.failure(operation: "tpu.queuedResources")
            ?? APIError(.unavailable, operation: "tpu.queuedResources", message: "it failed without a reason given")
    }
}

extension QueuedResource: Decodable {
    private enum CodingKeys: String, CodingKey { case name, createTime, state }

    private struct StateReply: Decodable {
        struct Failed: Decodable { var error: RPCStatus? }
        var state: OpenEnum<State>?
        var stateInitiator: String?
        var failedData: Failed?
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        createTime = try container.decodeIfPresent(String.self, forKey: .createTime)
        let reply = try container.decodeIfPresent(StateReply.self, forKey: .state)
        state = reply?.state
        stateInitiator = reply?.stateInitiator
        error = reply?.failedData?.error
        configuration = try QueuedResourceConfiguration(from: decoder)
    }
}
