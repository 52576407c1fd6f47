/// A GPU as Google Cloud offers it.
public struct Accelerator: Sendable, Hashable {
    /// Google's name, the value of the node label `cloud.google.com/gke-accelerator`.
    public let type: String
    /// Memory of one GPU in GiB.
    public let memoryGiB: Int
    /// Smallest first.
    public let machines: [Machine]

    /// A machine type that carries a number of these GPUs.
    public struct Machine: Sendable, Hashable {
        /// Compute Engine's name, e.g. `g2-standard-8`.
        public let type: String
        public let acceleratorCount: Int
        public let vCPUCount: Int
        public let memoryGB: Int
        /// Google sells these as spot only, or by reservation only.
        public let provisioningModels: Set<ProvisioningModel>
        public let isArm: Bool
    }

    /// MIG partition sizes of the GPU, and how many of each it gives; empty where it has none.
    public var partitionCounts: [String: Int] {
        let sizes: String =
            switch type {
            case "nvidia-tesla-a100": "1g.5gb 2g.10gb 3g.20gb 7g.40gb"
            case "nvidia-a100-80gb": "1g.10gb 2g.20gb 3g.40gb 7g.80gb"
            case "nvidia-h100-80gb", "nvidia-h100-mega-80gb": "1g.10gb 1g.20gb 2g.20gb 3g.40gb 7g.80gb"
            case "nvidia-h200-141gb": "1g.18gb 1g.35gb 2g.35gb 3g.71gb 7g.141gb"
            case "nvidia-b200": "1g.23gb 1g.45gb 2g.45gb 3g.90gb 7g.180gb"
            default: ""
            }
        let slices: [Character: Int] = ["1": 7, "2": 3, "3": 2, "7": 1]
        // One compute slice with the memory of two.
        let wide: Set<String> = ["1g.20gb", "1g.35gb", "1g.45gb"]
        return Dictionary(
            uniqueKeysWithValues: sizes.split(separator: " ").map(String.init).map { size in
                (size, wide.contains(size) ? 4 : size.first.flatMap { slices[$0] } ?? 1)
            })
    }

    /// How many GPUs its machines can carry, ascending.
    public var counts: [Int] { Set(machines.map(\.acceleratorCount)).sorted() }

    /// The machines that carry `count` of them and can be had under `model`, smallest first; an ordinary reservation is
    /// consumed under `standard`, also by machines that nobody gets without one.
    public func machines(count: Int, model: ProvisioningModel, isReserved: Bool = false) -> [Machine] {
        machines.filter { machine in
            let models = machine.provisioningModels
            return machine.acceleratorCount == count
                && (models.contains(model) || isReserved && model == .standard && models.contains(.reservationBound))
        }
    }

    /// The GPU of that name; nil when the catalogue does not have it.
    public static func named(_ type: String) -> Accelerator? { catalogue.first { $0.type == type } }
}

/// What a candidate would run on, or why it cannot.
public enum MachineChoice: Sendable, Hashable {
    case machine(Accelerator.Machine)
    /// A sentence for the user, with the allowed values.
    case impossible(String)

    /// The machine for an accelerator: the one asked for, else the smallest that carries it.
    public static func choose(
        _ gpu: TrainingJob.AcceleratorSpec.GPU, machineType: String?, model: ProvisioningModel,
        isReserved: Bool = false
    ) -> MachineChoice {
        guard let accelerator = Accelerator.named(gpu.type) else {
            let known = Accelerator.catalogue.map(\.type).joined(separator: ", ")
            return .impossible("GPU type \(gpu.type) is not known; known are \(known)")
        }
        guard accelerator.counts.contains(gpu.count) else {
            let counts = accelerator.counts.map(String.init).joined(separator: ", ")
            return .impossible("\(gpu.count) × \(gpu.type) fit no machine type; possible counts are \(counts)")
        }
        let offered = accelerator.machines(count: gpu.count, model: model, isReserved: isReserved)
        guard let machineType else {
            if let first = offered.first { return .machine(first) }
            let all = accelerator.machines.filter { $0.acceleratorCount == gpu.count }
            let models = ProvisioningModel.allCases.filter { model in
                all.contains { $0.provisioningModels.contains(model) }
            }
            let allowed = models.isEmpty ? "" : "; possible are \(models.map(\.rawValue).joined(separator: ", "))"
            return .impossible("\(gpu.count) × \(gpu.type) cannot be had as \(model.rawValue)\(allowed)")
        }
        if let machine = offered.first(where: { $0.type == machineType }) { return .machine(machine) }
        let types = offered.map(\.type).joined(separator: ", ")
        let allowed = types.isEmpty ? "none is offered" : "possible are \(types)"
        return .impossible(
            "machineType \(machineType) does not carry \(gpu.count) × \(gpu.type) as \(model.rawValue); \(allowed)")
    }
}
