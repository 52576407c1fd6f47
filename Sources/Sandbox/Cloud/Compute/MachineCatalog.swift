/// Machine types and accelerators of Compute Engine.
enum MachineCatalog {
    struct Machine: Sendable {
        var name: String
        var cpus: Int64
        var memoryMebibytes: Int64
        /// Built in; machines of family n1 take theirs from the request.
        var accelerator: String?
        var count: Int64 = 0
    }

    struct Accelerator: Sendable {
        var name: String
        var description: String
        var maximumPerMachine: Int64
        /// The region quota's metric, where compute's `quotas` has one.
        var quota: String?
    }

    static let accelerators = [
        Accelerator(name: "nvidia-tesla-t4", description: "NVIDIA T4", maximumPerMachine: 4, quota: "NVIDIA_T4_GPUS"),
        Accelerator(
            name: "nvidia-tesla-v100", description: "NVIDIA V100", maximumPerMachine: 8, quota: "NVIDIA_V100_GPUS"),
        Accelerator(
            name: "nvidia-tesla-p100", description: "NVIDIA Tesla P100", maximumPerMachine: 4, quota: "NVIDIA_P100_GPUS"
        ),
        Accelerator(
            name: "nvidia-tesla-p4", description: "NVIDIA Tesla P4", maximumPerMachine: 4, quota: "NVIDIA_P4_GPUS"),
        Accelerator(name: "nvidia-l4", description: "NVIDIA L4", maximumPerMachine: 8, quota: "NVIDIA_L4_GPUS"),
        Accelerator(
            name: "nvidia-tesla-a100", description: "NVIDIA A100 40GB", maximumPerMachine: 16,
            quota: "NVIDIA_A100_GPUS"),
        Accelerator(
            name: "nvidia-a100-80gb", description: "NVIDIA A100 80GB", maximumPerMachine: 8,
            quota: "NVIDIA_A100_80GB_GPUS"),
        // The newer families have their quotas in gpus_per_gpu_family only.
        Accelerator(name: "nvidia-h100-80gb", description: "NVIDIA H100 80GB", maximumPerMachine: 8),
        Accelerator(name: "nvidia-h100-mega-80gb", description: "NVIDIA H100 80GB MEGA", maximumPerMachine: 8),
        Accelerator(name: "nvidia-h200-141gb", description: "NVIDIA H200 141GB", maximumPerMachine: 8),
        Accelerator(name: "nvidia-b200", description: "NVIDIA B200", maximumPerMachine: 8),
        Accelerator(name: "nvidia-gb200", description: "NVIDIA GB200", maximumPerMachine: 4),
        Accelerator(name: "nvidia-rtx-pro-6000", description: "NVIDIA RTX PRO 6000", maximumPerMachine: 8),
    ]

    static let machines: [Machine] = table.split(separator: "\n").compactMap { line in
        let words = line.split(separator: " ").map(String.init)
        guard words.count >= 3, let cpus = Int64(words[1]), let gigabytes = Double(words[2]) else { return nil }
        return Machine(
            name: words[0], cpus: cpus, memoryMebibytes: Int64(gigabytes * 1024),
            accelerator: words.count == 5 ? words[3] : nil,
            count: words.count == 5 ? Int64(words[4]) ?? 0 : 0)
    }

    /// Name, vCPUs, memory in GB, accelerator, accelerators.
    private static let table = """
        e2-medium 2 4
        e2-standard-4 4 16
        n1-standard-2 2 7.5
        n1-standard-4 4 15
        n1-standard-8 8 30
        n1-standard-16 16 60
        n1-highmem-2 2 13
        n1-highmem-8 8 52
        n2-standard-4 4 16
        n2-standard-8 8 32
        g2-standard-4 4 16 nvidia-l4 1
        g2-standard-8 8 32 nvidia-l4 1
        g2-standard-12 12 48 nvidia-l4 1
        g2-standard-16 16 64 nvidia-l4 1
        g2-standard-32 32 128 nvidia-l4 1
        g2-standard-24 24 96 nvidia-l4 2
        g2-standard-48 48 192 nvidia-l4 4
        g2-standard-96 96 384 nvidia-l4 8
        a2-highgpu-1g 12 85 nvidia-tesla-a100 1
        a2-highgpu-2g 24 170 nvidia-tesla-a100 2
        a2-highgpu-4g 48 340 nvidia-tesla-a100 4
        a2-highgpu-8g 96 680 nvidia-tesla-a100 8
        a2-megagpu-16g 96 1360 nvidia-tesla-a100 16
        a2-ultragpu-1g 12 170 nvidia-a100-80gb 1
        a2-ultragpu-2g 24 340 nvidia-a100-80gb 2
        a2-ultragpu-4g 48 680 nvidia-a100-80gb 4
        a2-ultragpu-8g 96 1360 nvidia-a100-80gb 8
        a3-highgpu-1g 26 234 nvidia-h100-80gb 1
        a3-highgpu-2g 52 468 nvidia-h100-80gb 2
        a3-highgpu-4g 104 936 nvidia-h100-80gb 4
        a3-highgpu-8g 208 1872 nvidia-h100-80gb 8
        a3-edgegpu-8g 208 1872 nvidia-h100-80gb 8
        a3-megagpu-8g 208 1872 nvidia-h100-mega-80gb 8
        a3-ultragpu-8g 224 2952 nvidia-h200-141gb 8
        a4-highgpu-8g 224 3968 nvidia-b200 8
        a4x-highgpu-4g 140 884 nvidia-gb200 4
        g4-standard-48 48 180 nvidia-rtx-pro-6000 1
        g4-standard-96 96 360 nvidia-rtx-pro-6000 2
        g4-standard-192 192 720 nvidia-rtx-pro-6000 4
        g4-standard-384 384 1440 nvidia-rtx-pro-6000 8
        ct5lp-hightpu-1t 24 48 ct5lp 1
        ct5lp-hightpu-4t 112 192 ct5lp 4
        ct5lp-hightpu-8t 224 384 ct5lp 8
        ct5p-hightpu-4t 208 448 ct5p 4
        ct6e-standard-1t 44 176 ct6e 1
        ct6e-standard-4t 180 720 ct6e 4
        ct6e-standard-8t 180 1440 ct6e 8
        """
}
