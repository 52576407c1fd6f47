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
    /// Accelerators of a node, all of which its one pod gets; 0 for a run on CPUs.
    var acceleratorsPerNode: Int

    /// Nodes of the run.
    var nodeCount: Int { sliceCount * nodesPerSlice }
    /// Processes of the run: the world size.
    var processCount: Int { nodeCount * processesPerNode }

    init(_ spec: RunSpec) {
        nodesPerSlice = spec.trainer?.numNodes ?? 1
        resourceName = "nvidia.com/gpu"
        acceleratorsPerNode = spec.accelerator.gpu.count
    }
}
