import Encoding

/// What a machine type gives to pods, as GKE computes it.
struct MachineShape: Sendable, Hashable {
    var cpus: Int64
    var memoryBytes: Int64
    var tpuChips: Int64 = 0

    /// Families with names `<family>-<kind>-<vCPUs>` and their GB per vCPU.
    private static let ratios: [String: Double] = [
        "n1-standard": 3.75, "n1-highmem": 6.5, "n1-highcpu": 0.9, "n2-standard": 4, "n2-highmem": 8,
        "n2-highcpu": 1, "n2d-standard": 4, "n4-standard": 4, "c4-standard": 3.75, "e2-standard": 4, "e2-highmem": 8,
        "e2-highcpu": 1, "c3-standard": 4,
        "g2-standard": 4, "g4-standard": 3.75,
    ]

    /// Machine types whose names do not say it: vCPUs, GB of memory, TPU chips.
    private static let table: [String: (Int64, Double, Int64)] = [
        "e2-micro": (2, 1, 0), "e2-small": (2, 2, 0), "e2-medium": (2, 4, 0),
        "a2-highgpu-1g": (12, 85, 0), "a2-highgpu-2g": (24, 170, 0), "a2-highgpu-4g": (48, 340, 0),
        "a2-highgpu-8g": (96, 680, 0), "a2-megagpu-16g": (96, 1360, 0),
        "a2-ultragpu-1g": (12, 170, 0), "a2-ultragpu-2g": (24, 340, 0), "a2-ultragpu-4g": (48, 680, 0),
        "a2-ultragpu-8g": (96, 1360, 0),
        "a3-highgpu-1g": (26, 234, 0), "a3-highgpu-2g": (52, 468, 0), "a3-highgpu-4g": (104, 936, 0),
        "a3-highgpu-8g": (208, 1872, 0), "a3-edgegpu-8g": (208, 1872, 0), "a3-megagpu-8g": (208, 1872, 0),
        "a3-ultragpu-8g": (224, 2952, 0), "a4-highgpu-8g": (224, 3968, 0), "a4x-highgpu-4g": (140, 884, 0),
        "ct4p-hightpu-4t": (240, 407, 4), "ct5lp-hightpu-1t": (24, 48, 1), "ct5lp-hightpu-4t": (112, 192, 4),
        "ct5lp-hightpu-8t": (224, 384, 8), "ct5p-hightpu-4t": (208, 448, 4), "ct6e-standard-1t": (44, 176, 1),
        "ct6e-standard-4t": (180, 720, 4), "ct6e-standard-8t": (180, 1440, 8), "tpu7x-standard-1t": (56, 240, 1),
        "tpu7x-standard-4t": (224, 960, 4),
    ]

    /// Nil for a machine type that the sandbox does not know.
    init?(machineType: String) {
        if let (cpus, memory, chips) = MachineShape.table[machineType] {
            self.init(cpus: cpus, memoryBytes: MachineShape.bytes(gigabytes: memory), tpuChips: chips)
            return
        }
        let parts = machineType.split(separator: "-")
        guard parts.count == 3, let cpus = Int64(parts[2]), cpus > 0,
            let ratio = MachineShape.ratios["\(parts[0])-\(parts[1])"]
        else { return nil }
        self.init(cpus: cpus, memoryBytes: MachineShape.bytes(gigabytes: Double(cpus) * ratio))
    }

    init(cpus: Int64, memoryBytes: Int64, tpuChips: Int64 = 0) {
        self.cpus = cpus
        self.memoryBytes = memoryBytes
        self.tpuChips = tpuChips
    }

    private static func bytes(gigabytes: Double) -> Int64 { Int64(gigabytes * Double(1 << 30)) }

    /// GKE keeps 6 % of the first core, 1 % of the second, 0.5 % of the next two and 0.25 % of the rest for itself
    /// (cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes).
    var allocatableMilliCPUs: Int64 {
        let reserved = 60 + (cpus > 1 ? 10 : 0) + 5 * max(0, min(cpus, 4) - 2) + 5 * max(0, cpus - 4) / 2
        return cpus * 1000 - reserved
    }

    /// GKE keeps 25 % of the first 4 GiB, 20 % of the next 4, 10 % of the next 8, 6 % of the next 112, 2 % above, and
    /// 100 MiB for eviction.
    var allocatableMemoryBytes: Int64 {
        let gibibyte = Double(1 << 30)
        let steps: [(upTo: Double, share: Double)] = [(4, 0.25), (8, 0.2), (16, 0.1), (128, 0.06), (.infinity, 0.02)]
        var reserved = 100.0 * Double(1 << 20)
        var from = 0.0
        for step in steps {
            let part = max(0, min(Double(memoryBytes), step.upTo * gibibyte) - from * gibibyte)
            reserved += part * step.share
            from = step.upTo
        }
        return memoryBytes - Int64(reserved)
    }
}
