import GoogleCloud
import Kubernetes

/// One place where a run may get its machines: a candidate in a zone.
struct CapacityOption: Sendable, Hashable {
    var candidate: TrainingJob.Capacity.Candidate
    var zone: String
    var machine: Accelerator.Machine
    /// The derived name of its node pool.
    var poolName: String
}

/// The node pool of a run: options from the spec, and the request that creates one.
enum TrainingJobNodePool {
    /// Candidates times zones that are looked at; the ledger of attempts holds as many.
    static let maximumOptions = 24

    /// All options in order of preference, or why there is none.
    static func options(
        for run: TrainingJob.Run?, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> Result<[CapacityOption], InvalidSpec> {
        guard let gpu = spec.accelerator?.gpu else {
            return .failure(InvalidSpec("accelerator.gpu must be set"))
        }
        let onDemand = TrainingJob.Capacity.Candidate(name: "on-demand", provisioningModel: .standard)
        var options: [CapacityOption] = []
        for candidate in observation.spec.capacity?.candidates ?? [onDemand] {
            let choice = MachineChoice.choose(
                gpu, machineType: candidate.machineType, model: candidate.provisioningModel)
            guard case .machine(let machine) = choice else {
                guard case .impossible(let reason) = choice else { continue }
                return .failure(InvalidSpec("candidate \(candidate.name): \(reason)"))
            }
            let zones = candidate.zones ?? observation.configuration.zones
            guard !zones.isEmpty else {
                return .failure(
                    InvalidSpec("candidate \(candidate.name) names no zones, and the cluster's are not known"))
            }
            options += zones.map { zone in
                let name = Naming.nodePool(
                    uid: observation.uid, run: run?.number ?? 1, candidate: candidate.name, zone: zone)
                return CapacityOption(candidate: candidate, zone: zone, machine: machine, poolName: name)
            }
        }
        guard options.count <= maximumOptions else {
            return .failure(
                InvalidSpec(
                    "capacity.candidates make \(options.count) pairs with their zones; at most \(maximumOptions)"))
        }
        return .success(options)
    }

    /// The request: no nodes at first, because a create that is stocked out blocks the deletion for about 35 minutes,
    /// while a resize does not.
    static func request(
        _ option: CapacityOption, run: TrainingJob.Run, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> NodePool {
        let gpu = spec.accelerator?.gpu
        var config = NodeConfig(machineType: option.machine.type)
        config.accelerators = gpu.map { gpu in
            [
                AcceleratorConfig(
                    acceleratorType: gpu.type, acceleratorCount: Int64(gpu.count),
                    gpuDriverInstallationConfig: driver(gpu.driverVersion))
            ]
        }
        config.spot = option.candidate.provisioningModel == .spot ? true : nil
        config.maxRunDuration = maximumRunSeconds(run, observation).map { "\($0)s" }
        config.labels = [
            Ownership.namespaceLabel: observation.job.metadata.namespace ?? "",
            Ownership.jobLabel: observation.job.metadata.name, Ownership.runLabel: run.id,
        ]
        config.resourceLabels = Ownership.googleLabels(
            ownerUID: observation.uid, clusterUID: observation.configuration.clusterUID)
        config.resourceLabels?[Ownership.googleRunLabel] = run.id
        config.taints = taints(option)
        let disk = spec.backend.gke?.nodePool?.bootDisk
        config.diskSizeGb = disk?.sizeGiB
        config.diskType = disk?.type
        config.oauthScopes = ["https://www.googleapis.com/auth/cloud-platform"]
        config.workloadMetadataConfig = WorkloadMetadataConfig(mode: "GKE_METADATA")
        config.shieldedInstanceConfig = ShieldedInstanceConfig(
            enableSecureBoot: true, enableIntegrityMonitoring: true)
        config.gvnic = FeatureSwitch(enabled: true)
        return NodePool(
            name: option.poolName, config: config, initialNodeCount: 0, locations: [option.zone],
            // Repair would bring back a reclaimed machine that the next attempt no longer wants; upgrades would drain it.
            management: NodeManagement(autoRepair: false, autoUpgrade: false))
    }

    /// GKE's own taint comes only where the cluster has another pool; ours keeps other pods off a node that a run pays for.
    private static func taints(_ option: CapacityOption) -> [NodeTaint] {
        var taints = [NodeTaint(key: "nvidia.com/gpu", value: "present", effect: "NO_SCHEDULE")]
        if option.candidate.provisioningModel == .spot {
            taints.append(NodeTaint(key: "cloud.google.com/gke-spot", value: "true", effect: "NO_SCHEDULE"))
        }
        return taints
    }

    private static func driver(_ version: String) -> GPUDriverInstallationConfig {
        switch version {
        case "Default": GPUDriverInstallationConfig(gpuDriverVersion: "DEFAULT")
        case "Latest": GPUDriverInstallationConfig(gpuDriverVersion: "LATEST")
        case "Disabled": GPUDriverInstallationConfig(gpuDriverVersion: "INSTALLATION_DISABLED")
        default: GPUDriverInstallationConfig(gpuDriverVersion: "SPECIFIC", specificVersion: version)
        }
    }

    /// What is left of the runtime limit, and a quarter of an hour for verification and release; Compute Engine takes
    /// between 30 seconds and 120 days.
    private static func maximumRunSeconds(_ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> Int64? {
        guard let limit = observation.spec.runtimeLimitSeconds else { return nil }
        let left = max(0, Int64(limit) - (run.activeSeconds ?? 0)) + 900
        return min(left, 120 * 86400)
    }
}

/// Why a spec that the schema accepts cannot be run.
struct InvalidSpec: Error, Sendable, Hashable {
    var message: String

    init(_ message: String) { self.message = message }
}
