import Encoding

extension CELChecker {
    // MARK: Operators

    func binary(_ symbol: CELOperator, _ left: Part, _ right: Part, at place: Int) throws(CELError) -> Part {
        let failure = mismatch(symbol.name, [left.type, right.type], at: place)
        let operands = left.cost + right.cost
        switch symbol {
        case .equal, .notEqual:
            guard left.type.isSame(as: right.type) else { throw failure }
            return Part(type: .bool, cost: comparison(left, right) + operands, size: 1)
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard areOrdered(left.type, right.type) else { throw failure }
            let isText = isText(left.type) || isText(right.type)
            let isUnknown = left.type.isAny || right.type.isAny
            let cost = isText ? comparison(left, right) : isUnknown ? max(.one, comparison(left, right)) : .one
            return Part(type: .bool, cost: cost + operands, size: 1)
        case .isIn:
            switch right.type {
            case .list(let element) where left.type.isSame(as: element): break
            case .any: break
            case .map where left.type.isSame(as: .string):
                return Part(type: .bool, cost: .one + operands, size: 1)
            default: throw failure
            }
            return Part(type: .bool, cost: CELCost(right.worstSize) + operands, size: 1)
        case .add: return try addition(left, right, failure)
        case .subtract, .multiply, .divide, .remainder:
            guard let type = arithmeticType(symbol, left.type, right.type) else { throw failure }
            return Part(type: type, cost: .one + operands, size: 1)
        }
    }

    /// Two values are compared up to the end of the shorter one.
    private func comparison(_ left: Part, _ right: Part) -> CELCost {
        .of(min(left.worstSize, right.worstSize), factor: CELCost.textFactor)
    }

    private func isText(_ type: CELType) -> Bool {
        switch type {
        case .string, .bytes: true
        default: false
        }
    }

    private func areOrdered(_ left: CELType, _ right: CELType) -> Bool {
        switch (left, right) {
        case (.any, .list), (.any, .map), (.any, .object), (.any, .null), (.any, .optional): false
        case (.any, _): true
        case (_, .any): areOrdered(right, left)
        case (.int, .double), (.double, .int): true
        case (.bool, .bool), (.int, .int), (.double, .double), (.string, .string), (.bytes, .bytes),
            (.timestamp, .timestamp), (.duration, .duration):
            true
        default: false
        }
    }

    private func addition(_ left: Part, _ right: Part, _ failure: CELError) throws(CELError) -> Part {
        let (sum, overflow) = left.worstSize.addingReportingOverflow(right.worstSize)
        let size = overflow ? UInt64.max : sum
        let operands = left.cost + right.cost
        let text = CELCost.of(size, factor: CELCost.textFactor)
        switch (left.type, right.type) {
        case (.string, .string), (.bytes, .bytes): return Part(type: left.type, cost: text + operands, size: size)
        case (.list(let first), .list(let second)) where first.isSame(as: second):
            return Part(type: left.type.joined(right.type), cost: .one + operands, size: size)
        case (.any, _), (_, .any): return Part(type: .any, cost: max(.one, text) + operands, size: size)
        default:
            guard let type = arithmeticType(.add, left.type, right.type) else { throw failure }
            return Part(type: type, cost: .one + operands, size: 1)
        }
    }

    private func arithmeticType(_ symbol: CELOperator, _ left: CELType, _ right: CELType) -> CELType? {
        switch (left, right) {
        case (.int, .int): return .int
        case (.double, .double) where symbol != .remainder: return .double
        case (.any, .any), (.any, .int), (.int, .any): return .any
        case (.any, .double), (.double, .any): return symbol == .remainder ? nil : .any
        case (.timestamp, .duration) where symbol == .add || symbol == .subtract: return .timestamp
        case (.duration, .timestamp) where symbol == .add: return .timestamp
        case (.timestamp, .timestamp) where symbol == .subtract: return .duration
        case (.duration, .duration) where symbol == .add || symbol == .subtract: return .duration
        default: return nil
        }
    }

    // MARK: Functions

