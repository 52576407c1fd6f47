import Encoding
import Glibc
import Telemetry
import Training

/// JSON lines on standard error for machines, and one readable line per epoch on standard output for people.
struct TrainerLog: Sendable {
    let clock: any WallClock

    func info(_ message: String, _ metadata: [String: JSONValue]) { write("INFO", message, metadata) }

    func warning(_ message: String, _ metadata: [String: JSONValue]) { write("WARNING", message, metadata) }

    func error(_ message: String, _ metadata: [String: JSONValue]) { write("ERROR", message, metadata) }

    private func write(_ severity: String, _ message: String, _ metadata: [String: JSONValue]) {
        var line = metadata
        line["severity"] = .string(severity)
        line["time"] = .string(clock.now.description)
        line["message"] = .string(message)
        put(JSONValue.object(line).serializedText(), to: STDERR_FILENO)
    }

    func notice(_ notice: TrainingNotice) {
        switch notice {
        case .resumed(let step, let uri):
            info("resumed", ["step": .integer(Int64(step)), "checkpoint": .string(uri)])
            put("resumed at step \(step) from \(uri)", to: STDOUT_FILENO)
        case .checkpointSkipped(let message):
            warning("checkpoint skipped", ["error.message": .string(message)])
        case .checkpointWritten(let step, let uri):
            info("checkpoint written", ["step": .integer(Int64(step)), "checkpoint": .string(uri)])
        case .epochFinished(let metrics, let totalEpochs):
            info(
                "epoch finished",
                [
                    "epoch": .integer(Int64(metrics.epoch)), "train_loss": .number(metrics.trainLoss),
                    "test_loss": .number(metrics.testLoss), "test_accuracy": .number(metrics.testAccuracy),
                    "images_per_second": .number(metrics.imagesPerSecond),
                ])
            let text = [
                "epoch \(metrics.epoch)/\(totalEpochs)", "train loss \(decimal(metrics.trainLoss, 4))",
                "test loss \(decimal(metrics.testLoss, 4))", "accuracy \(decimal(metrics.testAccuracy, 2)) %",
                "\(decimal(metrics.imagesPerSecond, 0)) images/s",
            ]
            put(text.joined(separator: "  "), to: STDOUT_FILENO)
        }
    }

    func stopped(step: Int, epoch: Int, checkpointURI: String?) {
        info("stopped", ["step": .integer(Int64(step)), "checkpoint": checkpointURI.map { .string($0) } ?? .null])
        let place = checkpointURI.map { "checkpoint at \($0)" } ?? "no place for checkpoints: this work is lost"
        put("stopped at epoch \(epoch + 1), step \(step); \(place)", to: STDOUT_FILENO)
    }

    private func put(_ line: String, to descriptor: Int32) {
        let bytes = Array((line + "\n").utf8)
        // Output that nobody reads is no reason to stop training.
        _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    /// A number with a fixed count of digits after the point.
    private func decimal(_ value: Double, _ digits: Int) -> String {
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
