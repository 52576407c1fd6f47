extension Accelerator.Machine {
    /// What a run on CPUs gets when its candidate names no machine type.
    static let defaultCPU = "e2-standard-4"

    private static let cpuFamilies: Set<String> = [
        "c2", "c2d", "c3", "c3d", "c4", "c4a", "c4d", "e2", "h3", "m1", "m2", "m3", "m4", "n1", "n2", "n2d", "n4",
        "n4a", "n4d", "t2a", "t2d", "x4", "z3",
    ]
    private static let armFamilies: Set<String> = ["c4a", "n4a", "t2a"]

    /// A machine type without accelerators. The failure is a sentence for the user, with the families that have some.
    static func cpu(_ type: String?) -> Result<Accelerator.Machine, InvalidSpec> {
        let type = type ?? defaultCPU
        let words = type.split(separator: "-")
        let family = words.first.map(String.init) ?? ""
        guard cpuFamilies.contains(family) else {
            let owner = Accelerator.catalogue.first { $0.machines.contains { $0.type == type } }?.type
            let tpu = TPU.catalogue.first { $0.machines.contains { $0.type == type } }?.type
            let why = (owner ?? tpu).map { "carries \($0): name it in accelerator" } ?? "is not known"
            return .failure(
                InvalidSpec(
                    "machineType \(type) \(why); without accelerator the families are "
                        + cpuFamilies.sorted().joined(separator: ", ")))
        }
        return .success(
            Accelerator.Machine(
                type: type, acceleratorCount: 0, vCPUCount: words.dropFirst().lazy.compactMap { Int($0) }.first ?? 0,
                memoryGB: 0,
                provisioningModels: [.standard, .spot], isArm: armFamilies.contains(family)))
    }
}

extension TPUSlice {
    /// Its machine type, as the options of a run list machines.
    var offeredMachine: Accelerator.Machine {
        Accelerator.Machine(
            type: machine.type, acceleratorCount: machine.chipCount, vCPUCount: machine.vCPUCount,
            memoryGB: machine.memoryGB, provisioningModels: [.standard, .spot, .flexStart], isArm: false)
    }

    /// The workload policy of Compute Engine that a slice of several hosts names where its generation needs one. It is
    /// made once for a region, by whoever set up the project: it costs nothing and belongs to no run.
    var workloadPolicy: String { "trainyard-\(tpu.type)-\(topology)" }
}

extension MachineChoice {
    /// The machine that a candidate's nodes are; of GPUs and TPUs one that carries them. The failure is a sentence for the
    /// user, with the allowed values.
    static func choose(
        _ spec: RunSpec, _ candidate: TrainingJob.Capacity.Candidate
    ) -> Result<Accelerator.Machine, InvalidSpec> {
        if let gpu = spec.accelerator?.gpu {
            switch choose(
                gpu, machineType: candidate.machineType, model: candidate.provisioningModel,
                isReserved: candidate.reservation != nil)
            {
            case .machine(let machine): return .success(machine)
            case .impossible(let message): return .failure(InvalidSpec(message))
            }
        }
        guard let tpu = spec.accelerator?.tpu else { return .cpu(candidate.machineType) }
        return TPUSlice.choose(
            type: tpu.type, topology: tpu.topology, machineType: candidate.machineType
        ).map(\.offeredMachine)
    }
}

extension Result where Success == Accelerator.Machine, Failure == InvalidSpec {
    fileprivate static func cpu(_ type: String?) -> Self { Accelerator.Machine.cpu(type) }
}
