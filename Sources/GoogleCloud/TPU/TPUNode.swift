/// An operation of Cloud TPU; its `target` names the node or queued resource.
public typealias TPUOperation = LongRunningOperation<EmptyReply>

/// A TPU node (a slice) to be made. One of `acceleratorType` and `acceleratorConfig` says which.
public struct TPUNodeConfiguration: Codable, Sendable, Hashable {
    /// A generation and a shape.
    public struct AcceleratorConfig: Codable, Sendable, Hashable {
        /// `V2`, `V3`, `V4`, `V5LITE_POD`, `V5P`, `V6E`.
        public var type: String?
        /// `2x4`, `4x4x4`.
        public var topology: String?

        public init(type: String, topology: String) {
            self.type = type
            self.topology = topology
        }
    }

    public struct NetworkConfig: Codable, Sendable, Hashable {
        public var network: String?
        public var subnetwork: String?
        public var enableExternalIps: Bool?

        public init(network: String? = nil, subnetwork: String? = nil, enableExternalIps: Bool? = nil) {
            self.network = network
            self.subnetwork = subnetwork
            self.enableExternalIps = enableExternalIps
        }
    }

    /// How firm the machines are; for a queued resource its tier says it.
    public struct SchedulingConfig: Codable, Sendable, Hashable {
        public var spot: Bool?
        public var reserved: Bool?
        public var preemptible: Bool?

        public init(spot: Bool? = nil, reserved: Bool? = nil) {
            self.spot = spot
            self.reserved = reserved
        }
    }

    public struct ServiceAccount: Codable, Sendable, Hashable {
        public var email: String?
        public var scope: [String]?

        public init(email: String, scope: [String] = ["https://www.googleapis.com/auth/cloud-platform"]) {
            self.email = email
            self.scope = scope
        }
    }

    public struct Disk: Codable, Sendable, Hashable {
        /// `projects/P/zones/Z/disks/D`.
        public var sourceDisk: String?
        /// `READ_ONLY` or `READ_WRITE`.
        public var mode: String?

        public init(sourceDisk: String, mode: String) {
            self.sourceDisk = sourceDisk
            self.mode = mode
        }
    }

    /// `v6e-8`: the number counts TensorCores up to v5p, chips from v5e on.
    public var acceleratorType: String?
    public var acceleratorConfig: AcceleratorConfig?
    /// `v2-alpha-tpuv6e`, …
    public var runtimeVersion: String?
    public var description: String?
    public var networkConfig: NetworkConfig?
    public var schedulingConfig: SchedulingConfig?
    public var serviceAccount: ServiceAccount?
    /// `startup-script`, …
    public var metadata: [String: String]?
    public var labels: [String: String]?
    public var tags: [String]?
    public var dataDisks: [Disk]?

    public init(acceleratorType: String, runtimeVersion: String) {
        self.acceleratorType = acceleratorType
        self.runtimeVersion = runtimeVersion
    }

    public init(acceleratorConfig: AcceleratorConfig, runtimeVersion: String) {
        self.acceleratorConfig = acceleratorConfig
        self.runtimeVersion = runtimeVersion
    }
}

/// A TPU node.
public struct TPUNode: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        case creating = "CREATING"
        case ready = "READY"
        case restarting = "RESTARTING"
        case reimaging = "REIMAGING"
        case deleting = "DELETING"
        case repairing = "REPAIRING"
        case stopped = "STOPPED"
        case stopping = "STOPPING"
        case starting = "STARTING"
        /// It does not come back by itself: delete and create.
        case preempted = "PREEMPTED"
        case terminated = "TERMINATED"
        case hiding = "HIDING"
        case hidden = "HIDDEN"
        case unhiding = "UNHIDING"
        case unknown = "UNKNOWN"
    }

    /// One per machine.
    public struct Endpoint: Decodable, Sendable, Hashable {
        public var ipAddress: String?
        public var port: Int?
    }

    /// `projects/P/locations/Z/nodes/N`.
    public var name: String
    public var state: OpenEnum<State>?
    /// `HEALTHY`, `TIMEOUT`, `UNHEALTHY_TENSORFLOW`, `UNHEALTHY_MAINTENANCE`.
    public var health: String?
    public var healthDescription: String?
    /// RFC 3339.
    public var createTime: String?
    public var networkEndpoints: [Endpoint]?
    /// The queued resource that made it.
    public var queuedResource: String?
    /// What it was made of.
    public var configuration: TPUNodeConfiguration
}

extension TPUNode: Decodable {
    private enum CodingKeys: String, CodingKey {
        case name, state, health, healthDescription, createTime, networkEndpoints, queuedResource
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        state = try container.decodeIfPresent(OpenEnum<State>.self, forKey: .state)
        health = try container.decodeIfPresent(String.self, forKey: .health)
        healthDescription = try container.decodeIfPresent(String.self, forKey: .healthDescription)
        createTime = try container.decodeIfPresent(String.self, forKey: .createTime)
        networkEndpoints = try container.decodeIfPresent([Endpoint].self, forKey: .networkEndpoints)
        queuedResource = try container.decodeIfPresent(String.self, forKey: .queuedResource)
        configuration = try TPUNodeConfiguration(from: decoder)
    }
}

/// A kind of TPU in a zone.
public struct TPUAcceleratorType: Decodable, Sendable, Hashable {
    /// `projects/P/locations/Z/acceleratorTypes/v6e-8`.
    public var name: String
    /// `v6e-8`.
    public var type: String?
    public var acceleratorConfigs: [TPUNodeConfiguration.AcceleratorConfig]?
}
