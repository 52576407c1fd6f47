extension TrainingJob {
    /// What an image carries, as far as its author says it: machines that it cannot run on are not bought.
    public struct Kernels: Codable, Sendable, Hashable {
        public struct CUDA: Codable, Sendable, Hashable {
            public var computeCapabilities: [String]?
            public var minDriverVersion: String?
        }

        public struct CPU: Codable, Sendable, Hashable {
            public enum Architecture: String, Codable, Sendable, Hashable {
                case amd64
                case arm64
            }

            public var architectures: [Architecture]?
        }

        public var cuda: CUDA?
        public var cpu: CPU?
        public var allowCPUFallback: Bool
    }
}

/// Whether an image can use a machine.
enum KernelFit {
    /// Why not: a sentence; nil when it can, and when the image says nothing.
    static func problem(_ machine: Accelerator.Machine, _ spec: RunSpec) -> String? {
        guard let kernels = spec.trainer?.kernels else { return nil }
        return architectureProblem(machine, kernels.cpu) ?? cudaProblem(kernels, spec.accelerator?.gpu)
    }

    private static func architectureProblem(_ machine: Accelerator.Machine, _ cpu: TrainingJob.Kernels.CPU?) -> String?
    {
        guard let architectures = cpu?.architectures else { return nil }
        let wanted: TrainingJob.Kernels.CPU.Architecture = machine.isArm ? .arm64 : .amd64
        if architectures.contains(wanted) { return nil }
        let has = architectures.map(\.rawValue).joined(separator: ", ")
        return "machine type \(machine.type) is \(wanted.rawValue), the image is for \(has)"
    }

    private static func cudaProblem(
        _ kernels: TrainingJob.Kernels, _ gpu: TrainingJob.AcceleratorSpec.GPU?
    ) -> String? {
        guard !kernels.allowCPUFallback, let cuda = kernels.cuda, let gpu else { return nil }
        if let listed = cuda.computeCapabilities, let device = Accelerator.named(gpu.type)?.computeCapability,
            !listed.contains(where: { runs($0, on: device) })
        {
            return "\(gpu.type) has compute capability \(device), the image has kernels for "
                + listed.joined(separator: ", ")
        }
        if let least = cuda.minDriverVersion, let driver = version(gpu.driverVersion), let wanted = version(least),
            driver.lexicographicallyPrecedes(wanted)
        {
            return "driverVersion \(gpu.driverVersion) is older than \(least), which the image needs"
        }
        return nil
    }

    /// Machine code for 8.0 runs on 8.0 and 8.9, not on 9.0.
    static func runs(_ capability: String, on device: String) -> Bool {
        guard let code = version(capability), let device = version(device), code.count == 2, device.count == 2 else {
            return false
        }
        return code[0] == device[0] && code[1] <= device[1]
    }

    /// nil for `Default`, `Latest` and `Disabled`: which version that is, is not known.
    private static func version(_ text: String) -> [Int]? {
        let parts = text.split(separator: ".").map { Int($0) }
        return parts.contains(nil) ? nil : parts.compactMap { $0 }
    }
}

extension Accelerator {
    /// NVIDIA's version of the instruction set.
    var computeCapability: String? {
        switch type {
        case "nvidia-tesla-p100": "6.0"
        case "nvidia-tesla-p4": "6.1"
        case "nvidia-tesla-v100": "7.0"
        case "nvidia-tesla-t4": "7.5"
        case "nvidia-tesla-a100", "nvidia-a100-80gb": "8.0"
        case "nvidia-l4": "8.9"
        case "nvidia-h100-80gb", "nvidia-h100-mega-80gb", "nvidia-h200-141gb": "9.0"
        case "nvidia-b200", "nvidia-gb200": "10.0"
        case "nvidia-gb300": "10.3"
        case "nvidia-rtx-pro-6000": "12.0"
        default: nil
        }
    }
}
