extension Accelerator {
    /// Every GPU that GKE offers, with the machine types that carry it: one row each. Machines of one GPU and count are
    /// in order of size, the default first.
    ///
    /// Sources: AI-Hypercomputer/xpk (2026-06), Google's machine family pages, the price list of `prices.swift`.
    public static let catalogue: [Accelerator] = [
        gpu(
            "nvidia-tesla-t4", 16,
            n1("standard-4", 4, 15, 1, 2), n1("standard-8", 8, 30, 1, 2), n1("standard-16", 16, 60, 1, 2, 4),
            n1("standard-32", 32, 120, 1, 2, 4), n1("standard-64", 64, 240, 4), n1("standard-96", 96, 360, 4)),
        gpu(
            "nvidia-tesla-v100", 16,
            n1("standard-4", 4, 15, 1, 2), n1("standard-8", 8, 30, 1, 2, 4), n1("standard-16", 16, 60, 2, 4, 8),
            n1("standard-32", 32, 120, 4, 8), n1("standard-64", 64, 240, 8), n1("standard-96", 96, 360, 8)),
        gpu(
            "nvidia-tesla-p100", 16,
            n1("standard-4", 4, 15, 1, 2), n1("standard-8", 8, 30, 1, 2, 4), n1("standard-16", 16, 60, 1, 2, 4),
            n1("standard-32", 32, 120, 2, 4), n1("standard-64", 64, 240, 4)),
        gpu(
            "nvidia-tesla-p4", 8,
            n1("standard-4", 4, 15, 1, 2), n1("standard-8", 8, 30, 1, 2, 4), n1("standard-16", 16, 60, 1, 2, 4)),
        gpu(
            "nvidia-l4", 24,
            [
                row("g2-standard-4", 1, 4, 16), row("g2-standard-8", 1, 8, 32), row("g2-standard-12", 1, 12, 48),
                row("g2-standard-16", 1, 16, 64), row("g2-standard-32", 1, 32, 128),
                row("g2-standard-24", 2, 24, 96), row("g2-standard-48", 4, 48, 192),
                row("g2-standard-96", 8, 96, 384),
            ]),
        gpu(
            "nvidia-tesla-a100", 40,
            [
                row("a2-highgpu-1g", 1, 12, 85), row("a2-highgpu-2g", 2, 24, 170), row("a2-highgpu-4g", 4, 48, 340),
                row("a2-highgpu-8g", 8, 96, 680), row("a2-megagpu-16g", 16, 96, 1360),
            ]),
        gpu(
            "nvidia-a100-80gb", 80,
            [
                row("a2-ultragpu-1g", 1, 12, 170), row("a2-ultragpu-2g", 2, 24, 340),
                row("a2-ultragpu-4g", 4, 48, 680), row("a2-ultragpu-8g", 8, 96, 1360),
            ]),
        gpu(
            "nvidia-h100-80gb", 80,
            [
                row("a3-highgpu-1g", 1, 26, 234, [.spot, .flexStart]),
                row("a3-highgpu-2g", 2, 52, 468, [.spot, .flexStart]),
                row("a3-highgpu-4g", 4, 104, 936, [.spot, .flexStart]),
                row("a3-highgpu-8g", 8, 208, 1872, [.standard, .spot, .flexStart, .reservationBound]),
                row("a3-edgegpu-8g", 8, 208, 1872, [.standard, .spot, .reservationBound]),
            ]),
        gpu(
            "nvidia-h100-mega-80gb", 80,
            [row("a3-megagpu-8g", 8, 208, 1872, [.standard, .spot, .flexStart, .reservationBound])]),
        gpu("nvidia-h200-141gb", 141, [row("a3-ultragpu-8g", 8, 224, 2952, [.spot, .flexStart, .reservationBound])]),
        gpu("nvidia-b200", 180, [row("a4-highgpu-8g", 8, 224, 3968, [.spot, .flexStart, .reservationBound])]),
        // Sold by reservation only.
        gpu("nvidia-gb200", 186, [row("a4x-highgpu-4g", 4, 140, 884, [.reservationBound], isArm: true)]),
        gpu("nvidia-gb300", 288, [row("a4x-maxgpu-4g-metal", 4, 144, 960, [.reservationBound], isArm: true)]),
        gpu(
            "nvidia-rtx-pro-6000", 96,
            [
                row("g4-standard-48", 1, 48, 180), row("g4-standard-96", 2, 96, 360),
                row("g4-standard-192", 4, 192, 720), row("g4-standard-384", 8, 384, 1440),
            ]),
    ]

    private static func gpu(_ type: String, _ memoryGiB: Int, _ machines: [Machine]...) -> Accelerator {
        Accelerator(type: type, memoryGiB: memoryGiB, machines: machines.flatMap { $0 })
    }

    private static func row(
        _ type: String, _ count: Int, _ vCPUCount: Int, _ memoryGB: Int,
        _ models: Set<ProvisioningModel> = [.standard, .spot, .flexStart], isArm: Bool = false
    ) -> Machine {
        Machine(
            type: type, acceleratorCount: count, vCPUCount: vCPUCount, memoryGB: memoryGB, provisioningModels: models,
            isArm: isArm)
    }

    /// An N1 machine to which GPUs are attached, once for each count that its size allows.
    private static func n1(_ size: String, _ vCPUCount: Int, _ memoryGB: Int, _ counts: Int...) -> [Machine] {
        counts.map { row("n1-\(size)", $0, vCPUCount, memoryGB, [.standard, .spot]) }
    }
}
