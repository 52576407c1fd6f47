public import Encoding

/// A time series of Cloud Monitoring that a test or the sandbox has planted.
public struct SimulatedTimeSeries: Sendable, Hashable {
    /// What is measured at a moment or over an interval.
    public enum Value: Sendable, Hashable {
        case double(Double)
        case int64(Int64)
        /// `counts[i]` values lie between `bounds[i-1]` and `bounds[i]`: there is one count more than bounds.
        case distribution(bounds: [Double], counts: [Int64])
    }

    /// A value and the interval that it is about; a gauge's begins where it ends.
    public struct Point: Sendable, Hashable {
        public var start: Timestamp
        public var end: Timestamp
        public var value: Value

        public init(start: Timestamp, end: Timestamp, value: Value) {
            self.start = start
            self.end = end
            self.value = value
        }
    }

    /// How values follow one another.
    public enum Kind: String, Sendable, Hashable { case gauge = "GAUGE", delta = "DELTA", cumulative = "CUMULATIVE" }

    /// `run.googleapis.com/request_count`.
    public var metric: String
    public var metricLabels: [String: String]
    /// `cloud_run_revision`.
    public var resource: String
    public var resourceLabels: [String: String]
    public var kind: Kind
    /// Oldest first.
    public var points: [Point]

    public init(
        metric: String, metricLabels: [String: String] = [:], resource: String,
        resourceLabels: [String: String] = [:], kind: Kind = .gauge, points: [Point]
    ) {
        self.metric = metric
        self.metricLabels = metricLabels
        self.resource = resource
        self.resourceLabels = resourceLabels
        self.kind = kind
        self.points = points
    }
}

extension SimulatedTimeSeries.Value {
    /// A distribution counts as its mean.
    var number: Double {
        switch self {
        case .double(let value): value
        case .int64(let value): Double(value)
        case .distribution(let bounds, let counts):
            SimulatedTimeSeries.Value.mean(bounds: bounds, counts: counts)
        }
    }

    /// `TypedValue`.
    var json: JSONValue {
        switch self {
        case .double(let value): return ["doubleValue": .number(value)]
        case .int64(let value): return ["int64Value": .string(String(value))]
        case .distribution(let bounds, let counts):
            return [
                "distributionValue": [
                    "count": .string(String(counts.reduce(0, +))), "mean": .number(number),
                    "bucketOptions": ["explicitBuckets": ["bounds": .array(bounds.map(JSONValue.number))]],
                    "bucketCounts": .array(counts.map { .string(String($0)) }),
                ]
            ]
        }
    }

    var type: String {
        switch self {
        case .double: "DOUBLE"
        case .int64: "INT64"
        case .distribution: "DISTRIBUTION"
        }
    }

    /// Values are taken to lie in the middle of their buckets; those beyond the last bound on it.
    private static func mean(bounds: [Double], counts: [Int64]) -> Double {
        let total = counts.reduce(0, +)
        guard total > 0 else { return 0 }
        let sum = counts.enumerated().reduce(0.0) { sum, bucket in
            let lower = bucket.offset == 0 ? 0 : bounds[min(bucket.offset - 1, bounds.count - 1)]
            let upper = bucket.offset < bounds.count ? bounds[bucket.offset] : lower
            return sum + Double(bucket.element) * (lower + upper) / 2
        }
        return sum / Double(total)
    }
}
