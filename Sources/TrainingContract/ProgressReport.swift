/// What rank 0 writes to `ML_PROGRESS_URI`, at most every two seconds and at every epoch's end: how the operator learns
/// of progress. One JSON object; unknown members are ignored.
public struct ProgressReport: Codable, Sendable, Hashable {
    /// Values at the end of an epoch. Accuracies are percentages.
    public struct Epoch: Codable, Sendable, Hashable {
        public var epoch: Int
        public var step: Int
        public var metrics: [String: Double]

        public init(epoch: Int, step: Int, metrics: [String: Double]) {
            self.epoch = epoch
            self.step = step
            self.metrics = metrics
        }
    }

    /// The latest complete checkpoint.
    public struct Checkpoint: Codable, Sendable, Hashable {
        public var step: Int
        /// `gs://bucket/prefix/step-…/`.
        public var uri: String
        /// RFC 3339.
        public var time: String

        public init(step: Int, uri: String, time: String) {
            self.step = step
            self.uri = uri
            self.time = time
        }
    }

    /// An output as it was written: what the operator compares the bucket with.
    public struct Output: Codable, Sendable, Hashable {
        /// Below `ML_OUTPUT_URI`.
        public var path: String
        public var sizeBytes: Int
        /// As Cloud Storage writes it: base64 of the big-endian value.
        public var crc32c: String

        public init(path: String, sizeBytes: Int, crc32c: String) {
            self.path = path
            self.sizeBytes = sizeBytes
            self.crc32c = crc32c
        }
    }

    public var schemaVersion: Int
    public var runID: String
    public var attempt: Int
    /// RFC 3339; the trainer's clock.
    public var updatedAt: String
    /// Epochs finished, and all of them.
    public var epoch: Int
    public var totalEpochs: Int
    /// Optimizer steps done since the run began (over all attempts), and all of them.
    public var step: Int
    public var totalSteps: Int
    /// The step that this attempt started from.
    public var fromStep: Int
    public var imagesPerSecond: Double
    /// Mean training loss since the epoch began.
    public var trainLoss: Double
    public var estimatedRemainingSeconds: Double
    /// At most the last 64 epochs.
    public var history: [Epoch]
    public var checkpoint: Checkpoint?
    /// Absent until all of them are written.
    public var outputs: [Output]?
    /// The most memory that the container of rank 0 has had, as its cgroup counts it; absent where that does not tell.
    public var memoryPeakBytes: Int?

    public init(
        schemaVersion: Int = 1, runID: String, attempt: Int, updatedAt: String, epoch: Int, totalEpochs: Int,
        step: Int, totalSteps: Int, fromStep: Int, imagesPerSecond: Double, trainLoss: Double,
        estimatedRemainingSeconds: Double, history: [Epoch] = [], checkpoint: Checkpoint? = nil,
        outputs: [Output]? = nil
    ) {
        self.schemaVersion = schemaVersion
        self.runID = runID
        self.attempt = attempt
        self.updatedAt = updatedAt
        self.epoch = epoch
        self.totalEpochs = totalEpochs
        self.step = step
        self.totalSteps = totalSteps
        self.fromStep = fromStep
        self.imagesPerSecond = imagesPerSecond
        self.trainLoss = trainLoss
        self.estimatedRemainingSeconds = estimatedRemainingSeconds
        self.history = history
        self.checkpoint = checkpoint
        self.outputs = outputs
    }
}
