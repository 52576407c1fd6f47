import Encoding

/// Checks an expression against the declaration of `self` when a definition is loaded, and bounds what it can cost.
///
/// Types are as strict as the API server's. The cost is computed as cel-go and the API server's library compute it, so
/// that a definition which passes here passes there: each part has a cost, and where known a largest size and the way
/// that leads to it from `self`.
struct CELChecker {
    /// What is known of a part of an expression.
    struct Part {
        var type: CELType
        var cost: CELCost
        /// From a variable to the value; empty for computed values.
        var path: [CELPathStep] = []
        /// The largest `size()`; nil when nothing bounds it.
        var size: UInt64?
        /// Of the elements of a list literal.
        var elementSize: UInt64?

        /// The size that costs are computed with.
        var worstSize: UInt64 { size ?? .max }
    }

    private struct Variable {
        var type: CELType
        var path: [CELPathStep]
        var size: UInt64?
        var elementSize: UInt64?
    }

    let root: CELDeclaration
    private var variables: [String: Variable]

    /// - Parameter wanted: what the expression must evaluate to.
    /// - Returns: the worst case of one evaluation.
    static func cost(
        of expression: CELExpression, self root: CELDeclaration, isOldSelfOptional: Bool, wanted: CELType
    ) throws(CELError) -> CELCost {
        let type = CELType(root)
        var checker = CELChecker(
            root: root,
            variables: [
                "self": Variable(type: type, path: [.field("self")]),
                "oldSelf": Variable(
                    type: isOldSelfOptional ? .optional(type) : type, path: [.field("oldSelf")]),
            ])
        let part = try checker.part(expression)
        guard part.type.name == wanted.name else { throw CELError("must evaluate to a \(wanted.name)") }
        return part.cost
    }

    mutating func part(_ expression: CELExpression) throws(CELError) -> Part {
        let place = expression.position
        switch expression.kind {
        case .literal(let value):
            let size = value.stringValue.map { UInt64($0.unicodeScalars.count) } ?? 1
            return Part(type: CELType(literal: value), cost: .zero, size: size)
        case .list(let elements): return try list(elements)
        case .variable(let name): return try variable(name, at: place)
        case .select(let operand, let field): return try select(try part(operand), field, at: place)
        case .has(let operand, let field):
            let operand = try part(operand)
            _ = try select(operand, field, at: place)
            return Part(type: .bool, cost: operand.cost, size: 1)
        case .index(let operand, let index): return try element(of: try part(operand), try part(index), at: place)
        case .not(let operand):
            let operand = try part(operand)
            guard operand.type.isSame(as: .bool) else { throw mismatch("!_", [operand.type], at: place) }
            return Part(type: .bool, cost: .one + operand.cost, size: 1)
        case .negate(let operand):
            let operand = try part(operand)
            guard operand.type.isNumber || operand.type.isAny else { throw mismatch("-_", [operand.type], at: place) }
            return Part(type: operand.type, cost: .one + operand.cost, size: 1)
        case .and(let left, let right): return try logical("_&&_", left, right, at: place)
        case .or(let left, let right): return try logical("_||_", left, right, at: place)
        case .conditional(let condition, let left, let right):
            return try conditional(try part(condition), try part(left), try part(right), at: place)
        case .binary(let symbol, let left, let right):
            return try binary(symbol, try part(left), try part(right), at: place)
        case .call(let function, let arguments, let isMethod):
            var parts: [Part] = []
            for argument in arguments { parts.append(try part(argument)) }
            return try call(function, arguments, parts, isMethod: isMethod, at: place)
        case .comprehension(let macro, let range, let variable, let body):
            return try comprehension(macro, try part(range), variable, body, at: place)
        }
    }

    func mismatch(_ function: String, _ types: [CELType], isMethod: Bool = false, at place: Int) -> CELError {
        let names = types.map(\.name)
        let applied =
            isMethod
            ? "\(names[0]).(\(names.dropFirst().joined(separator: ", ")))" : "(\(names.joined(separator: ", ")))"
        return CELError("found no matching overload for '\(function)' applied to '\(applied)'", at: place)
    }

    /// The size of a value: what its declaration says, 1 for scalars, else what its source says.
    private func size(_ path: [CELPathStep], _ type: CELType, _ fallback: UInt64? = nil) -> UInt64? {
        if !path.isEmpty, let declaration = root.at(path.dropFirst()) { return declaration.maximumSize }
        return type.isScalar ? 1 : fallback
    }

    private func variable(_ name: String, at place: Int) throws(CELError) -> Part {
        guard let variable = variables[name] else {
            throw CELError("undeclared reference to '\(name)' (in container '')", at: place)
        }
        return Part(
            type: variable.type, cost: .one, path: variable.path,
            size: size(variable.path, variable.type, variable.size), elementSize: variable.elementSize)
    }

