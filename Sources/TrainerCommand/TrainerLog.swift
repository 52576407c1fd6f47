import Glibc
import Telemetry
import Training

/// JSON lines on standard error for machines, and one readable line per epoch on standard output for people.
struct TrainerLog: Sendable {
    let log: Log

    func notice(_ notice: TrainingNotice) {
        switch notice {
        case .resumed(let step, let uri):
            log.info("resumed", [.stepCount: .integer(step), .checkpoint: .string(uri)])
            put("resumed at step \(step) from \(uri)")
        case .checkpointSkipped(let message):
            log.warning("checkpoint skipped", [.errorMessage: .string(message)])
        case .checkpointWritten(let step, let uri):
            log.info("checkpoint written", [.stepCount: .integer(step), .checkpoint: .string(uri)])
        case .epochFinished(let metrics, let totalEpochs, let sumMilliseconds):
            epochFinished(metrics, totalEpochs: totalEpochs, sumMilliseconds: sumMilliseconds)
        case .refused(let message):
            log.warning("connection refused", [.errorMessage: .string(message)])
        case .gathered(let size):
            log.info("all processes are there", [.count: .integer(size)])
        case .peerLost(let message):
            log.warning("another process is gone", [.errorMessage: .string(message)])
        case .graceTooShort(let neededSeconds, let graceSeconds):
            graceTooShort(neededSeconds: neededSeconds, graceSeconds: graceSeconds)
        }
    }

    private func graceTooShort(neededSeconds: Int, graceSeconds: Int) {
        let sentence =
            "a step and a checkpoint may take \(neededSeconds) s, but SIGKILL comes \(graceSeconds) s after SIGTERM: "
            + "raise spec.trainer.terminationGracePeriodSeconds to \(neededSeconds) or more, "
            + "or work since the last checkpoint may be lost"
        log.warning("the grace period is short", [.errorMessage: .string(sentence)])
    }

    private func epochFinished(_ metrics: EpochMetrics, totalEpochs: Int, sumMilliseconds: Double?) {
        var metadata: LogMetadata = [
            .epoch: .integer(metrics.epoch), .stepCount: .integer(metrics.step),
            .loss: .number(metrics.trainLoss), .accuracy: .number(metrics.testAccuracy),
            .imagesPerSecond: .number(metrics.imagesPerSecond),
        ]
        metadata[.allReduce] = sumMilliseconds.map { .number($0) }
        log.info("epoch finished", metadata)
        let parts = [
            "epoch \(metrics.epoch)/\(totalEpochs)", "train loss \(Self.decimal(metrics.trainLoss, 4))",
            "test loss \(Self.decimal(metrics.testLoss, 4))", "accuracy \(Self.decimal(metrics.testAccuracy, 2)) %",
            "\(Self.decimal(metrics.imagesPerSecond, 0)) images/s",
        ]
        put(parts.joined(separator: "  "))
    }

    /// The run ended on request.
    ///
    /// - Parameter isFirst: the one process of all that tells people.
    func stopped(step: Int, epoch: Int, checkpointURI: String?, isFirst: Bool) {
        let place = checkpointURI.map { "checkpoint at \($0)" } ?? "no place for checkpoints, so this work is lost"
        log.info("stopped", [.stepCount: .integer(step), .checkpoint: .string(checkpointURI ?? "none")])
        if isFirst { put("stopped at epoch \(epoch + 1), step \(step): \(place)") }
    }

    private func put(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // Output that nobody reads is no reason to stop training.
        _ = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }

    /// A number with a fixed count of digits after the point.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((abs(value) * scale).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + String(scaled) }
        let fraction = String(scaled % Int(scale))
        return "\(sign)\(scaled / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}
