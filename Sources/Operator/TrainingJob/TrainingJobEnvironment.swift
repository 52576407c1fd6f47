import Encoding
import Kubernetes
import TrainingContract

/// The variables of the trainer's container: ours, then the framework's spelling of the same, then the user's, so that
/// those may name ours as `$(ML_RANK)`.
enum TrainingJobEnvironment {
    /// What a variable holds.
    private enum Value {
        case text(String)
        /// The pod's index within its slice.
        case podIndex

        var entry: [String: JSONValue] {
            switch self {
            case .text(let text): ["value": .string(text)]
            case .podIndex:
                [
                    "valueFrom": [
                        "fieldRef": ["fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"]
                    ]
                ]
            }
        }
    }

    /// The list for the container; every name is there once.
    static func variables(_ slice: TrainingJobSlice) -> [JSONValue] {
        let ours = contract(slice).merging(accelerator(slice)) { ours, _ in ours }
        let users = (slice.spec.trainer?.env ?? []).filter { variable in
            !variable.name.hasPrefix("ML_") && !variable.name.hasPrefix(TrainingEnvironment.hyperparameterPrefix)
                && ours[variable.name] == nil
        }
        let userNames = Set(users.map(\.name))
        let framework = spelling(slice).filter { !userNames.contains($0.key) && ours[$0.key] == nil }
        return entries(ours) + entries(framework)
            + users.map(TrainingJobPodSources.variable)
    }

    private static func entries(_ variables: [String: Value]) -> [JSONValue] {
        variables.sorted { $0.key < $1.key }.map { name, value in
            .object(value.entry.merging(["name": .string(name)]) { entry, _ in entry })
        }
    }

    // MARK: Ours

    private static func contract(_ slice: TrainingJobSlice) -> [String: Value] {
        typealias Name = TrainingEnvironment
        let (run, spec, shape) = (slice.run, slice.spec, slice.shape)
        var texts = [
            Name.runID: run.id, Name.jobName: slice.observation.job.metadata.name, Name.namespace: slice.namespace,
            Name.attempt: String(slice.attempt.number), Name.worldSize: String(shape.processCount),
            Name.localWorldSize: String(shape.processesPerNode),
            Name.gracePeriodSeconds: String(spec.gracePeriodSeconds),
            Name.coordinator: "\(slice.coordinatorHost):\(TrainingJobPods.coordinatorPort)",
        ]
        texts[Name.outputURI] = run.prefix
        texts[Name.progressURI] = run.prefix.map { $0 + BucketLayout.progress }
        if let checkpoints = run.checkpointPrefix, let checkpoint = spec.checkpoint {
            texts[Name.checkpointURI] = checkpoints
            texts[Name.checkpointKeepLast] = String(checkpoint.keepLast)
        }
        for input in run.inputs { texts[Name.inputURI(input.name)] = input.uri }
        for input in spec.inputs ?? [] where input.mode != .stream {
            texts[Name.inputPath(input.name)] = input.mountPath
        }
        if let values = spec.trainer?.hyperparameters, !values.isEmpty {
            for (name, value) in values { texts[Name.hyperparameter(name)] = value }
            texts[Name.hyperparametersFile] = TrainingJobVolumes.hyperparametersPath
        }
        if spec.rendezvous == .mpi { texts[Name.hostfile] = TrainingJobVolumes.hostfilePath }
        var variables = texts.mapValues(Value.text)
        if shape.sliceCount > 1 {
            // A pod's index counts within its slice: Kubernetes cannot add the slices before it.
            variables[Name.sliceID] = .text(String(slice.index))
            variables[Name.sliceCount] = .text(String(shape.sliceCount))
            variables[Name.sliceRank] = .podIndex
        } else {
            variables[Name.rank] = .podIndex
            variables[Name.nodeRank] = .podIndex
        }
        return variables
    }

    // MARK: The framework's

    private static func spelling(_ slice: TrainingJobSlice) -> [String: Value] {
        switch slice.spec.rendezvous {
        case .plain: [:]
        case .torch: torch(slice)
        case .jax: jax(slice)
        case .mpi: mpi
        }
    }

