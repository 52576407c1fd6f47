public import Encoding

/// A value in a log line.
public enum LogValue: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByFloatLiteral
{
    case string(String)
    case integer(Int)
    case number(Double)
    case bool(Bool)

    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(floatLiteral value: Double) { self = .number(value) }

    /// As it stands in the line. Long texts are cut.
    public var json: JSONValue {
        switch self {
        case .string(let text): .string(text.utf8.count <= 4096 ? text : String(text.prefix(2000)) + " …")
        case .integer(let value): .integer(Int64(value))
        case .number(let value): .number(value)
        case .bool(let value): .bool(value)
        }
    }

    /// Milliseconds with three digits after the point.
    public static func milliseconds(_ duration: Duration) -> LogValue {
        let (seconds, attoseconds) = duration.components
        return .number((Double(seconds) * 1000 + Double(attoseconds / 1_000_000_000_000) / 1000))
    }
}
