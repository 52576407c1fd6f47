import Encoding

/// A parsed CEL expression.
indirect enum CELExpression: Sendable {
    case literal(JSONValue)
    case list([CELExpression])
    case variable(String)
    case select(CELExpression, String)
    case has(CELExpression, String)
    case index(CELExpression, CELExpression)
    case not(CELExpression)
    case negate(CELExpression)
    case and(CELExpression, CELExpression)
    case or(CELExpression, CELExpression)
    case conditional(CELExpression, CELExpression, CELExpression)
    case binary(CELOperator, CELExpression, CELExpression)
    case call(CELFunction, [CELExpression])
    case comprehension(CELMacro, range: CELExpression, variable: String, body: CELExpression)
}

enum CELOperator: String, Sendable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case remainder = "%"
}

/// The macros over lists and maps.
enum CELMacro: String, Sendable {
    case all, exists, map, filter
    case existsOne = "exists_one"
}

/// The functions that are known; the receiver of a method is the first argument.
enum CELFunction: String, Sendable {
    case size, matches, startsWith, endsWith, contains, isSorted, double, int, string, hasValue, value, orValue

    /// How many arguments it takes, the receiver included.
    var arity: Int {
        switch self {
        case .size, .isSorted, .double, .int, .string, .hasValue, .value: 1
        case .matches, .startsWith, .endsWith, .contains, .orValue: 2
        }
    }

    var isGlobal: Bool {
        switch self {
        case .size, .double, .int, .string, .matches: true
        case .startsWith, .endsWith, .contains, .isSorted, .hasValue, .value, .orValue: false
        }
    }

    var isMethod: Bool {
        switch self {
        case .double, .int, .string: false
        default: true
        }
    }
}

/// Why an expression could not be parsed, checked or evaluated.
struct CELError: Error, Sendable, Hashable {
    var message: String

    init(_ message: String) { self.message = message }
}

/// One entry of `x-kubernetes-validations`.
struct ValidationRule: Sendable {
    let text: String
    let expression: CELExpression
    let message: String
    let messageExpression: CELExpression?
    let reason: FieldError.Kind
    /// Relative to the rule's place, e.g. `bucket.name`.
    let fieldPath: String
    let usesOldSelf: Bool
    let isOldSelfOptional: Bool

    init(_ json: JSONValue, path: String) throws(SandboxError) {
        guard let text = json["rule"]?.stringValue else {
            throw SandboxError(.invalidCRD, "\(path).rule: Required value")
        }
        self.text = text
        expression = try ValidationRule.parse(text, path: "\(path).rule")
        message = json["message"]?.stringValue ?? "failed rule: \(text)"
        messageExpression = try json["messageExpression"]?.stringValue.map { text throws(SandboxError) in
            try ValidationRule.parse(text, path: "\(path).messageExpression")
        }
        reason = json["reason"]?.stringValue.flatMap(FieldError.Kind.init) ?? .invalid
        let fieldPath = json["fieldPath"]?.stringValue ?? ""
        self.fieldPath = fieldPath.hasPrefix(".") ? String(fieldPath.dropFirst()) : fieldPath
        usesOldSelf = expression.mentions("oldSelf")
        isOldSelfOptional = json["optionalOldSelf"]?.boolValue ?? false
    }

    private static func parse(_ text: String, path: String) throws(SandboxError) -> CELExpression {
        do throws(CELError) {
            return try CELParser.parse(text)
        } catch {
            throw SandboxError(
                .invalidCRD, "\(path): Invalid value: \"\(text)\": compilation failed: \(error.message)")
        }
    }
}

extension CELExpression {
    /// Whether a variable occurs in the expression.
    func mentions(_ name: String) -> Bool {
        switch self {
        case .literal: false
        case .variable(let variable): variable == name
        case .list(let elements), .call(_, let elements): elements.contains { $0.mentions(name) }
        case .select(let operand, _), .has(let operand, _), .not(let operand), .negate(let operand):
            operand.mentions(name)
        case .index(let left, let right), .and(let left, let right), .or(let left, let right),
            .binary(_, let left, let right):
            left.mentions(name) || right.mentions(name)
        case .conditional(let condition, let left, let right):
            condition.mentions(name) || left.mentions(name) || right.mentions(name)
        case .comprehension(_, let range, _, let body): range.mentions(name) || body.mentions(name)
        }
    }
}
