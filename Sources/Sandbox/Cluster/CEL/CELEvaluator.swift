import Encoding

/// What an expression evaluates to.
enum CELValue: Sendable, Hashable {
    case json(JSONValue)
    /// `oldSelf` of a rule with `optionalOldSelf`.
    case optional(JSONValue?)
}

/// Evaluates an expression within a budget of steps.
struct CELEvaluator {
    /// Steps that are left; one rule cannot hold the server up.
    private(set) var budget: Int
    private var variables: [String: CELValue]

    /// Steps of one request's rules together.
    static let requestBudget = 5_000_000

    init(variables: [String: CELValue], budget: Int = CELEvaluator.requestBudget) {
        self.variables = variables
        self.budget = budget
    }

    /// The truth of a rule.
    mutating func evaluateCondition(_ expression: CELExpression) throws(CELError) -> Bool {
        guard case .json(.bool(let value)) = try evaluate(expression) else {
            throw CELError("the rule does not evaluate to a bool")
        }
        return value
    }

    mutating func evaluate(_ expression: CELExpression) throws(CELError) -> CELValue {
        try spend(1)
        switch expression {
        case .literal(let value): return .json(value)
        case .list(let elements):
            var values: [JSONValue] = []
            for element in elements { values.append(try json(element)) }
            return .json(.array(values))
        case .variable(let name):
            guard let value = variables[name] else { throw CELError("undeclared reference to '\(name)'") }
            return value
        case .select(let operand, let field): return .json(try select(try json(operand), field))
        case .has(let operand, let field): return .json(.bool(try has(try json(operand), field)))
        case .index(let operand, let index): return .json(try element(try json(operand), try json(index)))
        case .not(let operand): return .json(.bool(!(try boolean(operand))))
        case .negate(let operand): return .json(try negated(try json(operand)))
        case .and(let left, let right): return .json(.bool(try logical(left, right, decidedBy: false)))
        case .or(let left, let right): return .json(.bool(try logical(left, right, decidedBy: true)))
        case .conditional(let condition, let left, let right):
            return try evaluate(try boolean(condition) ? left : right)
        case .binary(let symbol, let left, let right):
            return .json(try binary(symbol, try evaluate(left), try evaluate(right)))
        case .call(let function, let arguments):
            var values: [CELValue] = []
            for argument in arguments { values.append(try evaluate(argument)) }
            try spend(CELEvaluator.size(of: values))
            return try CELFunctions.call(function, values)
        case .comprehension(let macro, let range, let variable, let body):
            return .json(try comprehension(macro, try json(range), variable, body))
        }
    }

    private mutating func spend(_ steps: Int) throws(CELError) {
        budget -= steps
        guard budget > 0 else { throw CELError("operation cancelled: actual cost limit exceeded") }
    }

    /// String functions cost by length.
    private static func size(of values: [CELValue]) -> Int {
        values.reduce(0) { sum, value in
            if case .json(.string(let text)) = value { sum + text.utf8.count / 8 } else { sum }
        }
    }

    private mutating func json(_ expression: CELExpression) throws(CELError) -> JSONValue {
        guard case .json(let value) = try evaluate(expression) else {
            throw CELError("no such overload: an optional is no value, use hasValue() and value()")
        }
        return value
    }

    private mutating func boolean(_ expression: CELExpression) throws(CELError) -> Bool {
        guard case .bool(let value) = try json(expression) else { throw CELError("no such overload") }
        return value
    }

    /// `&&` and `||`: an operand that decides alone wins over an error of the other.
    private mutating func logical(
        _ left: CELExpression, _ right: CELExpression, decidedBy decision: Bool
    ) throws(CELError) -> Bool {
        let failure: CELError
        do throws(CELError) {
            if try boolean(left) == decision { return decision }
            return try boolean(right)
        } catch {
            failure = error
        }
        guard budget > 0, try boolean(right) == decision else { throw failure }
        return decision
    }

