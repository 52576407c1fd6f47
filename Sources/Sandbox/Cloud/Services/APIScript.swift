/// What goes wrong in the APIs beside GKE and Cloud Storage.
public struct APIScript: Sendable, Hashable {
    /// How long new access tokens are good for.
    public var tokenLifetime: Duration = .seconds(3599)

    /// Container images that no registry has.
    public var missingImages: Set<String> = []
    /// Container images that the project may not read.
    public var unauthorizedImages: Set<String> = []
    /// Repositories of Artifact Registry that fetch what they do not hold: `us-docker.pkg.dev/p1/mirror`.
    public var remoteRepositories: Set<String> = []
    /// Container images that do not listen on their port.
    public var crashingImages: Set<String> = []
    /// Cloud Run's GPUs in a region at once, by accelerator; absent is none.
    public var runGPUQuota: [String: Int] = ["nvidia-l4": 3, "nvidia-rtx-pro-6000": 1]

    /// TPU chips that a zone has for this project; absent is no limit.
    public var tpuChips: [String: Int] = [:]
    /// TPU chips that the project may have in a zone; more is refused with 429. Absent is no limit.
    public var tpuQuota: [String: Int] = [:]
    /// Zones where provisioning ends with an internal error.
    public var failingTPUZones: Set<String> = []

    /// Limits of regions' quotas by metric (`NVIDIA_L4_GPUS`); the usage comes from the node pools.
    public var regionQuotas: [String: Int] = [:]

    public init() {}
}

/// How long things take in the APIs beside GKE and Cloud Storage; the defaults are for people who watch.
public struct APITimings: Sendable, Hashable {
    /// From a new Cloud Run revision to ready instances (really: 10 s to minutes).
    public var revisionReady: Duration = .seconds(3)
    /// Until a revision is known to have failed (really: up to the startup probe's patience).
    public var revisionFails: Duration = .seconds(5)
    /// Until a change of traffic is in force.
    public var route: Duration = .seconds(1)
    public var deleteService: Duration = .seconds(1)

    /// A queued resource is ACCEPTED before it waits or is provisioned.
    public var tpuAccepted: Duration = .seconds(1)
    public var tpuProvisioning: Duration = .seconds(3)
    public var tpuDelete: Duration = .seconds(2)
    /// From a preemption to SUSPENDED.
    public var tpuSuspending: Duration = .seconds(2)
    /// How long `nodes.create` tries before there is no capacity.
    public var tpuStockout: Duration = .seconds(3)

    /// Until an API that was enabled answers (really: one to three minutes).
    public var enableService: Duration = .seconds(60)
    /// Until a changed policy is in force (really: up to seven minutes).
    public var policyPropagation: Duration = .seconds(5)

    public init() {}
}
