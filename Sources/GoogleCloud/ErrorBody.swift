internal import Encoding

/// What an error reply's body holds, in any of the shapes: google.rpc, the older `errors[]`, OAuth's string.
struct ErrorBody {
    var message: String?
    /// The gRPC word.
    var status: String?
    /// The most telling word first.
    var reasons: [String] = []
    var retryDelay: Duration?
    var quota: QuotaDetail?

    /// Anything that is not JSON (front ends answer HTML) leaves everything empty.
    init(_ bytes: [UInt8]) {
        guard let root = try? JSONValue(parsing: bytes), let error = root["error"] else { return }
        if let word = error.stringValue {  // OAuth
            reasons = [word]
            message = root["error_description"]?.stringValue ?? word
            return
        }
        message = error["message"]?.stringValue
        status = error["status"]?.stringValue
        for detail in error["details"]?.arrayValue ?? [] { read(detail) }
        let items = error["errors"]?.arrayValue ?? []
        reasons += items.compactMap { $0["reason"]?.stringValue }
        message = message ?? items.lazy.compactMap { $0["message"]?.stringValue }.first
    }

    private mutating func read(_ detail: JSONValue) {
        switch detail["@type"]?.stringValue {
        case "type.googleapis.com/google.rpc.ErrorInfo":
            if let reason = detail["reason"]?.stringValue { reasons.append(reason) }
            quota = quota ?? QuotaDetail(errorInfo: detail["metadata"] ?? detail["metadatas"] ?? .null)
        case "type.googleapis.com/google.rpc.QuotaFailure":
            reasons.append(QuotaDetail.word)
            // Says more than ErrorInfo.
            if let violation = detail["violations"]?[0] { quota = QuotaDetail(violation: violation) ?? quota }
        case "type.googleapis.com/google.rpc.RetryInfo":
            retryDelay = detail["retryDelay"]?.stringValue.flatMap(ErrorBody.duration)
        default:
            break
        }
    }

    /// `1.5s`.
    private static func duration(_ text: String) -> Duration? {
        guard text.hasSuffix("s"), let seconds = Double(text.dropLast()), (0...86400).contains(seconds) else {
            return nil
        }
        return .milliseconds(Int64(seconds * 1000))
    }
}

/// Which quota is used up, where an error says it.
struct QuotaDetail: Sendable, Hashable {
    /// Stands among the reasons of an error that holds a QuotaFailure.
    static let word = "QuotaFailure"

    /// `compute.googleapis.com/gpus_per_gpu_family`, `NVIDIA_T4_GPUS`, …
    var metric: String
    var limit: String?
    /// A region, a zone or `global`.
    var place: String?

    init(metric: String, limit: String? = nil, place: String? = nil) {
        self.metric = metric
        self.limit = limit
        self.place = place
    }

    /// Of ErrorInfo's `metadata`.
    init?(errorInfo: JSONValue) {
        guard let metric = errorInfo["quota_metric"]?.stringValue ?? errorInfo["quota_limit"]?.stringValue else {
            return nil
        }
        self.init(
            metric: metric, limit: errorInfo["quota_limit_value"]?.stringValue,
            place: errorInfo["quota_location"]?.stringValue)
    }

    /// Of QuotaFailure's `violations`.
    init?(violation: JSONValue) {
        guard let metric = violation["quotaMetric"]?.stringValue ?? violation["quotaId"]?.stringValue else {
            return nil
        }
        let dimensions = violation["quotaDimensions"] ?? .null
        let limit = violation["quotaValue"]
        self.init(
            metric: metric, limit: limit?.stringValue ?? limit?.integerValue.map { String($0) },
            place: dimensions["region"]?.stringValue ?? dimensions["zone"]?.stringValue
                ?? dimensions["location"]?.stringValue)
    }

    /// Compute's `quotaInfo{metricName,limitName,dimensions{region},limit}`.
    init?(quotaInfo: JSONValue) {
        guard let metric = quotaInfo["metricName"]?.stringValue ?? quotaInfo["limitName"]?.stringValue else {
            return nil
        }
        let limit = quotaInfo["limit"]
        self.init(
            metric: metric,
            limit: limit?.integerValue.map { String($0) } ?? limit?.doubleValue.map { "\($0)" } ?? limit?.stringValue,
            place: quotaInfo["dimensions"]?["region"]?.stringValue ?? quotaInfo["dimensions"]?["zone"]?.stringValue)
    }

    /// The message, with what it does not say yet: `… (quota METRIC, limit 8, in us-central1)`.
    func completing(_ message: String) -> String {
        var parts: [String] = []
        if !message.contains(metric) { parts.append("quota \(metric)") }
        if let limit, !message.contains("imit \(limit)"), !message.contains("imit: \(limit)") {
            parts.append("limit \(limit)")
        }
        if let place, !message.contains(place) { parts.append("in \(place)") }
        return parts.isEmpty ? message : "\(message) (\(parts.joined(separator: ", ")))"
    }
}