    private func select(_ operand: JSONValue, _ field: String) throws(CELError) -> JSONValue {
        guard case .object(let members) = operand else {
            throw CELError("no such overload: a \(operand.typeName) has no fields")
        }
        guard let value = members[field] else { throw CELError("no such key: \(field)") }
        return value
    }

    private func has(_ operand: JSONValue, _ field: String) throws(CELError) -> Bool {
        guard case .object(let members) = operand else {
            throw CELError("no such overload: a \(operand.typeName) has no fields")
        }
        return members[field] != nil
    }

    private func element(_ operand: JSONValue, _ index: JSONValue) throws(CELError) -> JSONValue {
        switch (operand, index) {
        case (.array(let elements), .integer(let position)):
            guard position >= 0, position < elements.count else { throw CELError("index out of bounds: \(position)") }
            return elements[Int(position)]
        case (.object(let members), .string(let key)):
            guard let value = members[key] else { throw CELError("no such key: \(key)") }
            return value
        default: throw CELError("no such overload")
        }
    }

    private func negated(_ value: JSONValue) throws(CELError) -> JSONValue {
        switch value {
        case .integer(let number):
            guard number != .min else { throw CELError("integer overflow") }
            return .integer(-number)
        case .number(let number): return .number(-number)
        default: throw CELError("no such overload")
        }
    }

    private mutating func binary(
        _ symbol: CELOperator, _ left: CELValue, _ right: CELValue
    ) throws(CELError) -> JSONValue {
        guard case .json(let left) = left, case .json(let right) = right else {
            throw CELError("no such overload: an optional is no value, use hasValue() and value()")
        }
        switch symbol {
        case .equal: return .bool(CELFunctions.areEqual(left, right))
        case .notEqual: return .bool(!CELFunctions.areEqual(left, right))
        case .less: return .bool(try CELFunctions.order(left, right) < 0)
        case .lessOrEqual: return .bool(try CELFunctions.order(left, right) <= 0)
        case .greater: return .bool(try CELFunctions.order(left, right) > 0)
        case .greaterOrEqual: return .bool(try CELFunctions.order(left, right) >= 0)
        case .isIn:
            switch right {
            case .array(let elements):
                try spend(elements.count)
                return .bool(elements.contains { CELFunctions.areEqual(left, $0) })
            case .object(let members): return .bool(left.stringValue.map { members[$0] != nil } ?? false)
            default: throw CELError("no such overload")
            }
        case .add, .subtract, .multiply, .divide, .remainder:
            return try CELFunctions.arithmetic(symbol, left, right)
        }
    }

    private mutating func comprehension(
        _ macro: CELMacro, _ range: JSONValue, _ variable: String, _ body: CELExpression
    ) throws(CELError) -> JSONValue {
        let elements: [JSONValue]
        switch range {
        case .array(let values): elements = values
        case .object(let members): elements = members.keys.sorted().map(JSONValue.string)
        default: throw CELError("no such overload: a \(range.typeName) cannot be iterated")
        }
        let shadowed = variables[variable]
        defer { variables[variable] = shadowed }
        var results: [JSONValue] = []
        var trueCount = 0
        var failure: CELError?
        for element in elements {
            variables[variable] = .json(element)
            if macro == .map {
                results.append(try json(body))
                continue
            }
            do throws(CELError) {
                let isTrue = try boolean(body)
                if isTrue { trueCount += 1 }
                if macro == .all, !isTrue { return false }
                if macro == .exists, isTrue { return true }
                if macro == .filter, isTrue { results.append(element) }
            } catch {
                // all and exists may still be decided by another element; the others may not.
                guard macro == .all || macro == .exists, budget > 0 else { throw error }
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        switch macro {
        case .all: return true
        case .exists: return false
        case .existsOne: return .bool(trueCount == 1)
        case .filter, .map: return .array(results)
        }
    }
}
