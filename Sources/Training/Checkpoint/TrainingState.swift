/// Where a run is, apart from weights and moments: everything that the next step depends on, and the history.
struct TrainingState: Codable, Sendable, Hashable {
    /// Optimizer steps done since the run began.
    var step = 0
    /// Epochs finished, evaluation included.
    var epoch = 0
    /// Steps done in the epoch under way.
    var stepInEpoch = 0
    /// Training losses of the epoch under way, summed over its images in their order.
    var lossSum = 0.0
    /// Images behind `lossSum`.
    var lossCount = 0
    /// Seconds of training in the epoch under way, over all attempts.
    var epochSeconds = 0.0
    var history: [EpochMetrics] = []

    /// The mean loss of the epoch under way; 0 at its start.
    var meanLoss: Double { lossCount == 0 ? 0 : lossSum / Double(lossCount) }
}

/// An epoch's results.
public struct EpochMetrics: Codable, Sendable, Hashable {
    /// From 1.
    public var epoch: Int
    /// Optimizer steps since the run began.
    public var step: Int
    /// Mean over the images, while training.
    public var trainLoss: Double
    public var testLoss: Double
    /// Percent.
    public var testAccuracy: Double
    /// Training images per second of training.
    public var imagesPerSecond: Double
}
