/// The names that operator and trainer agree on. Everything here is text on the wire: changing a name breaks a running
/// job, so names are only added.
public enum TrainingEnvironment {
    /// `<job>-<uid5>-r<N>`.
    public static let runID = "ML_RUN_ID"
    public static let jobName = "ML_JOB_NAME"
    public static let namespace = "ML_NAMESPACE"
    /// 1 for the first start of a run's pods, then counting up with each restart.
    public static let attempt = "ML_ATTEMPT"
    /// 0 ..< world size; but the node's number in a container that starts its processes itself (`localWorldSize`).
    public static let rank = "ML_RANK"
    /// All processes of the run.
    public static let worldSize = "ML_WORLD_SIZE"
    /// `host:port` of rank 0, who listens there; the others start in any order and connect.
    public static let coordinator = "ML_COORDINATOR"
    /// Processes on this node; absent: 1. Without `localRank` the container is one of them all: it starts them.
    public static let localWorldSize = "ML_LOCAL_WORLD_SIZE"
    /// 0 ..< processes on this node: this process is one of them.
    public static let localRank = "ML_LOCAL_RANK"
    /// 0 ..< nodes, for a container that starts its processes itself; absent: `rank` says it.
    public static let nodeRank = "ML_NODE_RANK"
    /// With several TPU slices, instead of `rank`: which slice, of how many, and the pod's number within it.
    public static let sliceID = "ML_SLICE_ID"
    public static let sliceCount = "ML_SLICE_COUNT"
    public static let sliceRank = "ML_SLICE_RANK"
    /// A file with one line `<host> slots=<processes>` per pod; with `rendezvous.type: MPI` only.
    public static let hostfile = "ML_HOSTFILE"
    /// How long the processes wait for each other at the start; absent: 600.
    public static let rendezvousTimeoutSeconds = "ML_RENDEZVOUS_TIMEOUT_SECONDS"
    /// How long a process may be silent in the middle of a step before the others end; absent: 120.
    public static let peerTimeoutSeconds = "ML_PEER_TIMEOUT_SECONDS"
    /// `gs://bucket/prefix/` that receives the outputs; ends in "/".
    public static let outputURI = "ML_OUTPUT_URI"
    /// `gs://bucket/prefix/` for this run's checkpoints; ends in "/". Absent: no checkpoints are written.
    public static let checkpointURI = "ML_CHECKPOINT_URI"
    /// `gs://bucket/prefix/` of the checkpoints that the first attempt starts from, when it is not this run's own.
    public static let resumeURI = "ML_RESUME_URI"
    /// How many complete checkpoints are kept.
    public static let checkpointKeepLast = "ML_CHECKPOINT_KEEP_LAST"
    /// Seconds between checkpoints in the middle of an epoch; absent: only at each epoch's end and on a stop.
    public static let checkpointIntervalSeconds = "ML_CHECKPOINT_INTERVAL_SECONDS"
    /// Seconds from SIGTERM to SIGKILL, so that the trainer can say beforehand when a checkpoint does not fit into them.
    public static let gracePeriodSeconds = "ML_GRACE_PERIOD_SECONDS"
    /// `gs://bucket/object` where rank 0 writes `ProgressReport`.
    public static let progressURI = "ML_PROGRESS_URI"
    /// The GCS server of the simulated cloud, `http://127.0.0.1:PORT`; loopback only.
    public static let storageEmulatorHost = "STORAGE_EMULATOR_HOST"
    /// Prefix of one variable per hyperparameter: `trainImages` becomes `HP_TRAINIMAGES`.
    public static let hyperparameterPrefix = "HP_"
    /// A file with the hyperparameters under their own names: a JSON object of strings. Variables win over it.
    public static let hyperparametersFile = "ML_HYPERPARAMETERS_FILE"
    /// For tests only: a fault that our trainer plays, e.g. `hang-at-step=40`. Not `ML_…`, so that a test's spec can set
    /// it in `spec.trainer.env`.
    public static let fault = "TRAINYARD_FAULT"

    /// `gs://bucket/prefix/` of an input: `fashion-mnist` becomes `ML_INPUT_FASHION_MNIST_URI`.
    public static func inputURI(_ name: String) -> String { "ML_INPUT_\(variable(name))_URI" }

    /// The folder of an input in mode Mount or Download: `fashion-mnist` becomes `ML_INPUT_FASHION_MNIST_PATH`.
    public static func inputPath(_ name: String) -> String { "ML_INPUT_\(variable(name))_PATH" }

    /// The variable of a hyperparameter.
    public static func hyperparameter(_ name: String) -> String { hyperparameterPrefix + variable(name) }

    private static func variable(_ name: String) -> String {
        String(name.uppercased().map { $0 == "-" || $0 == "." ? "_" : $0 })
    }
}

/// How the trainer ends. 1 is left to the language runtime, 128+n to signals.
public enum TrainerExitCode: Int32, Sendable, CaseIterable {
    case success = 0
    /// Wrong flags, hyperparameters or environment (EX_USAGE).
    case usage = 64
    /// Input data is corrupt or of the wrong shape (EX_DATAERR).
    case badData = 65
    /// An input or checkpoint is not there (EX_NOINPUT).
    case missingInput = 66
    /// The bucket or the network failed after retries (EX_UNAVAILABLE).
    case storageUnavailable = 69
    /// A fault of ours (EX_SOFTWARE).
    case software = 70
    /// The machine cannot run it: no AVX2, too little memory, no usable GPU (EX_OSERR).
    case unsupportedMachine = 71
    /// The local disk is full or not writable (EX_IOERR).
    case localStorage = 74
    /// Stopped by SIGTERM or SIGINT after a checkpoint; resuming loses nothing (EX_TEMPFAIL).
    case stoppedAfterCheckpoint = 75
    /// Loss or gradients became NaN or infinite (EX_PROTOCOL is taken for it).
    case diverged = 76
    /// Another process of the run died, hangs, or could not be reached: its own end says why. (EX_NOPERM is taken.)
    case peerLost = 77
}

/// Paths below a run's prefixes.
public enum BucketLayout {
    public static let metrics = "metrics.json"
    public static let model = "model.safetensors"
    public static let progress = "progress.json"

    /// `checkpoints/<runID>/` below the artifact's prefix.
    public static func checkpointPrefix(runID: String) -> String { "checkpoints/\(runID)/" }

    /// `step-00001234/` below the checkpoint prefix; sorts by step.
    public static func checkpoint(step: Int) -> String {
        let digits = String(step)
        return "step-\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits)/"
    }

    /// Written last: a checkpoint without it is not complete.
    public static let checkpointManifest = "manifest.json"
}
