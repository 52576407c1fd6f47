/// Compute Engine's regional quotas in its words: those that `regions.get` has.
enum PreflightQuota {
    /// What a machine counts as; nil where `regions.get` has no metric for it.
    static func need(_ option: CapacityOption) -> (metric: String, perNode: Int)? {
        if let gpu = option.accelerator?.gpu {
            return gpuMetric(gpu.type).map { ($0, option.machine.acceleratorCount) }
        }
        if let slice = option.shape.slice {
            return tpuMetric(slice.tpu.type).map { ($0, option.machine.acceleratorCount) }
        }
        guard option.machine.vCPUCount > 0 else { return nil }
        return cpuMetric(NodePoolFit.family(option.machine.type)).map { ($0, option.machine.vCPUCount) }
    }

    /// The name of the quota of spot machines; vCPUs of all families have one together.
    static func preemptible(_ metric: String) -> String {
        metric.hasSuffix("CPUS") ? "PREEMPTIBLE_CPUS" : "PREEMPTIBLE_\(metric)"
    }

    private static func gpuMetric(_ type: String) -> String? {
        switch type {
        case "nvidia-tesla-k80": "NVIDIA_K80_GPUS"
        case "nvidia-tesla-p4": "NVIDIA_P4_GPUS"
        case "nvidia-tesla-p100": "NVIDIA_P100_GPUS"
        case "nvidia-tesla-v100": "NVIDIA_V100_GPUS"
        case "nvidia-tesla-t4": "NVIDIA_T4_GPUS"
        case "nvidia-l4": "NVIDIA_L4_GPUS"
        case "nvidia-tesla-a100": "NVIDIA_A100_GPUS"
        case "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS"
        // Of these only the quota of spot machines is there.
        case "nvidia-h100-80gb": "NVIDIA_H100_GPUS"
        default: nil
        }
    }

    private static func tpuMetric(_ type: String) -> String? {
        switch type {
        case "tpu-v4-podslice": "TPU_PODSLICE_V4"
        case "tpu-v5-lite-podslice": "TPU_LITE_PODSLICE_V5"
        default: nil
        }
    }

    /// E2 and N1 share one; newer families than these have theirs elsewhere.
    private static func cpuMetric(_ family: String) -> String? {
        switch family {
        case "e2", "n1": "CPUS"
        case "c2", "c2d", "c3", "m1", "m2", "m3", "n2", "n2d", "t2a", "t2d": "\(family.uppercased())_CPUS"
        default: nil
        }
    }
}