    /// `torch.distributed` reads the first group where one process runs in a pod; torchrun reads `PET_…` and sets RANK,
    /// LOCAL_RANK and WORLD_SIZE for each process that it starts.
    private static func torch(_ slice: TrainingJobSlice) -> [String: Value] {
        let shape = slice.shape
        let port = String(TrainingJobPods.coordinatorPort)
        let processes = String(shape.processesPerNode)
        var variables: [String: Value] = [
            "MASTER_ADDR": .text(slice.coordinatorHost), "MASTER_PORT": .text(port),
            "WORLD_SIZE": .text(String(shape.processCount)), "NODE_RANK": .podIndex,
            "LOCAL_WORLD_SIZE": .text(processes), "PET_MASTER_ADDR": .text(slice.coordinatorHost),
            "PET_MASTER_PORT": .text(port), "PET_NNODES": .text(String(shape.nodeCount)),
            "PET_NPROC_PER_NODE": .text(processes), "PET_NODE_RANK": .podIndex,
        ]
        if shape.processesPerNode == 1 {
            variables["RANK"] = .podIndex
            variables["LOCAL_RANK"] = .text("0")
        }
        if slice.attempt.restartsPods { variables.merge(elastic(slice)) { _, elastic in elastic } }
        return variables
    }

    /// torchrun's agents meet again when one of them is new; with its default, `static`, they would not.
    private static func elastic(_ slice: TrainingJobSlice) -> [String: Value] {
        let policy = slice.observation.spec.failurePolicy ?? .standard
        return [
            "PET_RDZV_BACKEND": .text("c10d"), "PET_RDZV_ID": .text(slice.run.id),
            "PET_RDZV_ENDPOINT": .text("\(slice.coordinatorHost):\(TrainingJobPods.coordinatorPort)"),
            "PET_MAX_RESTARTS": .text(String(policy.maxRestarts)),
        ]
    }

    /// With several slices `jax.distributed` finds all of it in the TPU's variables.
    private static func jax(_ slice: TrainingJobSlice) -> [String: Value] {
        guard slice.shape.sliceCount == 1 else { return [:] }
        var variables: [String: Value] = [
            "JAX_COORDINATOR_ADDRESS": .text("\(slice.coordinatorHost):\(TrainingJobPods.coordinatorPort)"),
            "JAX_NUM_PROCESSES": .text(String(slice.shape.processCount)),
        ]
        if slice.shape.processesPerNode == 1 { variables["JAX_PROCESS_ID"] = .podIndex }
        return variables
    }

    /// Open MPI 4 and 5, and MPIs with the Hydra launcher (Intel MPI, MPICH).
    private static let mpi: [String: Value] = [
        "OMPI_MCA_orte_default_hostfile": .text(TrainingJobVolumes.hostfilePath),
        "OMPI_MCA_orte_keep_fqdn_hostnames": .text("true"),
        "PRTE_MCA_prte_default_hostfile": .text(TrainingJobVolumes.hostfilePath),
        "HYDRA_HOST_FILE": .text(TrainingJobVolumes.hostfilePath),
        "I_MPI_HYDRA_HOST_FILE": .text(TrainingJobVolumes.hostfilePath),
    ]

    // MARK: The accelerator's

    /// Where libtpu listens for the coordinator's slices.
    private static let megascalePort = 8080

    /// GKE's admission sets some of these for some kinds of pods, and never overwrites what is there.
    private static func accelerator(_ slice: TrainingJobSlice) -> [String: Value] {
        guard let tpu = slice.shape.slice else { return [:] }
        var variables: [String: Value] = [
            "TPU_WORKER_ID": .podIndex, "TPU_WORKER_HOSTNAMES": .text(slice.hosts.joined(separator: ",")),
            "TPU_TOPOLOGY": .text(tpu.topology),
        ]
        variables["TPU_ACCELERATOR_TYPE"] = acceleratorType(tpu).map(Value.text)
        if slice.shape.sliceCount > 1 {
            variables["MEGASCALE_COORDINATOR_ADDRESS"] = .text(slice.coordinatorHost)
            variables["MEGASCALE_PORT"] = .text(String(megascalePort))
            variables["MEGASCALE_NUM_SLICES"] = .text(String(slice.shape.sliceCount))
            variables["MEGASCALE_SLICE_ID"] = .text(String(slice.index))
        }
        return variables
    }

    /// Cloud TPU's name of a slice, which counts cores before v5e and v6e, of which a chip had two; nil where its pages
    /// do not tell.
    private static func acceleratorType(_ slice: TPUSlice) -> String? {
        switch slice.tpu.type {
        case "tpu-v4-podslice": "v4-\(slice.chipCount * 2)"
        case "tpu-v5-lite-podslice": "v5litepod-\(slice.chipCount)"
        case "tpu-v5p-slice": "v5p-\(slice.chipCount * 2)"
        case "tpu-v6e-slice": "v6e-\(slice.chipCount)"
        default: nil
        }
    }
}
