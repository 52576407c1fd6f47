public import Telemetry

/// What a simulated Google Cloud project is made of.
public struct CloudConfiguration: Sendable {
    public var project: String
    public var projectNumber: Int64
    /// The cluster's location.
    public var location: String
    /// The zones of the cluster's nodes.
    public var zones: [String]
    public var clusterName: String
    public var clock: any WallClock
    /// Where objects' bytes are kept; nil keeps them in memory.
    public var stateDirectory: String?
    public var timings: CloudTimings
    public var script: CloudScript
    /// All objects together; more is refused, so that a runaway writer cannot fill the disk.
    public var maximumStorageBytes: Int64
    /// Looks at every request before it is answered; nil lets all pass.
    public var inspection: RequestInspection?
    /// Whether requests need a token that this cloud has issued.
    public var checksTokens: Bool
    /// Zones beside those of the cluster that have TPUs.
    public var tpuZones: [String]

    public init(
        project: String = "sandbox-project", projectNumber: Int64 = 123_456_789_012,
        location: String = "us-central1",
        zones: [String] = ["us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f"],
        clusterName: String = "sandbox", clock: any WallClock, stateDirectory: String? = nil,
        timings: CloudTimings = CloudTimings(), script: CloudScript = CloudScript(),
        maximumStorageBytes: Int64 = 32 << 30, inspection: RequestInspection? = nil, checksTokens: Bool = false,
        tpuZones: [String] = ["us-central2-b", "us-east5-a", "us-east5-b", "us-east5-c", "europe-west4-a"]
    ) {
        self.project = project
        self.projectNumber = projectNumber
        self.location = location
        self.zones = zones
        self.clusterName = clusterName
        self.clock = clock
        self.stateDirectory = stateDirectory
        self.timings = timings
        self.script = script
        self.maximumStorageBytes = maximumStorageBytes
        self.inspection = inspection
        self.checksTokens = checksTokens
        self.tpuZones = tpuZones
    }
}

/// How long things take. The defaults are for people who watch; GKE itself is fifty times slower.
public struct CloudTimings: Sendable, Hashable {
    /// An operation is PENDING before it is RUNNING.
    public var pending: Duration = .milliseconds(200)
    public var createNodePool: Duration = .milliseconds(1500)
    /// From a resize to running instances.
    public var setSize: Duration = .milliseconds(1500)
    public var deleteNodePool: Duration = .seconds(1)
    /// How long GKE tries before an operation ends with GCE_STOCKOUT (really: 35 minutes).
    public var stockout: Duration = .milliseconds(2500)
    /// How long until an operation ends with GCE_QUOTA_EXCEEDED (really: under a minute).
    public var quota: Duration = .milliseconds(1500)
    /// From a ProvisioningRequest's acceptance to the first try to get its machines (really: until they are to be had).
    public var queuedProvisioning: Duration = .seconds(4)
    /// From the notice of a preemption to the end of the machine.
    public var preemptionNotice: Duration = .seconds(30)
    /// How often objects are compared with lifecycle rules (really: up to a day).
    public var lifecycle: Duration = .seconds(60)
    /// Of the APIs beside GKE and Cloud Storage.
    public var apis = APITimings()

    public init() {}
}
