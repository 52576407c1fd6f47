/// An operation of Cloud Run on a service.
public typealias RunOperation = LongRunningOperation<RunService>

/// What of a service can be set. nil leaves a field to the service's default, or out of a patch.
public struct RunServiceConfiguration: Codable, Sendable, Hashable {
    public enum Ingress: String, Sendable, Hashable {
        case all = "INGRESS_TRAFFIC_ALL"
        case internalOnly = "INGRESS_TRAFFIC_INTERNAL_ONLY"
        case internalLoadBalancer = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
        case none = "INGRESS_TRAFFIC_NONE"
    }

    /// Instances of all revisions together.
    public struct Scaling: Codable, Sendable, Hashable {
        public var minInstanceCount: Int?
        public var maxInstanceCount: Int?
        /// `AUTOMATIC` or `MANUAL`.
        public var scalingMode: String?
        /// With `MANUAL`.
        public var manualInstanceCount: Int?

        public init(minInstanceCount: Int? = nil, maxInstanceCount: Int? = nil, scalingMode: String? = nil) {
            self.minInstanceCount = minInstanceCount
            self.maxInstanceCount = maxInstanceCount
            self.scalingMode = scalingMode
        }
    }

    public var description: String?
    public var labels: [String: String]?
    public var annotations: [String: String]?
    public var ingress: OpenEnum<Ingress>?
    /// `GA`, `BETA`, …
    public var launchStage: String?
    /// Whether anybody may call it without credentials.
    public var invokerIamDisabled: Bool?
    public var scaling: Scaling?
    /// Of the next revision.
    public var template: RunRevisionTemplate?
    /// The percents must add up to 100.
    public var traffic: [RunTrafficTarget]?

    public init(template: RunRevisionTemplate? = nil, traffic: [RunTrafficTarget]? = nil) {
        self.template = template
        self.traffic = traffic
    }
}

/// A share of a service's traffic.
public struct RunTrafficTarget: Codable, Sendable, Hashable {
    public enum Allocation: String, Sendable, Hashable {
        /// Whichever revision became ready last.
        case latest = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
        /// The one in `revision`.
        case revision = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    }

    public var type: OpenEnum<Allocation>?
    /// Short name.
    public var revision: String?
    /// Absent means 0.
    public var percent: Int?
    /// Gives the target a URL of its own.
    public var tag: String?

    public init(type: Allocation, revision: String? = nil, percent: Int, tag: String? = nil) {
        self.type = .known(type)
        self.revision = revision
        self.percent = percent
        self.tag = tag
    }
}

/// A share of the traffic as it is now.
public struct RunTrafficStatus: Decodable, Sendable, Hashable {
    public var type: OpenEnum<RunTrafficTarget.Allocation>?
    public var revision: String?
    /// Absent means 0.
    public var percent: Int?
    public var tag: String?
    /// Of the tag.
    public var uri: String?
}

/// What a service or a revision says about itself.
public struct RunCondition: Decodable, Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        case pending = "CONDITION_PENDING"
        case reconciling = "CONDITION_RECONCILING"
        case failed = "CONDITION_FAILED"
        case succeeded = "CONDITION_SUCCEEDED"
    }

    /// `Ready`, `RoutesReady`, `ConfigurationsReady`, …
    public var type: String?
    public var state: OpenEnum<State>?
    public var message: String?
    /// `REVISION_FAILED`, `CONTAINER_MISSING`, `SECRETS_ACCESS_CHECK_FAILED`, …
    public var reason: String?
    /// `HEALTH_CHECK_CONTAINER_ERROR`, `MIN_INSTANCES_NOT_PROVISIONED`, …
    public var revisionReason: String?
    /// RFC 3339.
    public var lastTransitionTime: String?
}

/// A service.
public struct RunService: Sendable, Hashable {
    /// `projects/P/locations/L/services/S`.
    public var name: String
    public var uid: String?
    public var etag: String?
    /// Grows with each change of the configuration.
    public var generation: Int64
    /// Which generation the conditions speak of.
    public var observedGeneration: Int64
    /// A change is under way.
    public var isReconciling: Bool
    public var terminalCondition: RunCondition?
    public var conditions: [RunCondition]?
    public var uri: String?
    public var urls: [String]?
    /// Full names.
    public var latestReadyRevision: String?
    public var latestCreatedRevision: String?
    public var trafficStatuses: [RunTrafficStatus]?
    /// RFC 3339.
    public var createTime: String?
    /// RFC 3339; set once it is deleted.
    public var deleteTime: String?
    public var configuration: RunServiceConfiguration

    /// The configuration as it is now serves.
    public var isReady: Bool {
        !isReconciling && terminalCondition?.state == .known(.succeeded) && generation == observedGeneration
    }
}

extension RunService: Decodable {
    private enum CodingKeys: String, CodingKey {
        case name, uid, etag, generation, observedGeneration, reconciling, terminalCondition, conditions, uri, urls
        case latestReadyRevision, latestCreatedRevision, trafficStatuses, createTime, deleteTime
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decodeIfPresent(String.self, forKey: .name) ?? ""  // Absent with `validateOnly`.
        uid = try container.decodeIfPresent(String.self, forKey: .uid)
        etag = try container.decodeIfPresent(String.self, forKey: .etag)
        generation = try container.decode(Int64String.self, forKey: .generation).wrappedValue
        observedGeneration = try container.decode(Int64String.self, forKey: .observedGeneration).wrappedValue
        isReconciling = try container.decodeIfPresent(Bool.self, forKey: .reconciling) ?? false
        terminalCondition = try container.decodeIfPresent(RunCondition.self, forKey: .terminalCondition)
        conditions = try container.decodeIfPresent([RunCondition].self, forKey: .conditions)
        uri = try container.decodeIfPresent(String.self, forKey: .uri)
        urls = try container.decodeIfPresent([String].self, forKey: .urls)
        latestReadyRevision = try container.decodeIfPresent(String.self, forKey: .latestReadyRevision)
        latestCreatedRevision = try container.decodeIfPresent(String.self, forKey: .latestCreatedRevision)
        trafficStatuses = try container.decodeIfPresent([RunTrafficStatus].self, forKey: .trafficStatuses)
        createTime = try container.decodeIfPresent(String.self, forKey: .createTime)
        deleteTime = try container.decodeIfPresent(String.self, forKey: .deleteTime)
        configuration = try RunServiceConfiguration(from: decoder)
    }
}