    func call(
        _ function: CELFunction, _ expressions: [CELExpression], _ arguments: [Part], isMethod: Bool, at place: Int
    ) throws(CELError) -> Part {
        let types = arguments.map(\.type)
        let failure = mismatch(function.rawValue, types, isMethod: isMethod, at: place)
        let operands = arguments.dropFirst().reduce(arguments[0].cost) { $0 + $1.cost }
        guard let type = resultType(function, types) else { throw failure }
        try checkLiteral(function, expressions)
        let cost = functionCost(function, arguments, isMethod: isMethod)
        var part = Part(type: type, cost: cost + operands)
        if function == .dyn {
            part.size = arguments[0].size
            part.elementSize = arguments[0].elementSize
        } else if type.isScalar {
            part.size = 1
        }
        return part
    }

    private func resultType(_ function: CELFunction, _ types: [CELType]) -> CELType? {
        switch (function, types[0]) {
        case (.size, .any), (.size, .string), (.size, .bytes), (.size, .list), (.size, .map): return .int
        case (.matches, _), (.startsWith, _), (.endsWith, _), (.contains, _):
            return types.allSatisfy { $0.isSame(as: .string) } ? .bool : nil
        case (.isSorted, .any): return .bool
        case (.isSorted, .list(let element)): return areOrdered(element, element) || element.isAny ? .bool : nil
        case (.sum, .any), (.min, .any), (.max, .any): return .any
        case (.sum, .list(let element)): return isSummable(element) ? element : nil
        case (.min, .list(let element)), (.max, .list(let element)):
            return areOrdered(element, element) || element.isAny ? element : nil
        case (.dyn, _): return .any
        case (.double, let type): return type.isAny || type.isNumber || type.isSame(as: .string) ? .double : nil
        case (.int, let type):
            return type.isAny || type.isNumber || type.isSame(as: .string) || type.isSame(as: .timestamp) ? .int : nil
        case (.string, .list), (.string, .map), (.string, .object), (.string, .null), (.string, .optional): return nil
        case (.string, _): return .string
        case (.timestamp, let type):
            return type.isSame(as: .string) || type.isSame(as: .timestamp) || type.isSame(as: .int) ? .timestamp : nil
        case (.duration, let type): return type.isSame(as: .string) || type.isSame(as: .duration) ? .duration : nil
        case (.hasValue, .optional): return .bool
        case (.value, .optional(let content)): return content
        case (.orValue, .optional(let content)): return content.isSame(as: types[1]) ? content : nil
        default: return nil
        }
    }

    private func isSummable(_ type: CELType) -> Bool {
        switch type {
        case .any, .int, .double, .duration: true
        default: false
        }
    }

    /// Literals are tried now and not in somebody's update.
    private func checkLiteral(_ function: CELFunction, _ expressions: [CELExpression]) throws(CELError) {
        guard let last = expressions.last, case .literal(.string(let text)) = last.kind else { return }
        switch function {
        case .matches:
            do throws(SandboxError) {
                _ = try Pattern(text)
            } catch {
                throw CELError("invalid matches argument: \(error.message)", at: last.position)
            }
        case .timestamp where Timestamp(text) == nil:
            throw CELError("invalid timestamp argument", at: last.position)
        case .duration where CELDuration.parse(text) == nil:
            throw CELError("invalid duration argument", at: last.position)
        default: return
        }
    }

    private func functionCost(_ function: CELFunction, _ arguments: [Part], isMethod: Bool) -> CELCost {
        let target = arguments[0]
        switch function {
        case .isSorted, .sum, .min, .max:
            var perElement = CELCost.one
            if case .list(let element) = target.type, isText(element) {
                let size = target.path.isEmpty ? nil : root.at((target.path + [.elements]).dropFirst())?.maximumSize
                perElement = perElement + .of(size ?? .max, factor: CELCost.textFactor)
            }
            return CELCost(target.worstSize) * perElement
        case .startsWith, .endsWith: return .of(arguments[1].worstSize, factor: CELCost.textFactor)
        case .contains:
            return .of(target.worstSize, factor: CELCost.textFactor)
                * .of(arguments[1].worstSize, factor: CELCost.textFactor)
        case .matches where isMethod:
            let size = target.worstSize
            return .of(size == .max ? size : size + 1, factor: CELCost.textFactor)
                * .of(arguments[1].worstSize, factor: CELCost.patternFactor)
        default: return .one
        }
    }
}
