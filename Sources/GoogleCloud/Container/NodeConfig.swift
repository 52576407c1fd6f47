/// The machines of a node pool.
public struct NodeConfig: Codable, Sendable, Hashable {
    public var machineType: String?
    public var accelerators: [AcceleratorConfig]?
    /// Compute Engine may take the machine back with 30 seconds' notice.
    public var spot: Bool?
    /// Queued until capacity is there; needs `maxRunDuration`.
    public var flexStart: Bool?
    /// `3600s`: Compute Engine ends the machine after that, whoever is still alive.
    public var maxRunDuration: String?
    /// Kubernetes labels of the nodes.
    public var labels: [String: String]?
    /// Google labels of the machines: lower case, at most 63 characters.
    public var resourceLabels: [String: String]?
    public var taints: [NodeTaint]?
    /// Boot disk.
    public var diskSizeGb: Int?
    /// `pd-balanced`, `hyperdisk-balanced`, …
    public var diskType: String?
    public var imageType: String?
    public var metadata: [String: String]?
    public var oauthScopes: [String]?
    /// E-mail address.
    public var serviceAccount: String?
    public var workloadMetadataConfig: WorkloadMetadataConfig?
    public var shieldedInstanceConfig: ShieldedInstanceConfig?
    public var gvnic: FeatureSwitch?
    /// Image streaming.
    public var gcfsConfig: FeatureSwitch?
    public var reservationAffinity: ReservationAffinity?
    public var ephemeralStorageLocalSsdConfig: EphemeralStorageLocalSSDConfig?

    public init(
        machineType: String? = nil, accelerators: [AcceleratorConfig]? = nil, spot: Bool? = nil,
        flexStart: Bool? = nil, maxRunDuration: String? = nil, labels: [String: String]? = nil,
        resourceLabels: [String: String]? = nil, taints: [NodeTaint]? = nil, diskSizeGb: Int? = nil,
        diskType: String? = nil, imageType: String? = nil, metadata: [String: String]? = nil,
        oauthScopes: [String]? = nil, serviceAccount: String? = nil,
        workloadMetadataConfig: WorkloadMetadataConfig? = nil,
        shieldedInstanceConfig: ShieldedInstanceConfig? = nil, gvnic: FeatureSwitch? = nil,
        gcfsConfig: FeatureSwitch? = nil, reservationAffinity: ReservationAffinity? = nil
    ) {
        self.machineType = machineType
        self.accelerators = accelerators
        self.spot = spot
        self.flexStart = flexStart
        self.maxRunDuration = maxRunDuration
        self.labels = labels
        self.resourceLabels = resourceLabels
        self.taints = taints
        self.diskSizeGb = diskSizeGb
        self.diskType = diskType
        self.imageType = imageType
        self.metadata = metadata
        self.oauthScopes = oauthScopes
        self.serviceAccount = serviceAccount
        self.workloadMetadataConfig = workloadMetadataConfig
        self.shieldedInstanceConfig = shieldedInstanceConfig
        self.gvnic = gvnic
        self.gcfsConfig = gcfsConfig
        self.reservationAffinity = reservationAffinity
    }
}

/// GPUs of each machine.
public struct AcceleratorConfig: Codable, Sendable, Hashable {
    @Int64String public var acceleratorCount: Int64
    /// `nvidia-l4`, …
    public var acceleratorType: String?
    public var gpuDriverInstallationConfig: GPUDriverInstallationConfig?
    /// `1g.5gb`, …
    public var gpuPartitionSize: String?
    public var gpuSharingConfig: GPUSharingConfig?

    public init(
        acceleratorType: String, acceleratorCount: Int64,
        gpuDriverInstallationConfig: GPUDriverInstallationConfig? = nil
    ) {
        self.acceleratorType = acceleratorType
        self.acceleratorCount = acceleratorCount
        self.gpuDriverInstallationConfig = gpuDriverInstallationConfig
    }
}

/// Who installs the GPU driver.
public struct GPUDriverInstallationConfig: Codable, Sendable, Hashable {
    /// `DEFAULT`, `LATEST`, `SPECIFIC` or `INSTALLATION_DISABLED`.
    public var gpuDriverVersion: String?
    public var specificVersion: String?

    public init(gpuDriverVersion: String, specificVersion: String? = nil) {
        self.gpuDriverVersion = gpuDriverVersion
        self.specificVersion = specificVersion
    }
}

/// A taint in GKE's spelling (`NO_SCHEDULE`, not `NoSchedule`).
public struct NodeTaint: Codable, Sendable, Hashable {
    public var key: String
    public var value: String?
    public var effect: String

    public init(key: String, value: String?, effect: String) {
        self.key = key
        self.value = value
        self.effect = effect
    }
}

/// Which metadata server pods see: `GKE_METADATA` for workload identity.
public struct WorkloadMetadataConfig: Codable, Sendable, Hashable {
    public var mode: String

    public init(mode: String) { self.mode = mode }
}

/// Shielded VM settings.
public struct ShieldedInstanceConfig: Codable, Sendable, Hashable {
    public var enableSecureBoot: Bool?
    public var enableIntegrityMonitoring: Bool?

    public init(enableSecureBoot: Bool? = nil, enableIntegrityMonitoring: Bool? = nil) {
        self.enableSecureBoot = enableSecureBoot
        self.enableIntegrityMonitoring = enableIntegrityMonitoring
    }
}

/// Something that is on or off (`gvnic`, `gcfsConfig`).
public struct FeatureSwitch: Codable, Sendable, Hashable {
    public var enabled: Bool?

    public init(enabled: Bool) { self.enabled = enabled }
}

/// Which reservation a machine uses.
public struct ReservationAffinity: Codable, Sendable, Hashable {
    /// `NO_RESERVATION`, `ANY_RESERVATION` or `SPECIFIC_RESERVATION`.
    public var consumeReservationType: String
    /// `compute.googleapis.com/reservation-name` with a specific one.
    public var key: String?
    public var values: [String]?

    public init(consumeReservationType: String, key: String? = nil, values: [String]? = nil) {
        self.consumeReservationType = consumeReservationType
        self.key = key
        self.values = values
    }
}
