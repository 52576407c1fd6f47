import Encoding

/// A parsed CEL expression, with the place of each part for messages.
struct CELExpression: Sendable {
    indirect enum Kind: Sendable {
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
        /// The receiver of a method is the first argument.
        case call(CELFunction, [CELExpression], isMethod: Bool)
        case comprehension(CELMacro, range: CELExpression, variable: String, body: CELExpression)
    }

    let kind: Kind
    /// Offset in Unicode scalars where CEL's own messages point: an operator, a dot, an opening parenthesis.
    let position: Int

    init(_ kind: Kind, at position: Int) {
        self.kind = kind
        self.position = position
    }
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

    /// As messages name it: `_==_`, `@in`.
    var name: String { self == .isIn ? "@in" : "_\(rawValue)_" }
}

/// The macros over lists and maps.
enum CELMacro: String, Sendable {
    case all, exists, map, filter
    case existsOne = "exists_one"
}

/// The functions that are known; all others are refused when a definition is loaded.
enum CELFunction: String, Sendable {
    case size, matches, startsWith, endsWith, contains, isSorted, sum, min, max
    case double, int, string, timestamp, duration, dyn, hasValue, value, orValue

    /// How many arguments it takes, the receiver included.
    var arity: Int {
        switch self {
        case .matches, .startsWith, .endsWith, .contains, .orValue: 2
        default: 1
        }
    }

    var isGlobal: Bool {
        switch self {
        case .size, .double, .int, .string, .timestamp, .duration, .dyn, .matches: true
        default: false
        }
    }

    var isMethod: Bool {
        switch self {
        case .double, .int, .string, .timestamp, .duration, .dyn: false
        default: true
        }
    }
}

/// Why an expression could not be parsed, checked or evaluated.
struct CELError: Error, Sendable, Hashable {
    var message: String
    /// Where in the expression, in Unicode scalars; nil for errors of values.
    var position: Int?

    init(_ message: String, at position: Int? = nil) {
        self.message = message
        self.position = position
    }

    /// As cel-go shows it: the place, the message, the line and an arrow below it.
    func shown(in text: String) -> String {
        guard let position else { return "ERROR: <input>: \(message)" }
        let scalars = Array(text.unicodeScalars)
        let before = scalars.prefix(position)
        let line = before.count { $0 == "\n" } + 1
        let start = before.lastIndex(of: "\n").map { $0 + 1 } ?? 0
        let end = scalars[min(start, scalars.count)...].firstIndex(of: "\n") ?? scalars.count
        let snippet = String(String.UnicodeScalarView(scalars[min(start, end)..<end]))
        let column = min(position, scalars.count) - start
        return "ERROR: <input>:\(line):\(column + 1): \(message)\n | \(snippet)\n | "
            + String(repeating: ".", count: max(0, column)) + "^"
    }
}

extension CELExpression {
    /// Whether a variable occurs in the expression.
    func mentions(_ name: String) -> Bool {
        switch kind {
        case .literal: false
        case .variable(let variable): variable == name
        case .list(let elements), .call(_, let elements, _): elements.contains { $0.mentions(name) }
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
