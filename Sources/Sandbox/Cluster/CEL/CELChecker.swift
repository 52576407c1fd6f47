import Encoding

/// What the checker knows about a value's type.
indirect enum CELType: Sendable {
    case any, bool, int, double, string, null
    case list(CELType)
    case map(CELType)
    case object(Schema)
    /// `metadata` of the root: only names can be read.
    case objectMeta
    /// The whole object: apiVersion, kind and metadata beside the schema's own fields.
    case root(Schema)
    case optional(CELType)

    init(_ schema: Schema) {
        if schema.isIntOrString || schema.preservesUnknownFields {
            self = .any
            return
        }
        switch schema.type {
        case "string": self = .string
        case "integer": self = .int
        case "number": self = .double
        case "boolean": self = .bool
        case "array": self = .list(schema.items.map(CELType.init) ?? .any)
        case "object": self = schema.additionalProperties.map { .map(CELType($0)) } ?? .object(schema)
        default: self = .any
        }
    }

    var name: String {
        switch self {
        case .any: "dyn"
        case .bool: "bool"
        case .int: "int"
        case .double: "double"
        case .string: "string"
        case .null: "null"
        case .list(let element): "list(\(element.name))"
        case .map(let value): "map(string, \(value.name))"
        case .object, .objectMeta, .root: "object"
        case .optional(let content): "optional_type(\(content.name))"
        }
    }

    /// Whether values of both types can be compared.
    func isComparable(to other: CELType) -> Bool {
        switch (self, other) {
        case (.any, _), (_, .any): true
        case (.int, .double), (.double, .int): true
        case (.list, .list), (.map, .object), (.object, .map): true
        default: name == other.name
        }
    }
}

/// Checks an expression against the schema when the definition is loaded: unknown variables and fields, and operators
/// on types that they are not for, are found here and not in somebody's update.
struct CELChecker {
    private var variables: [String: CELType]

    static func check(_ rule: ValidationRule, on schema: Schema, isRoot: Bool) throws(CELError) {
        let type = isRoot ? CELType.root(schema) : CELType(schema)
        var checker = CELChecker(variables: [
            "self": type, "oldSelf": rule.isOldSelfOptional ? .optional(type) : type,
        ])
        let result = try checker.type(of: rule.expression)
        guard result.isComparable(to: .bool) else { throw CELError("must evaluate to a bool") }
        if let message = rule.messageExpression {
            guard try checker.type(of: message).isComparable(to: .string) else {
                throw CELError("messageExpression must evaluate to a string")
            }
        }
    }

    private mutating func type(of expression: CELExpression) throws(CELError) -> CELType {
        switch expression {
        case .literal(let value): return CELChecker.type(ofLiteral: value)
        case .list(let elements):
            var types: [CELType] = []
            for element in elements { types.append(try type(of: element)) }
            guard let first = types.first, types.allSatisfy({ $0.name == first.name }) else { return .list(.any) }
            return .list(first)
        case .variable(let name):
            guard let type = variables[name] else {
                throw CELError("undeclared reference to '\(name)' (in container '')")
            }
            return type
        case .select(let operand, let field): return try member(field, of: try type(of: operand))
        case .has(let operand, let field):
            _ = try member(field, of: try type(of: operand))
            return .bool
        case .index(let operand, let index): return try element(of: try type(of: operand), at: try type(of: index))
        case .not(let operand):
            try require(operand, .bool, "!_")
            return .bool
        case .negate(let operand): return try type(of: operand)
        case .and(let left, let right):
            try require(left, .bool, "_&&_")
            try require(right, .bool, "_&&_")
            return .bool
        case .or(let left, let right):
            try require(left, .bool, "_||_")
            try require(right, .bool, "_||_")
            return .bool
        case .conditional(let condition, let left, let right):
            try require(condition, .bool, "_?_:_")
            let whenTrue = try type(of: left)
            let whenFalse = try type(of: right)
            return whenTrue.name == whenFalse.name ? whenTrue : .any
        case .binary(let symbol, let left, let right):
            return try binary(symbol, try type(of: left), try type(of: right))
        case .call(let function, let arguments): return try call(function, arguments)
        case .comprehension(let macro, let range, let variable, let body):
            return try comprehension(macro, range, variable, body)
        }
    }

