/// A series of points.
public struct TimeSeries: Decodable, Sendable, Hashable {
    /// What is measured, or where.
    public struct Labelled: Decodable, Sendable, Hashable {
        public var type: String?
        public var labels: [String: String]?
    }

    public struct Point: Decodable, Sendable, Hashable {
        public var interval: TimeInterval?
        public var value: TypedValue?
    }

    public var metric: Labelled?
    public var resource: Labelled?
    /// `GAUGE`, `DELTA`, `CUMULATIVE`.
    public var metricKind: String?
    /// Newest first.
    public var points: [Point]?
    public var unit: String?
}

/// RFC 3339; a gauge has only an end.
public struct TimeInterval: Decodable, Sendable, Hashable {
    public var startTime: String?
    public var endTime: String?
}

/// One row of a query's table: a value for each label, and its points.
public struct TimeSeriesRow: Decodable, Sendable, Hashable {
    public struct Point: Decodable, Sendable, Hashable {
        public var timeInterval: TimeInterval?
        public var values: [TypedValue]?
    }

    public var labelValues: [TypedValue]?
    /// Newest first.
    public var pointData: [Point]?
}

/// A measured value.
public enum TypedValue: Sendable, Hashable {
    case bool(Bool)
    case integer(Int64)
    /// NaN and infinities too.
    case double(Double)
    case string(String)
    case distribution(count: Int64, mean: Double)
    /// Nothing, or a kind that is newer than this program.
    case other

    /// Any number; a distribution's mean.
    public var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .double(let value): value
        case .distribution(_, let mean): mean
        case .bool, .string, .other: nil
        }
    }
}

extension TypedValue: Decodable {
    private enum CodingKeys: String, CodingKey {
        case boolValue, int64Value, doubleValue, stringValue, distributionValue
    }

    private struct Distribution: Decodable {
        @Int64String var count: Int64
        var mean: Double?
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let value = try container.decodeIfPresent(Bool.self, forKey: .boolValue) {
            self = .bool(value)
        } else if let value = try container.decodeIfPresent(Int64String.self, forKey: .int64Value) {
            self = .integer(value.wrappedValue)
        } else if container.contains(.doubleValue) {
            self = .double(try Self.double(container))
        } else if let value = try container.decodeIfPresent(String.self, forKey: .stringValue) {
            self = .string(value)
        } else if let value = try container.decodeIfPresent(Distribution.self, forKey: .distributionValue) {
            self = .distribution(count: value.count, mean: value.mean ?? 0)
        } else {
            self = .other
        }
    }

    /// JSON has no NaN and no infinity: they are words.
    private static func double(_ container: KeyedDecodingContainer<CodingKeys>) throws -> Double {
        // A failure only means: it is a word.
        if let value = try? container.decode(Double.self, forKey: .doubleValue) { return value }
        switch try container.decode(String.self, forKey: .doubleValue) {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .doubleValue, in: container, debugDescription: "not a number")
        }
    }
}
