import Encoding
import TrainingContract

/// Turns what the loop does into progress reports: speeds, and how long it will take.
struct ProgressMeter {
    let stepsPerEpoch: Int
    /// The latest complete checkpoint, of this attempt or the one that it started from.
    var lastCheckpoint: ProgressReport.Checkpoint?
    /// The state in `lastCheckpoint`, when this attempt wrote it.
    var lastCheckpointState: TrainingState?
    /// Set when all of them are written.
    var outputs: [ProgressReport.Output]?
    private let context: TrainingContext
    private let configuration: TrainingConfiguration
    private let trainImages: Int
    private var fromStep = 0
    private var images = 0
    private var trainSeconds = 0.0
    private var evaluationSeconds = 0.0
    private var lastReport: Double
    private var lastCheckpointTime: Double

    /// At most this many epochs are in a report.
    private static let historyLimit = 64

    init(context: TrainingContext, configuration: TrainingConfiguration, stepsPerEpoch: Int, trainImages: Int) {
        self.context = context
        self.configuration = configuration
        self.stepsPerEpoch = stepsPerEpoch
        self.trainImages = trainImages
        lastReport = context.seconds()
        lastCheckpointTime = lastReport
    }

    mutating func begin(at state: TrainingState) { fromStep = state.step }

    mutating func add(images count: Int, seconds: Double) {
        images += count
        trainSeconds += seconds
    }

    /// An evaluation took this long.
    mutating func evaluated(seconds: Double) { evaluationSeconds = seconds }

    mutating func checkpointed() { lastCheckpointTime = context.seconds() }

    func isReportDue(interval: Double) -> Bool { context.seconds() - lastReport >= interval }

    func isCheckpointDue(interval: Double) -> Bool { context.seconds() - lastCheckpointTime >= interval }

    func checkpoint(step: Int, uri: String) -> ProgressReport.Checkpoint {
        ProgressReport.Checkpoint(step: step, uri: uri, time: context.now().description)
    }

    /// The report of this moment; the next one is due an interval later.
    mutating func report(_ state: TrainingState) -> ProgressReport {
        lastReport = context.seconds()
        let rate = trainSeconds > 0 ? Double(images) / trainSeconds : 0
        var report = ProgressReport(
            runID: context.runID, attempt: context.attempt, updatedAt: context.now().description, epoch: state.epoch,
            totalEpochs: configuration.epochs, step: state.step, totalSteps: configuration.epochs * stepsPerEpoch,
            fromStep: fromStep, imagesPerSecond: rate, trainLoss: trainLoss(state),
            estimatedRemainingSeconds: remainingSeconds(state, rate: rate),
            history: state.history.suffix(Self.historyLimit).map(\.reported), checkpoint: lastCheckpoint,
            outputs: outputs)
        report.memoryPeakBytes = context.memoryPeak()
        return report
    }

    /// Of the epoch under way; between epochs of the last one.
    private func trainLoss(_ state: TrainingState) -> Double {
        state.lossCount > 0 ? state.meanLoss : state.history.last?.trainLoss ?? 0
    }

    private func remainingSeconds(_ state: TrainingState, rate: Double) -> Double {
        let epochs = max(0, configuration.epochs - state.epoch)
        let left = max(0, epochs * trainImages - state.lossCount)
        return (rate > 0 ? Double(left) / rate : 0) + Double(epochs) * evaluationSeconds
    }
}

extension EpochMetrics {
    /// The names of `metrics.json`.
    fileprivate var reported: ProgressReport.Epoch {
        ProgressReport.Epoch(
            epoch: epoch, step: step,
            metrics: [
                "train_loss": trainLoss, "test_loss": testLoss, "test_accuracy": testAccuracy,
                "images_per_second": imagesPerSecond,
            ])
    }
}