    private static func type(ofLiteral value: JSONValue) -> CELType {
        switch value {
        case .null: .null
        case .bool: .bool
        case .integer: .int
        case .number: .double
        case .string: .string
        case .array, .object: .any
        }
    }

    private func member(_ field: String, of type: CELType) throws(CELError) -> CELType {
        switch type {
        case .any: return .any
        case .map(let value): return value
        case .root(let schema):
            switch field {
            case "apiVersion", "kind": return .string
            case "metadata": return .objectMeta
            default: return try member(field, of: .object(schema))
            }
        case .objectMeta where ["name", "generateName"].contains(field): return .string
        case .object(let schema):
            guard let property = schema.properties[field] else { throw CELError("undefined field '\(field)'") }
            return CELType(property)
        case .objectMeta: throw CELError("undefined field '\(field)'")
        default: throw CELError("type '\(type.name)' does not support field selection")
        }
    }

    private func element(of type: CELType, at index: CELType) throws(CELError) -> CELType {
        switch type {
        case .any: return .any
        case .list(let element) where index.isComparable(to: .int): return element
        case .map(let value) where index.isComparable(to: .string): return value
        default: throw CELError("found no matching overload for '_[_]' applied to '(\(type.name), \(index.name))'")
        }
    }

    private mutating func require(_ expression: CELExpression, _ wanted: CELType, _ function: String) throws(CELError) {
        let found = try type(of: expression)
        guard found.isComparable(to: wanted) else {
            throw CELError("found no matching overload for '\(function)' applied to '(\(found.name))'")
        }
    }

    private func binary(_ symbol: CELOperator, _ left: CELType, _ right: CELType) throws(CELError) -> CELType {
        let failure = CELError(
            "found no matching overload for '_\(symbol.rawValue)_' applied to '(\(left.name), \(right.name))'")
        switch symbol {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard left.isComparable(to: right) else { throw failure }
            return .bool
        case .isIn:
            switch right {
            case .any: return .bool
            case .list(let element) where left.isComparable(to: element): return .bool
            case .map where left.isComparable(to: .string): return .bool
            default: throw failure
            }
        case .add, .subtract, .multiply, .divide, .remainder:
            guard left.isComparable(to: right) else { throw failure }
            return left
        }
    }

    private mutating func call(_ function: CELFunction, _ arguments: [CELExpression]) throws(CELError) -> CELType {
        var types: [CELType] = []
        for argument in arguments { types.append(try type(of: argument)) }
        let failure = CELError(
            "found no matching overload for '\(function.rawValue)' applied to "
                + "'(\(types.map(\.name).joined(separator: ", ")))'")
        switch function {
        case .size:
            switch types[0] {
            case .any, .string, .list, .map: return .int
            default: throw failure
            }
        case .matches, .startsWith, .endsWith, .contains:
            guard types.allSatisfy({ $0.isComparable(to: .string) }) else { throw failure }
            if function == .matches, case .literal(.string(let text)) = arguments[1] { try checkPattern(text) }
            return .bool
        case .isSorted:
            switch types[0] {
            case .any, .list: return .bool
            default: throw failure
            }
        case .double: return .double
        case .int: return .int
        case .string: return .string
        case .hasValue, .value, .orValue:
            guard case .optional(let content) = types[0] else { throw failure }
            return function == .hasValue ? .bool : content
        }
    }

    private func checkPattern(_ text: String) throws(CELError) {
        do throws(SandboxError) {
            _ = try Pattern(text)
        } catch {
            throw CELError(error.message)
        }
    }

    private mutating func comprehension(
        _ macro: CELMacro, _ range: CELExpression, _ variable: String, _ body: CELExpression
    ) throws(CELError) -> CELType {
        let rangeType = try type(of: range)
        let element: CELType
        switch rangeType {
        case .any: element = .any
        case .list(let type): element = type
        case .map: element = .string
        default: throw CELError("expression of type '\(rangeType.name)' cannot be range of a comprehension")
        }
        let shadowed = variables[variable]
        variables[variable] = element
        defer { variables[variable] = shadowed }
        if macro == .map { return .list(try type(of: body)) }
        try require(body, .bool, macro.rawValue)
        return macro == .filter ? .list(element) : .bool
    }
}
