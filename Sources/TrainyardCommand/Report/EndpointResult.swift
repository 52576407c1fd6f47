import Encoding

/// What an endpoint answered: what `--json` prints below `endpoint` and the summary shows.
struct EndpointResult: Equatable, Sendable {
    /// One answered image.
    struct Prediction: Equatable, Sendable {
        /// Of the image, in the test set.
        var index: Int
        var predicted: Int
        var score: Double
        var label: Int
        var milliseconds: Double

        var isRight: Bool { predicted == label }
    }

    var url: String?
    var modelVersion: String?
    var predictions: [Prediction] = []
    /// From the start of the server's process to its readiness.
    var coldStartMilliseconds: Double?

    /// Percent of the predictions that are right; nil without any.
    var accuracy: Double? {
        predictions.isEmpty ? nil : Double(predictions.count(where: \.isRight)) * 100 / Double(predictions.count)
    }

    /// The latency that so much of the predictions does not exceed; nil without any.
    func latency(percentile: Double) -> Double? {
        let sorted = predictions.map(\.milliseconds).sorted()
        let place = Int((percentile / 100 * Double(sorted.count)).rounded(.up)) - 1
        return sorted.isEmpty ? nil : sorted[max(0, min(sorted.count - 1, place))]
    }

    var json: JSONValue {
        func number(_ value: Double?) -> JSONValue { value.map { .number(($0 * 100).rounded() / 100) } ?? .null }
        return .object([
            "url": url.map(JSONValue.string) ?? .null, "modelVersion": modelVersion.map(JSONValue.string) ?? .null,
            "predictions": .integer(Int64(predictions.count)), "accuracy": number(accuracy),
            "p50Milliseconds": number(latency(percentile: 50)), "p99Milliseconds": number(latency(percentile: 99)),
            "coldStartMilliseconds": number(coldStartMilliseconds),
        ])
    }

    /// Lines of the summary's table.
    var rows: [(String, String)] {
        var rows: [(String, String)] = []
        if let url, let modelVersion { rows.append(("endpoint", "version \(modelVersion) at \(url)")) }
        if let text = shown { rows.append(("predictions", text)) }
        if let coldStartMilliseconds {
            rows.append(
                ("cold start", "\(Format.decimal(coldStartMilliseconds, 0)) ms from the process to its readiness"))
        }
        return rows
    }

    /// "91 of 100 right, latency 1.20 ms (half of them) to 3.40 ms (99 %)"
    var shown: String? {
        guard let half = latency(percentile: 50), let most = latency(percentile: 99) else { return nil }
        return "\(predictions.count(where: \.isRight)) of \(predictions.count) right, latency "
            + "\(Format.decimal(half, 2)) ms (half of them) to \(Format.decimal(most, 2)) ms (99 %)"
    }
}
