/// The names that operator and trainer agree on. Everything here is text on the wire: changing a name breaks a running
/// job, so names are only added.
public enum TrainingEnvironment {
    /// `<job>-<uid5>-r<N>`.
    public static let runID = "ML_RUN_ID"
    public static let jobName = "ML_JOB_NAME"
    public static let namespace = "ML_NAMESPACE"
    /// 1 for the first start of a run's pods, then counting up with each restart.
    public static let attempt = "ML_ATTEMPT"
    /// 0 ..< world size.
    public static let rank = "ML_RANK"
    public static let worldSize = "ML_WORLD_SIZE"
    /// `host:port` of rank 0.
    public static let coordinator = "ML_COORDINATOR"
    /// `gs://bucket/prefix/` that receives the outputs; ends in "/".
    public static let outputURI = "ML_OUTPUT_URI"
    /// `gs://bucket/prefix/` for this run's checkpoints; ends in "/". Absent: no checkpoints are written.
    public static let checkpointURI = "ML_CHECKPOINT_URI"
    /// `gs://bucket/prefix/` of the checkpoints that the first attempt starts from, when it is not this run's own.
    public static let resumeURI = "ML_RESUME_URI"
    /// How many complete checkpoints are kept.
    public static let checkpointKeepLast = "ML_CHECKPOINT_KEEP_LAST"
    /// `gs://bucket/object` where rank 0 writes `ProgressReport`.
    public static let progressURI = "ML_PROGRESS_URI"
    /// The GCS server of the simulated cloud, `http://127.0.0.1:PORT`; loopback only.
    public static let storageEmulatorHost = "STORAGE_EMULATOR_HOST"
    /// Prefix of one variable per hyperparameter: `trainImages` becomes `HP_TRAINIMAGES`.
    public static let hyperparameterPrefix = "HP_"

    /// `gs://bucket/prefix/` of an input in mode Stream: `fashion-mnist` becomes `ML_INPUT_FASHION_MNIST_URI`.
    public static func inputURI(_ name: String) -> String { "ML_INPUT_\(variable(name))_URI" }

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
