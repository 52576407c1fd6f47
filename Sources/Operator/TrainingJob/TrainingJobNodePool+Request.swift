import GoogleCloud
import Kubernetes

extension TrainingJobNodePool {
    /// The request for the pool of one slice.
    ///
    /// No nodes at first, because a create that is stocked out blocks the deletion for about 35 minutes, while a resize
    /// does not. Several TPU hosts can only be made at once.
    static func request(
        _ option: CapacityOption, slice: Int = 0, run: TrainingJob.Run, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> NodePool {
        let settings = spec.backend.gke?.nodePool
        var pool = NodePool(
            name: option.pools[slice], config: config(option, run, spec, observation),
            initialNodeCount: option.isMadeAtSize ? option.shape.nodesPerSlice : 0, locations: [option.zone],
            // Repair would bring back a reclaimed machine that the next attempt no longer wants; upgrades would drain it.
            management: NodeManagement(autoRepair: false, autoUpgrade: false),
            placementPolicy: placement(option, settings))
        pool.networkConfig = network(option, settings)
        TrainingJobFlexStart.queue(&pool, option)
        return pool
    }

    private static func config(
        _ option: CapacityOption, _ run: TrainingJob.Run, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> NodeConfig {
        let settings = spec.backend.gke?.nodePool
        var config = NodeConfig(machineType: option.machine.type)
        config.accelerators = option.accelerator?.gpu.map { [accelerator($0)] }
        config.spot = option.candidate.provisioningModel == .spot ? true : nil
        config.maxRunDuration = maximumRunSeconds(option, run, observation).map { "\($0)s" }
        config.labels = [
            Ownership.namespaceLabel: observation.job.metadata.namespace ?? "",
            Ownership.jobLabel: observation.job.metadata.name, Ownership.runLabel: run.id,
        ]
        config.resourceLabels = Ownership.googleLabels(
            ownerUID: observation.uid, clusterUID: observation.configuration.clusterUID)
        config.resourceLabels?[Ownership.googleRunLabel] = run.id
        config.taints = taints(option)
        config.diskSizeGb = settings?.bootDisk?.sizeGiB
        config.diskType =
            settings?.bootDisk?.type ?? (NodePoolFit.needsHyperdisk(option.machine.type) ? "hyperdisk-balanced" : nil)
        let bundled = NodePoolFit.bundledSSDCount(option.machine.type)
        let ssdCount = bundled > 0 ? bundled : settings?.localSSDCount ?? 0
        config.ephemeralStorageLocalSsdConfig =
            ssdCount > 0 ? EphemeralStorageLocalSSDConfig(localSsdCount: ssdCount) : nil
        config.oauthScopes = ["https://www.googleapis.com/auth/cloud-platform"]
        config.serviceAccount = observation.configuration.nodeServiceAccount
        config.workloadMetadataConfig = WorkloadMetadataConfig(mode: "GKE_METADATA")
        config.shieldedInstanceConfig = ShieldedInstanceConfig(
            enableSecureBoot: true, enableIntegrityMonitoring: true)
        config.gvnic = FeatureSwitch(enabled: true)
        config.reservationAffinity = reservation(option.candidate)
        return config
    }

    /// Families with GPUs of their own want them named as well: node label and driver follow from it.
    private static func accelerator(_ gpu: TrainingJob.AcceleratorSpec.GPU) -> AcceleratorConfig {
        var config = AcceleratorConfig(
            acceleratorType: gpu.type, acceleratorCount: Int64(gpu.count),
            gpuDriverInstallationConfig: driver(gpu.driverVersion))
        config.gpuPartitionSize = gpu.partitionSize
        config.gpuSharingConfig = gpu.sharing.map { sharing in
            GPUSharingConfig(
                gpuSharingStrategy: sharing.strategy == .mps ? "MPS" : "TIME_SHARING",
                maxSharedClientsPerGpu: Int64(sharing.maxClientsPerGPU))
        }
        return config
    }

    private static func driver(_ version: String) -> GPUDriverInstallationConfig {
        switch version {
        case "Default": GPUDriverInstallationConfig(gpuDriverVersion: "DEFAULT")
        case "Latest": GPUDriverInstallationConfig(gpuDriverVersion: "LATEST")
        case "Disabled": GPUDriverInstallationConfig(gpuDriverVersion: "INSTALLATION_DISABLED")
        default: GPUDriverInstallationConfig(gpuDriverVersion: "SPECIFIC", specificVersion: version)
        }
    }

    /// GKE's own taint comes only where the cluster has another pool; ours keeps other pods off a node that a run pays for.
    private static func taints(_ option: CapacityOption) -> [NodeTaint] {
        var taints = [
            option.shape.resourceName.map { NodeTaint(key: $0, value: "present", effect: "NO_SCHEDULE") }
                ?? NodeTaint(key: NodeSelection.dedicatedTaint, value: "true", effect: "NO_SCHEDULE")
        ]
        if option.candidate.provisioningModel == .spot {
            taints.append(NodeTaint(key: "cloud.google.com/gke-spot", value: "true", effect: "NO_SCHEDULE"))
        }
        return taints
    }

    /// What is left of the runtime limit, and a quarter of an hour for verification and release; the candidate's own limit
    /// and what the rest of the budget pays for, where that is shorter. Compute Engine takes between 30 seconds and 120 days.
    static func maximumRunSeconds(
        _ option: CapacityOption, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> Int64? {
        let left = observation.spec.runtimeLimitSeconds.map { max(0, Int64($0) - (run.activeSeconds ?? 0)) + 900 }
        let paid = TrainingJobBudget.maximumRunSeconds(option, observation)
        let own = option.candidate.maxRunDurationSeconds.map { Int64($0) }
        let queued = option.isQueued ? TrainingJobFlexStart.longestRunSeconds : nil
        let limits = [left, paid, own, queued].compactMap { $0 }
        return limits.min().map { min($0, 120 * 86400) }
    }

    /// A named reservation and no other machine; without one, GKE's default, which uses what happens to be reserved.
    private static func reservation(_ candidate: TrainingJob.Capacity.Candidate) -> ReservationAffinity? {
        guard let reservation = candidate.reservation else { return nil }
        var name = reservation.name
        if let project = reservation.project { name = "projects/\(project)/reservations/\(name)" }
        if let block = reservation.block { name += "/reservationBlocks/\(block)" }
        if let part = reservation.subBlock { name += "/reservationSubBlocks/\(part)" }
        return ReservationAffinity(
            consumeReservationType: "SPECIFIC_RESERVATION", key: "compute.googleapis.com/reservation-name",
            values: [name])
    }

    /// TPU hosts of one slice belong together; a workload policy says so where the generation has one, and then takes the
    /// place of COMPACT.
    private static func placement(
        _ option: CapacityOption, _ settings: TrainingJob.Backend.NodePool?
    ) -> PlacementPolicy? {
        if let slice = option.shape.slice, slice.isMultiHost {
            return slice.tpu.needsWorkloadPolicy
                ? PlacementPolicy(policyName: slice.workloadPolicy)
                : PlacementPolicy(type: "COMPACT", tpuTopology: slice.topology)
        }
        return settings?.compactPlacement == true ? PlacementPolicy(type: "COMPACT") : nil
    }

    private static func network(
        _ option: CapacityOption, _ settings: TrainingJob.Backend.NodePool?
    ) -> NodeNetworkConfig? {
        let isFast = settings?.acceleratorNetwork == .auto && NodePoolFit.hasAcceleratorNetworks(option.machine.type)
        guard isFast || settings?.privateNodes != nil || settings?.subnetwork != nil else { return nil }
        var network = NodeNetworkConfig(enablePrivateNodes: settings?.privateNodes)
        network.acceleratorNetworkProfile = isFast ? "auto" : nil
        network.subnetwork = settings?.subnetwork
        return network
    }
}
