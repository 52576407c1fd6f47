import Encoding

/// Evaluates a checked expression, and counts what it costs in CEL's units.
struct CELEvaluator {
    /// What may still be spent on this call.
    private var left: UInt64
    private let limit: UInt64
    private var variables: [String: CELValue]

    /// The API server's limit of one call of a rule: about a tenth of a second.
    static let callLimit: UInt64 = 1_000_000
    /// Its limit of all rules of one request together.
    static let requestLimit: UInt64 = 10_000_000

    init(variables: [String: CELValue], limit: UInt64 = CELEvaluator.callLimit) {
        self.variables = variables
        self.limit = limit
        left = limit
    }

    /// What was spent so far.
    var cost: UInt64 { limit - left }

    static let limitMessage = "operation cancelled: actual cost limit exceeded"

    /// The truth of a rule.
    mutating func evaluateCondition(_ expression: CELExpression) throws(CELError) -> Bool {
        guard case .bool(let value) = try evaluate(expression) else { throw CELError("no such overload") }
        return value
    }

    mutating func evaluate(_ expression: CELExpression) throws(CELError) -> CELValue {
        switch expression.kind {
        case .literal(let value): return CELValue(literal: value)
        case .list(let elements):
            try spend(.list)
            var values: [CELValue] = []
            for element in elements { values.append(try evaluate(element)) }
            return .list(values)
        case .variable(let name):
            try spend(.one)
            guard let value = variables[name] else { throw CELError("no such attribute: \(name)") }
            return value
        case .select(let operand, let field):
            let operand = try evaluate(operand)
            try spend(.one)
            guard let value = try operand.member(field) else { throw CELError("no such key: \(field)") }
            return value
        case .has(let operand, let field): return .bool(try evaluate(operand).member(field) != nil)
        case .index(let operand, let index): return try element(try evaluate(operand), try evaluate(index))
        case .not(let operand):
            try spend(.one)
            return .bool(!(try boolean(operand)))
        case .negate(let operand):
            try spend(.one)
            return try CELFunctions.negated(try evaluate(operand))
        case .and(let left, let right): return .bool(try logical(left, right, decidedBy: false))
        case .or(let left, let right): return .bool(try logical(left, right, decidedBy: true))
        case .conditional(let condition, let left, let right):
            return try evaluate(try boolean(condition) ? left : right)
        case .binary(let symbol, let left, let right):
            let (left, right) = (try evaluate(left), try evaluate(right))
            try spend(CELFunctions.cost(symbol, left, right))
            return try CELFunctions.binary(symbol, left, right)
        case .call(let function, let arguments, _):
            var values: [CELValue] = []
            for argument in arguments { values.append(try evaluate(argument)) }
            try spend(CELFunctions.cost(function, values))
            return try CELFunctions.call(function, values)
        case .comprehension(let macro, let range, let variable, let body):
            return try comprehension(macro, try evaluate(range), variable, body)
        }
    }

    private mutating func spend(_ cost: CELCost) throws(CELError) {
        guard cost.units <= left else {
            left = 0
            throw CELError(CELEvaluator.limitMessage)
        }
        left -= cost.units
    }

    private mutating func boolean(_ expression: CELExpression) throws(CELError) -> Bool {
        guard case .bool(let value) = try evaluate(expression) else { throw CELError("no such overload") }
        return value
    }

    /// `&&` and `||`: an operand that decides alone wins over an error of the other.
    private mutating func logical(
        _ first: CELExpression, _ second: CELExpression, decidedBy decision: Bool
    ) throws(CELError) -> Bool {
        let failure: CELError
        do throws(CELError) {
            if try boolean(first) == decision { return decision }
            return try boolean(second)
        } catch {
            failure = error
        }
        guard left > 0, try boolean(second) == decision else { throw failure }
        return decision
    }

    private mutating func element(_ operand: CELValue, _ index: CELValue) throws(CELError) -> CELValue {
        try spend(.one)
        switch (operand, index) {
        case (.object, .string(let key)):
            guard let value = try operand.member(key) else { throw CELError("no such key: \(key)") }
            return value
        case (.array(let elements, let declaration), .int(let position)):
            guard elements.indices.contains(Int(clamping: position)) else {
                throw CELError("index out of bounds: \(position)")
            }
            return try CELValue(elements[Int(position)], declaration.element)
        case (.list(let elements), .int(let position)):
            guard elements.indices.contains(Int(clamping: position)) else {
                throw CELError("index out of bounds: \(position)")
            }
            return elements[Int(position)]
        default: throw CELError("no such overload")
        }
    }

    // MARK: Macros

    private mutating func comprehension(
        _ macro: CELMacro, _ range: CELValue, _ variable: String, _ body: CELExpression
    ) throws(CELError) -> CELValue {
        let elements: [CELValue]
        if case .object(let members, _) = range {
            elements = members.keys.sorted().map(CELValue.string)
        } else if let values = try range.elements() {
            elements = values
        } else {
            throw CELError("no such overload")
        }
        let overhead = macro.overhead
        try spend(CELCost(overhead.once))
        let shadowed = variables[variable]
        defer { variables[variable] = shadowed }
        var loop = Loop()
        for element in elements {
            try spend(CELCost(overhead.perElement))
            variables[variable] = element
            if macro == .map {
                loop.results.append(try evaluate(body))
            } else if try step(macro, body, element, &loop) {
                return .bool(macro == .exists)
            }
        }
        if let failure = loop.failure { throw failure }
        switch macro {
        case .all: return .bool(true)
        case .exists: return .bool(false)
        case .existsOne: return .bool(loop.trueCount == 1)
        case .filter, .map: return .list(loop.results)
        }
    }

    private struct Loop {
        var results: [CELValue] = []
        var trueCount = 0
        var failure: CELError?
    }

    /// One round; true when the outcome is decided.
    private mutating func step(
        _ macro: CELMacro, _ body: CELExpression, _ element: CELValue, _ loop: inout Loop
    ) throws(CELError) -> Bool {
        do throws(CELError) {
            guard try boolean(body) else { return macro == .all }
            loop.trueCount += 1
            if macro == .filter { loop.results.append(element) }
            return macro == .exists
        } catch {
            // all and exists may still be decided by another element; the others may not.
            guard macro == .all || macro == .exists, left > 0 else { throw error }
            loop.failure = loop.failure ?? error
            return false
        }
    }
}
