import Encoding

/// What an expression evaluates to. Lists and objects of the document are read as they are asked for.
enum CELValue: Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case timestamp(Timestamp)
    case duration(Duration)
    case list([CELValue])
    /// A list of the document.
    case array([JSONValue], CELDeclaration)
    /// An object or a map of the document.
    case object([String: JSONValue], CELDeclaration)
    /// Data without a schema: it can be compared, and nothing else.
    case opaque(JSONValue)
    /// `oldSelf` of a rule with `optionalOldSelf`.
    indirect case optional(CELValue?)

    /// A value of the document: date-times are moments, not texts.
    init(_ json: JSONValue, _ declaration: CELDeclaration?) throws(CELError) {
        guard let declaration else {
            self = .opaque(json)
            return
        }
        switch (declaration.kind, json) {
        case (_, .null): self = .null
        case (.bool, .bool(let value)): self = .bool(value)
        case (.int, .integer(let value)): self = .int(value)
        case (.any, .integer(let value)): self = .int(value)
        case (.any, .string(let text)), (.string, .string(let text)): self = .string(text)
        case (.double, .integer(let value)): self = .double(Double(value))
        case (.double, .number(let value)): self = .double(value)
        case (.list, .array(let elements)): self = .array(elements, declaration)
        case (.map, .object(let members)), (.object, .object(let members)): self = .object(members, declaration)
        case (.timestamp, .string(let text)):
            guard let moment = Timestamp(text) ?? Timestamp(text + "T00:00:00Z") else {
                throw CELError("Invalid date-time formatted string \(text)")
            }
            self = .timestamp(moment)
        case (.duration, .string(let text)):
            guard let duration = CELDuration.parse(text) else { throw CELError("Invalid duration \(text)") }
            self = .duration(duration)
        case (.bytes, .string(let text)):
            guard let bytes = Base64.decode(text) else { throw CELError("Invalid byte formatted string \(text)") }
            self = .bytes(bytes)
        default: throw CELError("invalid data, got a \(json.typeName) for schema with type=\(declaration.kind)")
        }
    }

    init(literal value: JSONValue) {
        switch value {
        case .null, .array, .object: self = .null  // The parser makes no literals of lists and objects.
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .int(value)
        case .number(let value): self = .double(value)
        case .string(let value): self = .string(value)
        }
    }

    var typeName: String {
        switch self {
        case .null: "null_type"
        case .bool: "bool"
        case .int: "int"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .timestamp: "google.protobuf.Timestamp"
        case .duration: "google.protobuf.Duration"
        case .list, .array: "list"
        case .object: "map"
        case .opaque: "unknown"
        case .optional: "optional_type"
        }
    }

    /// What `size()` says, 1 for what has no size: what costs are computed with.
    var size: UInt64 {
        switch self {
        case .string(let text): UInt64(text.unicodeScalars.count)
        case .bytes(let bytes): UInt64(bytes.count)
        case .list(let elements): UInt64(elements.count)
        case .array(let elements, _): UInt64(elements.count)
        case .object(let members, _): UInt64(members.count)
        default: 1
        }
    }

    /// The elements of a list; nil for everything else.
    func elements() throws(CELError) -> [CELValue]? {
        switch self {
        case .list(let elements): return elements
        case .array(let elements, let declaration):
            var values: [CELValue] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try CELValue(element, declaration.element)) }
            return values
        default: return nil
        }
    }

    /// A member of an object or a map; nil when it is absent. A null of an object is absence.
    func member(_ key: String) throws(CELError) -> CELValue? {
        guard case .object(let members, let declaration) = self else {
            throw CELError("no such overload")
        }
        guard let value = members[key] else { return nil }
        if declaration.kind == .map { return try CELValue(value, declaration.element) }
        guard !value.isNull, let field = declaration.fields[key] else { return nil }
        return try CELValue(value, field)
    }

    // MARK: Equality

    /// CEL's equality: numbers by value, lists of type set or map in any order, objects by their members.
    static func areEqual(_ left: CELValue, _ right: CELValue) throws(CELError) -> Bool {
        switch (left, right) {
        case (.null, .null): return true
        case (.bool(let left), .bool(let right)): return left == right
        case (.int(let left), .int(let right)): return left == right
        case (.double(let left), .double(let right)): return left == right
        case (.int(let left), .double(let right)): return Double(left) == right
        case (.double(let left), .int(let right)): return left == Double(right)
        // By code points: Swift's own equality is canonical.
        case (.string(let left), .string(let right)): return left.utf8.elementsEqual(right.utf8)
        case (.bytes(let left), .bytes(let right)): return left == right
        case (.timestamp(let left), .timestamp(let right)): return left == right
        case (.duration(let left), .duration(let right)): return left == right
        case (.object(let left, let declaration), .object(let right, let other)):
            return try areEqual(left, declaration, right, other)
        case (.opaque(let left), .opaque(let right)): return left == right
        case (.optional(let left), .optional(let right)):
            guard let left, let right else { return left == nil && right == nil }
            return try areEqual(left, right)
        default:
            guard let first = try left.elements(), let second = try right.elements() else { return false }
            return try areEqual(first, second, listType: left.listType)
        }
    }

    private var listType: Schema.ListType {
        guard case .array(_, let declaration) = self else { return .atomic }
        return declaration.schema?.listType ?? .atomic
    }

    private static func areEqual(
        _ left: [CELValue], _ right: [CELValue], listType: Schema.ListType
    ) throws(CELError) -> Bool {
        guard left.count == right.count else { return false }
        if case .atomic = listType {
            for (first, second) in zip(left, right) where try !areEqual(first, second) { return false }
            return true
        }
        // Keys make elements of a map list differ, so that equal elements are those of the same key.
        for first in left {
            var isFound = false
            for second in right where try areEqual(first, second) { isFound = true }
            if !isFound { return false }
        }
        return true
    }

    private static func areEqual(
        _ left: [String: JSONValue], _ declaration: CELDeclaration, _ right: [String: JSONValue],
        _ other: CELDeclaration
    ) throws(CELError) -> Bool {
        guard left.count == right.count else { return false }
        let (first, second) = (CELValue.object(left, declaration), CELValue.object(right, other))
        for (key, value) in left {
            let isVisible = declaration.kind == .map || declaration.fields[key] != nil
            if isVisible {
                let (mine, theirs) = (try first.member(key), try second.member(key))
                guard let mine, let theirs else {
                    if mine == nil, theirs == nil { continue }
                    return false
                }
                if try !areEqual(mine, theirs) { return false }
            } else if let theirs = right[key], theirs != value {
                return false
            }
        }
        return true
    }
}

/// Durations as texts: Go's ("1h30m", "250ms"), with days and weeks as the formats of OpenAPI know them.
enum CELDuration {
    static func parse(_ text: String) -> Duration? {
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if let first = rest.first, first == "-" || first == "+" { rest = rest.dropFirst() }
        if rest == "0" { return .zero }
        guard !rest.isEmpty else { return nil }
        var total = Duration.zero
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count).drop { $0 == " " }
            let unit = rest.prefix { !$0.isNumber && $0 != " " }
            rest = rest.dropFirst(unit.count).drop { $0 == " " }
            guard let value = Double(number), let nanoseconds = units[String(unit)] else { return nil }
            let amount = value * nanoseconds
            guard amount < 9.2e18 else { return nil }
            total += .nanoseconds(Int64(amount))
        }
        return isNegative ? .zero - total : total
    }

    private static let units: [String: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "d": 86_400e9,
        "w": 604_800e9,
    ]
}
