/// A TPU generation as GKE offers it.
public struct TPU: Sendable, Hashable {
    /// Google's name, the value of the node label `cloud.google.com/gke-tpu-accelerator`.
    public let type: String
    /// Memory of one chip in GiB.
    public let memoryGiB: Int
    /// Smallest first.
    public let machines: [Machine]
    /// The cubes of 4x4x4 chips that a topology beyond the listed ones may have; 0 where only listed ones exist.
    public let maximumCubes: Int
    /// A slice of several hosts needs a workload policy, which its pool names.
    public let needsWorkloadPolicy: Bool

    /// A machine type that carries chips of this generation, and the topologies that it is sold in.
    public struct Machine: Sendable, Hashable {
        /// Compute Engine's name, e.g. `ct6e-standard-4t`.
        public let type: String
        public let chipCount: Int
        public let vCPUCount: Int
        public let memoryGB: Int
        /// Of one host.
        public let singleHostTopology: String
        /// Of several hosts, smallest first.
        public let multiHostTopologies: [String]

        /// All of them, smallest first.
        public var topologies: [String] { [singleHostTopology] + multiHostTopologies }
    }

    /// Every topology of the generation, smallest first, each once.
    public var topologies: [String] {
        Set(machines.flatMap(\.topologies)).sorted { left, right in
            (TPU.chipCount(of: left) ?? 0, left) < (TPU.chipCount(of: right) ?? 0, right)
        }
    }

    /// The generation of that name; nil when the catalogue does not have it.
    public static func named(_ type: String) -> TPU? { catalogue.first { $0.type == type } }

    /// The product of a topology's sides; nil for anything but `AxB` and `AxBxC` with sides from 1 to 999.
    public static func chipCount(of topology: String) -> Int? { sides(of: topology)?.reduce(1, *) }

    static func sides(of topology: String) -> [Int]? {
        let parts = topology.split(separator: "x", omittingEmptySubsequences: false)
        let sides = parts.compactMap { Int($0) }
        guard (2...3).contains(parts.count), sides.count == parts.count, sides.allSatisfy({ (1...999).contains($0) })
        else { return nil }
        return sides
    }

    /// Whether a machine type is sold in a topology: a listed one, or cubes of 4x4x4 chips put together.
    func offers(_ topology: String, on machine: Machine) -> Bool {
        if machine.topologies.contains(topology) { return true }
        guard maximumCubes > 0, !machine.multiHostTopologies.isEmpty, let sides = TPU.sides(of: topology),
            sides.count == 3, sides.allSatisfy({ $0.isMultiple(of: 4) }), sides == sides.sorted()
        else { return false }
        return sides.reduce(1, *) / 64 <= maximumCubes
    }
}

/// One slice of TPU chips: what a topology amounts to on a machine type.
public struct TPUSlice: Sendable, Hashable {
    public var tpu: TPU
    public var machine: TPU.Machine
    public var topology: String

    public var chipCount: Int { TPU.chipCount(of: topology) ?? machine.chipCount }
    /// Machines of the slice, one pod each.
    public var hostCount: Int { max(1, chipCount / machine.chipCount) }
    /// All hosts are there or none: GKE makes and takes them together.
    public var isMultiHost: Bool { hostCount > 1 }

    /// The slice for a topology: on the machine type asked for, else on the fewest hosts. The failure is a sentence for
    /// the user, with the allowed values.
    static func choose(
        type: String, topology: String, machineType: String?
    ) -> Result<TPUSlice, InvalidSpec> {
        guard let tpu = TPU.named(type) else {
            let known = TPU.catalogue.map(\.type).joined(separator: ", ")
            return .failure(InvalidSpec("TPU type \(type) is not known; known are \(known)"))
        }
        let fitting = tpu.machines.filter { tpu.offers(topology, on: $0) }
        guard let fewest = fitting.max(by: { $0.chipCount < $1.chipCount }) else {
            let listed = tpu.topologies.joined(separator: ", ")
            let cubes =
                tpu.maximumCubes > 0
                ? ", and AxBxC with multiples of 4 in ascending order up to \(tpu.maximumCubes * 64) chips" : ""
            return .failure(
                InvalidSpec("\(type) has no topology \(topology); possible are \(listed)\(cubes)"))
        }
        guard let machineType else { return .success(TPUSlice(tpu: tpu, machine: fewest, topology: topology)) }
        if let machine = fitting.first(where: { $0.type == machineType }) {
            return .success(TPUSlice(tpu: tpu, machine: machine, topology: topology))
        }
        let types = fitting.map(\.type).joined(separator: ", ")
        return .failure(
            InvalidSpec("machineType \(machineType) does not carry \(type) \(topology); possible are \(types)"))
    }
}

extension TPU {
    /// Every generation that GKE offers, with its machine types: one row each.
    ///
    /// Sources: AI-Hypercomputer/xpk `system_characteristics.py` (2026-06), Google's TPU pages.
    public static let catalogue: [TPU] = [
        TPU(
            type: "tpu-v4-podslice", memoryGiB: 32,
            machines: [machine("ct4p-hightpu-4t", 4, 240, 407, "2x2x1", cubes + ["8x8x12"] + large)],
            maximumCubes: 64, needsWorkloadPolicy: false),
        TPU(
            type: "tpu-v5-lite-podslice", memoryGiB: 16,
            machines: [
                machine("ct5lp-hightpu-1t", 1, 24, 48, "1x1"),
                machine("ct5lp-hightpu-4t", 4, 112, 192, "2x2", squares),
                machine("ct5lp-hightpu-8t", 8, 224, 384, "2x4"),
            ], maximumCubes: 0, needsWorkloadPolicy: false),
        TPU(
            type: "tpu-v5p-slice", memoryGiB: 95,
            machines: [
                machine(
                    "ct5p-hightpu-4t", 4, 208, 448, "2x2x1",
                    cubes + large + ["16x16x16", "16x16x24", "16x20x28"])
            ], maximumCubes: 140, needsWorkloadPolicy: false),
        TPU(
            type: "tpu-v6e-slice", memoryGiB: 32,
            machines: [
                machine("ct6e-standard-1t", 1, 44, 176, "1x1"),
                machine("ct6e-standard-4t", 4, 180, 720, "2x2", squares),
                machine("ct6e-standard-8t", 8, 180, 1440, "2x4"),
            ], maximumCubes: 0, needsWorkloadPolicy: false),
        TPU(
            type: "tpu7x", memoryGiB: 192,
            machines: [
                // A quarter of the larger one: Google's pages do not say it.
                machine("tpu7x-standard-1t", 1, 56, 240, "1x1x1"),
                machine(
                    "tpu7x-standard-4t", 4, 224, 960, "2x2x1",
                    cubes + large + ["16x16x16", "16x16x32", "16x24x24"]),
            ], maximumCubes: 144, needsWorkloadPolicy: true),
    ]

    private static let squares = ["2x4", "4x4", "4x8", "8x8", "8x16", "16x16"]
    private static let cubes = ["2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8"]
    private static let large = ["8x8x16", "8x16x16"]

    private static func machine(
        _ type: String, _ chipCount: Int, _ vCPUCount: Int, _ memoryGB: Int, _ single: String, _ multi: [String] = []
    ) -> Machine {
        Machine(
            type: type, chipCount: chipCount, vCPUCount: vCPUCount, memoryGB: memoryGB, singleHostTopology: single,
            multiHostTopologies: multi)
    }
}
