public import Encoding

extension TrainingJob.Trainer {
    /// Which spelling of rank, world size and coordinator the environment gets besides `ML_…`.
    public struct Rendezvous: Codable, Sendable, Hashable {
        public enum Kind: String, Codable, Sendable, Hashable, CaseIterable {
            case plain = "Plain"
            case torch = "Torch"
            case jax = "JAX"
            case mpi = "MPI"
        }

        public var type: Kind
    }

    /// A memory-backed `/dev/shm`.
    public struct SharedMemory: Codable, Sendable, Hashable {
        /// A quantity: "8Gi", or bytes as an integer.
        public var sizeLimit: JSONValue
    }
}

extension RunSpec {
    /// What the environment is spelled for.
    var rendezvous: TrainingJob.Trainer.Rendezvous.Kind { trainer?.rendezvous?.type ?? .plain }

    /// Whether the container is the installation's trainer with its own entry point.
    var isBuiltInTrainer: Bool { trainer?.image == nil && trainer?.command == nil }

    /// Processes of a pod: as told, else with Torch one for each accelerator, else one.
    func processesPerNode(acceleratorsPerNode: Int) -> Int {
        trainer?.numProcPerNode ?? (rendezvous == .torch ? max(1, acceleratorsPerNode) : 1)
    }
}

/// What the schema of `trainer` and `inputs` accepts and no pod can be made of.
enum TrainingJobPodRules {
    /// Paths of the container that are ours.
    private static let ownPaths = [TrainingJobVolumes.folder, TrainingJobVolumes.sharedMemoryPath]

    /// Processes that the built-in trainer trains in: its rank 0 talks to each of the others.
    private static let builtInProcessLimit = 256

    /// A sentence for the user; nil when pods can be made.
    static func problem(_ spec: RunSpec) -> String? {
        processProblem(spec) ?? builtInProblem(spec) ?? inputProblem(spec.inputs ?? [])
    }

    private static func builtInProblem(_ spec: RunSpec) -> String? {
        guard spec.isBuiltInTrainer else { return nil }
        if spec.shape.sliceCount > 1 {
            return "accelerator.tpu.slices: the built-in trainer knows no slices; name an image that does"
        }
        guard spec.shape.processCount > builtInProcessLimit else { return nil }
        return "trainer.numNodes: the built-in trainer trains in at most \(builtInProcessLimit) processes, not "
            + "\(spec.shape.processCount); name an image that does more"
    }

    private static func processProblem(_ spec: RunSpec) -> String? {
        if spec.shape.sliceCount > 1, spec.rendezvous == .torch {
            return "trainer.rendezvous.type: Torch knows no slices; use JAX or Plain, or accelerator.tpu.slices 1"
        }
        return nil
    }

    private static func inputProblem(_ inputs: [TrainingJob.Input]) -> String? {
        var paths: Set<String> = []
        for input in inputs where input.mode != .stream {
            guard let path = input.mountPath.map(normalized) else {
                return "inputs[\(input.name)].mountPath is needed unless mode is Stream"
            }
            if let own = ownPaths.first(where: { isWithin(path, $0) || isWithin($0, path) }) {
                return "inputs[\(input.name)].mountPath \(path): \(own) is taken"
            }
            if let other = paths.first(where: { isWithin(path, $0) || isWithin($0, path) }) {
                return "inputs[\(input.name)].mountPath \(path) and \(other) overlap"
            }
            paths.insert(path)
        }
        return nil
    }

    /// Without a slash at its end.
    private static func normalized(_ path: String) -> String {
        path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }

    private static func isWithin(_ path: String, _ folder: String) -> Bool {
        path == folder || folder == "/" || path.hasPrefix(folder + "/")
    }
}
