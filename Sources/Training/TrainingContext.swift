public import Encoding
public import TrainingContract

/// The run's place in the world: identity, places, storage, and what the loop tells to the outside.
public struct TrainingContext: Sendable {
    public var runID: String
    /// From 1.
    public var attempt: Int
    /// Receives model and metrics; ends in "/".
    public var outputURI: String
    /// Ends in "/"; nil: no checkpoints.
    public var checkpointURI: String?
    /// Where the first attempt starts from when `checkpointURI` has no checkpoint; ends in "/".
    public var resumeURI: String?
    /// Complete checkpoints that stay; at least 1.
    public var keepLastCheckpoints: Int
    /// Nil: only at the start, at each epoch's end and on a stop.
    public var checkpointIntervalSeconds: Double?
    /// From the request to stop to the end by force; nil: not known.
    public var gracePeriodSeconds: Double?
    /// Among the processes that train together; only rank 0 writes and reports.
    public var world = WorldPlace.alone
    /// Faults to play; for tests.
    public var fault: TrainingFault?
    /// What this process may still take; nil: not known.
    public var availableMemoryBytes: Int?
    public var storage: TrainingStorage
    /// Asked before every step: whether to write a checkpoint and stop.
    public var shouldStop: @Sendable () -> Bool
    /// Wall-clock time, for reports.
    public var now: @Sendable () -> Timestamp
    /// Seconds that only go forward, for speeds.
    public var seconds: @Sendable () -> Double
    /// Called at most every two seconds, at each epoch's end, after each checkpoint and at the end; returns at once.
    public var report: @Sendable (ProgressReport) -> Void
    /// Something that people should know.
    public var notice: @Sendable (TrainingNotice) -> Void
    /// The most memory that the container has had so far, in bytes; nil: not known.
    public var memoryPeak: @Sendable () -> Int? = { nil }

    public init(
        runID: String, attempt: Int = 1, outputURI: String, checkpointURI: String? = nil, resumeURI: String? = nil,
        keepLastCheckpoints: Int = 2, checkpointIntervalSeconds: Double? = nil, storage: TrainingStorage,
        shouldStop: @escaping @Sendable () -> Bool, now: @escaping @Sendable () -> Timestamp,
        seconds: @escaping @Sendable () -> Double, report: @escaping @Sendable (ProgressReport) -> Void,
        notice: @escaping @Sendable (TrainingNotice) -> Void
    ) {
        self.runID = runID
        self.attempt = attempt
        self.outputURI = outputURI
        self.checkpointURI = checkpointURI
        self.resumeURI = resumeURI
        self.keepLastCheckpoints = keepLastCheckpoints
        self.checkpointIntervalSeconds = checkpointIntervalSeconds
        self.storage = storage
        self.shouldStop = shouldStop
        self.now = now
        self.seconds = seconds
        self.report = report
        self.notice = notice
    }
}

/// What the loop has to say besides progress.
public enum TrainingNotice: Sendable, Hashable {
    /// The run goes on from this checkpoint.
    case resumed(step: Int, uri: String)
    /// A checkpoint that is not used, and why.
    case checkpointSkipped(message: String)
    case checkpointWritten(step: Int, uri: String)
    /// The sums over all processes took so long in this epoch, for each step.
    case epochFinished(EpochMetrics, totalEpochs: Int, sumMilliseconds: Double?)
    /// A connection that was not let in, and why.
    case refused(message: String)
    /// All processes are there.
    case gathered(size: Int)
    /// A checkpoint may take longer than the grace period.
    case graceTooShort(neededSeconds: Int, graceSeconds: Int)
    /// Another process is gone; what is left was stored.
    case peerLost(message: String)
}

/// How a run ended.
public enum TrainingOutcome: Sendable, Hashable {
    /// Everything is stored.
    case finished(EpochMetrics)
    /// On request; `checkpointURI`, rank 0's in all processes, is nil when the run has no place for checkpoints.
    case stopped(step: Int, epoch: Int, checkpointURI: String?)
}
