import Encoding

/// What the checker knows about a value's type.
indirect enum CELType: Sendable {
    case any, bool, int, double, string, bytes, null, timestamp, duration
    case list(CELType)
    /// Keys are strings.
    case map(CELType)
    case object(CELDeclaration)
    case optional(CELType)

    init(_ declaration: CELDeclaration) {
        switch declaration.kind {
        case .any: self = .any
        case .bool: self = .bool
        case .int: self = .int
        case .double: self = .double
        case .string: self = .string
        case .bytes: self = .bytes
        case .timestamp: self = .timestamp
        case .duration: self = .duration
        case .list: self = .list(declaration.element.map(CELType.init) ?? .any)
        case .map: self = .map(declaration.element.map(CELType.init) ?? .any)
        case .object: self = .object(declaration)
        }
    }

    init(literal value: JSONValue) {
        switch value {
        case .null: self = .null
        case .bool: self = .bool
        case .integer: self = .int
        case .number: self = .double
        case .string: self = .string
        case .array, .object: self = .any
        }
    }

    var name: String {
        switch self {
        case .any: "dyn"
        case .bool: "bool"
        case .int: "int"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .null: "null"
        case .timestamp: "timestamp"
        case .duration: "duration"
        case .list(let element): "list(\(element.name))"
        case .map(let value): "map(string, \(value.name))"
        case .object: "object"
        case .optional(let content): "optional_type(\(content.name))"
        }
    }

    var isNumber: Bool {
        switch self {
        case .int, .double: true
        default: false
        }
    }

    var isAny: Bool { if case .any = self { true } else { false } }

    /// Values of constant size, whose comparison costs 1.
    var isScalar: Bool {
        switch self {
        case .bool, .int, .double, .timestamp, .duration: true
        case .optional(let content): content.isScalar
        default: false
        }
    }

    /// Whether both are the same type, as far as it is known: what `==`, lists and `?:` ask for.
    func isSame(as other: CELType) -> Bool {
        switch (self, other) {
        case (.any, _), (_, .any): true
        case (.bool, .bool), (.int, .int), (.double, .double), (.string, .string), (.bytes, .bytes), (.null, .null),
            (.timestamp, .timestamp), (.duration, .duration):
            true
        case (.null, .object), (.object, .null), (.null, .timestamp), (.timestamp, .null), (.null, .duration),
            (.duration, .null), (.null, .optional), (.optional, .null):
            true
        case (.list(let left), .list(let right)), (.map(let left), .map(let right)),
            (.optional(let left), .optional(let right)):
            left.isSame(as: right)
        case (.object(let left), .object(let right)): left === right
        default: false
        }
    }

    /// The type of a value that is one or the other.
    func joined(_ other: CELType) -> CELType {
        switch (self, other) {
        case (.any, _), (_, .any): .any
        case (.null, _): other
        case (.list(.any), .list): other
        default: self
        }
    }
}
