import Encoding
import TrainingContract

/// What the trainer reports, as status.
enum TrainingJobProgress {
    /// Metrics that get a curve, at most four.
    private static let seriesNames = ["train_loss", "test_loss", "test_accuracy"]

    /// Puts the latest report into the status; a report of another run is not ours.
    static func update(_ status: inout TrainingJob.Status, _ observation: TrainingJobObservation) {
        if let report = observation.progress, report.runID == status.run?.id {
            status.trainerStatus = trainerStatus(report, earlier: status.trainerStatus)
            if let checkpoint = report.checkpoint {
                let latest = TrainingJob.CheckpointStatus.Latest(
                    step: Int64(checkpoint.step), uri: String(checkpoint.uri.prefix(1100)),
                    time: Timestamp(checkpoint.time))
                status.checkpoint = TrainingJob.CheckpointStatus(latest: latest)
            }
        }
        updateExposure(&status, observation)
    }

    /// What would be lost now: the time since the latest checkpoint, or since the attempt began, and what it cost.
    private static func updateExposure(_ status: inout TrainingJob.Status, _ observation: TrainingJobObservation) {
        var checkpoint = status.checkpoint ?? TrainingJob.CheckpointStatus()
        checkpoint.exposureSeconds = nil
        checkpoint.exposureCost = nil
        if let attempt = status.attempts.last, attempt.endTime == nil, let start = attempt.startTime {
            let since = max(start, min(checkpoint.latest?.time ?? start, observation.moment))
            let time = max(.zero, observation.moment - since)
            checkpoint.exposureSeconds = time.components.seconds
            let rate = TrainingJobCost.hourlyRate(status, observation)
            checkpoint.exposureCost = rate == .zero ? nil : rate.accrued(over: time).statusText
        }
        status.checkpoint = checkpoint == TrainingJob.CheckpointStatus() ? nil : checkpoint
    }

    /// - Parameter earlier: the run's status so far: its curves reach further back than a report.
    static func trainerStatus(
        _ report: ProgressReport, earlier: TrainingJob.TrainerStatus? = nil
    ) -> TrainingJob.TrainerStatus {
        var status = TrainingJob.TrainerStatus()
        status.step = Int64(max(0, report.step))
        status.totalSteps = Int64(max(0, report.totalSteps))
        status.epoch = max(0, report.epoch)
        status.totalEpochs = max(0, report.totalEpochs)
        let percentage = report.totalSteps > 0 ? min(100, max(0, report.step * 100 / report.totalSteps)) : 0
        status.progressPercentage = percentage
        status.progress = "\(percentage)%"
        let remaining = seconds(report.estimatedRemainingSeconds)
        status.estimatedRemainingSeconds = remaining
        status.eta = remaining.map(duration)
        status.rate = report.imagesPerSecond > 0 ? "\(number(report.imagesPerSecond, decimals: 0)) images/s" : nil
        status.metrics = (report.history.last?.metrics ?? [:]).sorted { $0.key < $1.key }.prefix(16).map {
            TrainingJob.NamedValue(name: String($0.key.prefix(64)), value: number($0.value, decimals: 4))
        }
        status.series = seriesNames.compactMap { name in
            TrainingJobSeries.merged(name, earlier: earlier?.series.first { $0.name == name }, report)
        }
        status.lastUpdatedTime = Timestamp(report.updatedAt)?.wholeSeconds
        return status
    }

    private static func seconds(_ value: Double) -> Int? {
        value.isFinite && value >= 0 && value < 2e9 ? Int(value.rounded(.up)) : nil
    }

    /// "2h13m", "4m05s", "38s".
    static func duration(_ seconds: Int) -> String {
        func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        if seconds >= 3600 { return "\(seconds / 3600)h\(padded(seconds / 60 % 60))m" }
        if seconds >= 60 { return "\(seconds / 60)m\(padded(seconds % 60))s" }
        return "\(seconds)s"
    }

    /// A number as text with at most so many decimals and no trailing zeros.
    static func number(_ value: Double, decimals: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity" }
        let scale = (0..<decimals).reduce(1.0) { scale, _ in scale * 10 }
        guard abs(value) < 1e12 else { return value.description }
        let scaled = (value * scale).rounded()
        let magnitude = Int64(abs(scaled))
        let whole = magnitude / Int64(scale)
        var fraction = String(magnitude % Int64(scale))
        fraction = String(repeating: "0", count: max(0, decimals - fraction.count)) + fraction
        while fraction.hasSuffix("0") { fraction.removeLast() }
        let sign = scaled < 0 ? "-" : ""
        return fraction.isEmpty ? "\(sign)\(whole)" : "\(sign)\(whole).\(fraction)"
    }
}
