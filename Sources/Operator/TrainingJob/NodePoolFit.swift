/// What a node pool's settings and a machine type have to do with each other.
enum NodePoolFit {
    /// Why these settings cannot be had on a machine type: a sentence with what can; nil when they can.
    static func problem(
        _ machine: Accelerator.Machine, _ spec: RunSpec, _ candidate: TrainingJob.Capacity.Candidate
    ) -> String? {
        let pool = spec.backend.gke?.nodePool
        return diskProblem(machine, pool?.bootDisk?.type) ?? ssdProblem(machine, pool?.localSSDCount)
            ?? placementProblem(machine, spec, pool) ?? partitionProblem(spec.accelerator?.gpu)
            ?? reservationProblem(machine, candidate) ?? flexStartProblem(spec, candidate)
    }

    // MARK: Disks

    /// Families that boot from Hyperdisk only.
    private static let hyperdiskFamilies: Set<String> = [
        "a4", "a4x", "c4", "c4a", "c4d", "g4", "m4", "n4", "tpu7x", "x4",
    ]

    /// `a3` of `a3-highgpu-8g`.
    static func family(_ machineType: String) -> String {
        machineType.split(separator: "-").first.map(String.init) ?? machineType
    }

    /// Whether a machine type takes no persistent disks.
    static func needsHyperdisk(_ machineType: String) -> Bool {
        hyperdiskFamilies.contains(family(machineType)) || machineType.hasPrefix("a3-ultragpu-")
    }

    private static func diskProblem(_ machine: Accelerator.Machine, _ type: String?) -> String? {
        guard let type, needsHyperdisk(machine.type), !type.hasPrefix("hyperdisk-") else { return nil }
        return "machine type \(machine.type) does not boot from \(type); possible is hyperdisk-balanced"
    }

    // MARK: Local SSD

    /// Local SSDs that a machine type always has.
    static func bundledSSDCount(_ machineType: String) -> Int {
        switch machineType {
        case "a2-ultragpu-1g": 1
        case "a2-ultragpu-2g", "a3-highgpu-1g": 2
        case "a2-ultragpu-4g", "a3-highgpu-2g": 4
        case "a2-ultragpu-8g", "a3-highgpu-4g": 8
        case "a3-highgpu-8g", "a3-edgegpu-8g", "a3-megagpu-8g": 16
        case "a3-ultragpu-8g", "a4-highgpu-8g": 32
        case "a4x-highgpu-4g": 4
        default: 0
        }
    }

    /// Families to which local SSDs can be attached.
    private static let ssdFamilies: Set<String> = ["a2", "c2", "c2d", "g2", "g4", "m1", "m3", "n1", "n2", "n2d"]

    private static func ssdProblem(_ machine: Accelerator.Machine, _ count: Int?) -> String? {
        guard let count else { return nil }
        let bundled = bundledSSDCount(machine.type)
        if bundled > 0 {
            return count == bundled
                ? nil : "machine type \(machine.type) has \(bundled) local SSDs: leave localSSDCount out"
        }
        guard count > 0, !ssdFamilies.contains(family(machine.type)) else { return nil }
        return "machine type \(machine.type) takes no local SSDs; families that do are "
            + ssdFamilies.sorted().joined(separator: ", ")
    }

    // MARK: Placement and network

    private static func placementProblem(
        _ machine: Accelerator.Machine, _ spec: RunSpec, _ pool: TrainingJob.Backend.NodePool?
    ) -> String? {
        guard pool?.compactPlacement == true else { return nil }
        let families: Set<String> = ["a2", "a3", "a4", "c2", "c2d", "c3", "c3d", "c4", "g2", "h3", "n2", "n2d"]
        if spec.shape.slice != nil || families.contains(family(machine.type)) { return nil }
        return "machine type \(machine.type) cannot be placed compactly; families that can are "
            + families.sorted().joined(separator: ", ")
    }

    /// Whether a machine type has networks of its own for its accelerators.
    static func hasAcceleratorNetworks(_ machineType: String) -> Bool {
        ["a3-highgpu-8g", "a3-megagpu-", "a3-ultragpu-", "a4-", "a4x-", "ct6e-"].contains { machineType.hasPrefix($0) }
    }

    // MARK: GPUs and reservations

    private static func flexStartProblem(
        _ spec: RunSpec, _ candidate: TrainingJob.Capacity.Candidate
    ) -> String? {
        guard candidate.provisioningModel == .flexStart, spec.accelerator == nil else { return nil }
        return "FlexStart is for machines with GPUs or TPUs; for CPUs use Standard or Spot"
    }

    private static func partitionProblem(_ gpu: TrainingJob.AcceleratorSpec.GPU?) -> String? {
        guard let gpu, let size = gpu.partitionSize, let accelerator = Accelerator.named(gpu.type) else { return nil }
        let counts = accelerator.partitionCounts
        if counts[size] != nil { return nil }
        guard !counts.isEmpty else { return "\(gpu.type) cannot be partitioned" }
        return "\(gpu.type) has no partitions of \(size); possible are \(counts.keys.sorted().joined(separator: ", "))"
    }

    private static func reservationProblem(
        _ machine: Accelerator.Machine, _ candidate: TrainingJob.Capacity.Candidate
    ) -> String? {
        guard candidate.provisioningModel == .reservationBound, !["a3", "a4", "a4x"].contains(family(machine.type))
        else { return nil }
        return "ReservationBound is for future reservations of A3 and A4 machines, not of \(machine.type); "
            + "an ordinary reservation goes with Standard"
    }
}
