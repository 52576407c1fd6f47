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
        processProblem(spec) ?? builtInProblem(spec) ?? spec.trainer.flatMap(TrainingJobPodSources.problem)
            ?? pathProblem(spec)
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

    /// Every place in the container has one owner.
    private static func pathProblem(_ spec: RunSpec) -> String? {
        var paths: Set<String> = []
        func problem(_ path: String, _ field: String) -> String? {
            let path = normalized(path)
            if let own = ownPaths.first(where: { isWithin(path, $0) || isWithin($0, path) }) {
                return "\(field).mountPath \(path): \(own) is taken"
            }
            if let other = paths.first(where: { isWithin(path, $0) || isWithin($0, path) }) {
                return "\(field).mountPath \(path) and \(other) overlap"
            }
            paths.insert(path)
            return nil
        }
        for input in spec.inputs ?? [] where input.mode != .stream {
            guard let path = input.mountPath else {
                return "inputs[\(input.name)].mountPath is needed unless mode is Stream"
            }
            if let text = problem(path, "inputs[\(input.name)]") { return text }
        }
        for mount in spec.trainer?.volumeMounts ?? [] {
            if let text = problem(mount.mountPath, "trainer.volumeMounts[\(mount.name)]") { return text }
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