    private mutating func list(_ elements: [CELExpression]) throws(CELError) -> Part {
        var type = CELType.any
        var cost = CELCost.list
        var elementSize: UInt64 = 0
        for (index, element) in elements.enumerated() {
            let part = try part(element)
            if index == 0 {
                type = part.type
            } else if !type.isSame(as: part.type) {
                throw CELError(
                    "expected type '\(type.name)' but found '\(part.type.name)'", at: element.position)
            }
            cost = cost + part.cost
            elementSize = max(elementSize, part.worstSize)
        }
        return Part(type: .list(type), cost: cost, size: UInt64(elements.count), elementSize: elementSize)
    }

    private func select(_ operand: Part, _ field: String, at place: Int) throws(CELError) -> Part {
        let type: CELType
        var cost = operand.cost
        switch operand.type {
        case .any: type = .any
        case .map(let value):
            type = value
            cost = cost + .one
        case .object(let declaration):
            guard let property = declaration.fields[field] else {
                throw CELError("undefined field '\(field)'", at: place)
            }
            type = CELType(property)
            cost = cost + .one
        default: throw CELError("type '\(operand.type.name)' does not support field selection", at: place)
        }
        let path = operand.path + [.field(field)]
        return Part(type: type, cost: cost, path: path, size: size(path, type))
    }

    private func element(of operand: Part, _ index: Part, at place: Int) throws(CELError) -> Part {
        let type: CELType
        switch operand.type {
        case .any: type = .any
        case .list(let element) where index.type.isSame(as: .int): type = element
        case .map(let value) where index.type.isSame(as: .string): type = value
        default: throw mismatch("_[_]", [operand.type, index.type], at: place)
        }
        let path = operand.path + [.elements]
        return Part(
            type: type, cost: .one + operand.cost + index.cost, path: path,
            size: operand.elementSize ?? size(path, type))
    }

    private mutating func logical(
        _ name: String, _ left: CELExpression, _ right: CELExpression, at place: Int
    ) throws(CELError) -> Part {
        let left = try part(left)
        let right = try part(right)
        guard left.type.isSame(as: .bool), right.type.isSame(as: .bool) else {
            throw mismatch(name, [left.type, right.type], at: place)
        }
        return Part(type: .bool, cost: left.cost + right.cost, size: 1)
    }

    private func conditional(
        _ condition: Part, _ left: Part, _ right: Part, at place: Int
    ) throws(CELError) -> Part {
        guard condition.type.isSame(as: .bool), left.type.isSame(as: right.type) else {
            throw mismatch("_?_:_", [condition.type, left.type, right.type], at: place)
        }
        var result = Part(
            type: left.type.joined(right.type), cost: condition.cost + max(left.cost, right.cost),
            size: max(left.worstSize, right.worstSize))
        if let first = left.elementSize, let second = right.elementSize { result.elementSize = max(first, second) }
        return result
    }

    private mutating func comprehension(
        _ macro: CELMacro, _ range: Part, _ name: String, _ body: CELExpression, at place: Int
    ) throws(CELError) -> Part {
        let type: CELType
        var step = CELPathStep.keys
        switch range.type {
        case .any: type = .any
        case .list(let element): (type, step) = (element, .elements)
        case .map: type = .string
        default:
            throw CELError(
                "expression of type '\(range.type.name)' cannot be range of a comprehension (must be list, map, or "
                    + "dynamic)", at: place)
        }
        let shadowed = variables[name]
        variables[name] = Variable(type: type, path: range.path + [step], size: range.elementSize)
        defer { variables[name] = shadowed }
        let result = try part(body)
        if macro != .map, !result.type.isSame(as: .bool) {
            throw CELError("expected type 'bool' but found '\(result.type.name)'", at: body.position)
        }
        let overhead = macro.overhead
        let loops = CELCost(range.worstSize) * (CELCost(overhead.perElement) + result.cost)
        var whole = Part(type: .bool, cost: range.cost + CELCost(overhead.once) + loops, size: 1)
        switch macro {
        case .all, .exists, .existsOne: break
        case .map: (whole.type, whole.size, whole.elementSize) = (.list(result.type), range.size, result.size)
        case .filter: (whole.type, whole.size) = (.list(type), range.size)
        }
        return whole
    }
}

extension CELMacro {
    /// What the loop that a macro stands for costs beside its range and its body.
    var overhead: (once: UInt64, perElement: UInt64) {
        switch self {
        case .all: (1, 3)
        case .exists: (1, 4)
        case .existsOne: (2, 2)
        case .map: (11, 12)
        case .filter: (11, 13)
        }
    }
}
