/// A zone.
public struct ComputeZone: Decodable, Sendable, Hashable {
    public enum Status: String, Sendable, Hashable {
        case up = "UP"
        case down = "DOWN"
    }

    public var name: String
    public var status: OpenEnum<Status>?
    /// A URL; ends in the region's name.
    public var region: String?
}

/// A region and its quotas. Newer GPU and TPU families are not in them.
public struct ComputeRegion: Decodable, Sendable, Hashable {
    /// One quota.
    public struct Quota: Decodable, Sendable, Hashable {
        /// `NVIDIA_L4_GPUS`, `PREEMPTIBLE_NVIDIA_L4_GPUS`, `CPUS`, …
        public var metric: String
        public var limit: Double
        public var usage: Double

        public var free: Double { max(limit - usage, 0) }

        private enum CodingKeys: String, CodingKey { case metric, limit, usage }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            metric = try container.decodeIfPresent(String.self, forKey: .metric) ?? ""
            limit = try container.decodeIfPresent(Double.self, forKey: .limit) ?? 0
            usage = try container.decodeIfPresent(Double.self, forKey: .usage) ?? 0
        }
    }

    /// Why the quotas are not there.
    public struct Warning: Decodable, Sendable, Hashable {
        public var code: String?
        public var message: String?
    }

    public var name: String
    public var status: OpenEnum<ComputeZone.Status>?
    /// URLs; each ends in a zone's name.
    public var zones: [String]?
    public var quotas: [Quota]?
    /// Where this is set, `quotas` could not be read and says nothing.
    public var quotaStatusWarning: Warning?

    /// nil when the quotas could not be read or have no such metric.
    public func quota(_ metric: String) -> Quota? {
        quotaStatusWarning == nil ? quotas?.first { $0.metric == metric } : nil
    }
}

/// Whether something is going away.
public struct DeprecationStatus: Decodable, Sendable, Hashable {
    /// `ACTIVE`, `DEPRECATED`, `OBSOLETE`, `DELETED`.
    public var state: String?
    public var replacement: String?
}

/// A kind of machine in a zone.
public struct ComputeMachineType: Decodable, Sendable, Hashable {
    /// GPUs that come with it.
    public struct Accelerator: Decodable, Sendable, Hashable {
        /// `nvidia-l4`, …
        public var guestAcceleratorType: String?
        public var guestAcceleratorCount: Int?
    }

    public var name: String
    public var zone: String?
    public var guestCpus: Int?
    public var memoryMb: Int?
    public var accelerators: [Accelerator]?
    /// `X86_64`, `ARM64`.
    public var architecture: String?
    public var deprecated: DeprecationStatus?
}

/// A kind of accelerator in a zone.
public struct ComputeAcceleratorType: Decodable, Sendable, Hashable {
    /// `nvidia-l4`, …
    public var name: String
    /// A URL; ends in the zone's name.
    public var zone: String?
    public var description: String?
    public var maximumCardsPerInstance: Int?
    public var deprecated: DeprecationStatus?
}

/// Machines that are kept for us, and paid for, whether we use them or not.
public struct ComputeReservation: Decodable, Sendable, Hashable {
    public enum Status: String, Sendable, Hashable {
        case invalid = "INVALID"
        case creating = "CREATING"
        case ready = "READY"
        case deleting = "DELETING"
        case updating = "UPDATING"
    }

    /// So many machines of one kind.
    public struct Specific: Decodable, Sendable, Hashable {
        @Int64String public var count: Int64
        @Int64String public var inUseCount: Int64
        public var instanceProperties: InstanceProperties?
    }

    /// The kind of machine.
    public struct InstanceProperties: Decodable, Sendable, Hashable {
        public struct Accelerator: Decodable, Sendable, Hashable {
            public var acceleratorType: String?
            public var acceleratorCount: Int?
        }

        public var machineType: String?
        public var guestAccelerators: [Accelerator]?
    }

    public var name: String
    /// A URL; ends in the zone's name.
    public var zone: String?
    public var status: OpenEnum<Status>?
    /// Only machines that name the reservation get in.
    public var specificReservationRequired: Bool?
    public var specificReservation: Specific?

    /// Machines that are not in use; 0 while the reservation is not ready.
    public var freeCount: Int64 {
        guard status == .known(.ready), let specificReservation else { return 0 }
        return max(
            specificReservation.count.subtractingReportingOverflow(specificReservation.inUseCount).partialValue, 0)
    }
}
