/// How many pods a run has and what each of them asks for: what its accelerator and its trainer amount to.
struct RunShape: Sendable, Hashable {
    /// Indexed Jobs of an attempt: one for each TPU slice, one for everything else.
    var sliceCount = 1
    /// Pods of each slice, one a node.
    var nodesPerSlice: Int
    /// Processes that the framework starts in a pod, at least 1.
    var processesPerNode = 1
    /// The extended resource of a pod's accelerators, e.g. `nvidia.com/gpu`; nil for a run on CPUs.
    var resourceName: String?
    /// What a pod asks for of it: all that its node has; of shared GPUs one share. 0 for a run on CPUs.
    var acceleratorsPerNode: Int
    /// Where the accelerator is a TPU: the slice, `sliceCount` times.
    var slice: TPUSlice?

    /// Nodes of the run.
    var nodeCount: Int { sliceCount * nodesPerSlice }
    /// Processes of the run: the world size of frameworks that start several in a pod.
    var processCount: Int { nodeCount * processesPerNode }

    /// Of a spec that the schema accepts and `TrainingJobNodePool.options` may refuse: what cannot be known is 1.
    init(_ spec: RunSpec) {
        nodesPerSlice = spec.trainer?.numNodes ?? 1
        acceleratorsPerNode = 0
        if let gpu = spec.accelerator?.gpu {
            resourceName = "nvidia.com/gpu"
            acceleratorsPerNode = gpu.resourceCount
        } else if let tpu = spec.accelerator?.tpu {
            slice = try? TPUSlice.choose(
                type: tpu.type, topology: tpu.topology, machineType: tpu.machineType
            ).get()
            sliceCount = max(1, tpu.slices)
            nodesPerSlice = slice?.hostCount ?? 1
            resourceName = "google.com/tpu"
            acceleratorsPerNode = slice?.machine.chipCount ?? 1
        }
        processesPerNode = spec.processesPerNode(acceleratorsPerNode: acceleratorsPerNode)
    }
}

extension TrainingJob.AcceleratorSpec.GPU {
    /// What a pod asks for as `nvidia.com/gpu`: every GPU of its node, or every partition of them; a container may ask
    /// for no more than one share of shared ones.
    var resourceCount: Int {
        if sharing != nil { return 1 }
        guard let partitionSize else { return count }
        return count * (Accelerator.named(type)?.partitionCounts[partitionSize] ?? 1)
    }
}
