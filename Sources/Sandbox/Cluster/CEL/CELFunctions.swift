import Encoding

/// The functions and operators over values, and what they cost.
enum CELFunctions {
    // MARK: Cost

    static func cost(_ symbol: CELOperator, _ left: CELValue, _ right: CELValue) -> CELCost {
        switch symbol {
        case .equal, .notEqual: return .of(min(left.size, right.size), factor: CELCost.textFactor)
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard case .string = left else { return .one }
            return .of(min(left.size, right.size), factor: CELCost.textFactor)
        case .isIn:
            if case .object = right { return .one }
            return CELCost(right.size)
        case .add:
            guard case .string = left else { return .one }
            return .of(left.size + right.size, factor: CELCost.textFactor)
        case .subtract, .multiply, .divide, .remainder: return .one
        }
    }

    static func cost(_ function: CELFunction, _ arguments: [CELValue]) -> CELCost {
        let target = arguments[0]
        switch function {
        case .isSorted, .sum, .min, .max: return CELCost(max(1, target.size))
        case .startsWith, .endsWith: return .of(arguments[1].size, factor: CELCost.textFactor)
        case .contains:
            return .of(target.size, factor: CELCost.textFactor) * .of(arguments[1].size, factor: CELCost.textFactor)
        case .matches:
            return .of(target.size + 1, factor: CELCost.textFactor)
                * .of(arguments[1].size, factor: CELCost.patternFactor)
        default: return .one
        }
    }

    // MARK: Operators

    static func binary(_ symbol: CELOperator, _ left: CELValue, _ right: CELValue) throws(CELError) -> CELValue {
        switch symbol {
        case .equal: return .bool(try CELValue.areEqual(left, right))
        case .notEqual: return .bool(!(try CELValue.areEqual(left, right)))
        case .less: return .bool(try order(left, right) == -1)
        case .lessOrEqual: return .bool(try order(left, right).map { $0 <= 0 } ?? false)
        case .greater: return .bool(try order(left, right) == 1)
        case .greaterOrEqual: return .bool(try order(left, right).map { $0 >= 0 } ?? false)
        case .isIn:
            if case .object = right {
                guard case .string(let key) = left else { return .bool(false) }
                return .bool(try right.member(key) != nil)
            }
            guard let elements = try right.elements() else { throw CELError("no such overload") }
            for element in elements where try CELValue.areEqual(left, element) { return .bool(true) }
            return .bool(false)
        case .add, .subtract, .multiply, .divide, .remainder: return try arithmetic(symbol, left, right)
        }
    }

    static func negated(_ value: CELValue) throws(CELError) -> CELValue {
        switch value {
        case .int(let number):
            guard number != .min else { throw CELError("integer overflow") }
            return .int(-number)
        case .double(let number): return .double(-number)
        default: throw CELError("no such overload")
        }
    }

    /// -1, 0 or 1; nil when one of them is no number (NaN).
    static func order(_ left: CELValue, _ right: CELValue) throws(CELError) -> Int? {
        switch (left, right) {
        case (.int(let left), .int(let right)): return compare(left, right)
        case (.double(let left), .double(let right)): return compare(left, right)
        case (.int(let left), .double(let right)): return compare(Double(left), right)
        case (.double(let left), .int(let right)): return compare(left, Double(right))
        case (.timestamp(let left), .timestamp(let right)): return compare(left, right)
        case (.duration(let left), .duration(let right)): return compare(left, right)
        case (.bool(let left), .bool(let right)): return compare(left ? 1 : 0, right ? 1 : 0)
        case (.string(let left), .string(let right)):
            // By bytes, as Go does; Swift's own order is by canonical equivalence.
            if left.utf8.elementsEqual(right.utf8) { return 0 }
            return left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
        case (.bytes(let left), .bytes(let right)):
            return left == right ? 0 : left.lexicographicallyPrecedes(right) ? -1 : 1
        default: throw CELError("no such overload")
        }
    }

    private static func compare<Value: Comparable>(_ left: Value, _ right: Value) -> Int? {
        left < right ? -1 : left == right ? 0 : left > right ? 1 : nil
    }

    private static func arithmetic(
        _ symbol: CELOperator, _ left: CELValue, _ right: CELValue
    ) throws(CELError) -> CELValue {
        switch (symbol, left, right) {
        case (_, .int(let left), .int(let right)): return .int(try integer(symbol, left, right))
        case (.add, .double(let left), .double(let right)): return .double(left + right)
        case (.subtract, .double(let left), .double(let right)): return .double(left - right)
        case (.multiply, .double(let left), .double(let right)): return .double(left * right)
        case (.divide, .double(let left), .double(let right)): return .double(left / right)
        case (.add, .string(let left), .string(let right)): return .string(left + right)
        case (.add, .bytes(let left), .bytes(let right)): return .bytes(left + right)
        case (.add, .duration(let left), .duration(let right)): return .duration(left + right)
        case (.subtract, .duration(let left), .duration(let right)): return .duration(left - right)
        case (.add, .timestamp(let moment), .duration(let duration)),
            (.add, .duration(let duration), .timestamp(let moment)):
            return .timestamp(moment + duration)
        case (.subtract, .timestamp(let moment), .duration(let duration)):
            return .timestamp(moment + (.zero - duration))
        case (.subtract, .timestamp(let left), .timestamp(let right)): return .duration(left - right)
        default:
            guard symbol == .add, let first = try left.elements(), let second = try right.elements() else {
                throw CELError("no such overload")
            }
            return .list(first + second)
        }
    }

    private static func integer(_ symbol: CELOperator, _ left: Int64, _ right: Int64) throws(CELError) -> Int64 {
        let result: (partialValue: Int64, overflow: Bool)
        switch symbol {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide:
            guard right != 0 else { throw CELError("division by zero") }
            result = left.dividedReportingOverflow(by: right)
        case .remainder:
            guard right != 0 else { throw CELError("modulus by zero") }
            result = left.remainderReportingOverflow(dividingBy: right)
        default: throw CELError("no such overload")
        }
        guard !result.overflow else { throw CELError("integer overflow") }
        return result.partialValue
    }

    // MARK: Functions

    static func call(_ function: CELFunction, _ arguments: [CELValue]) throws(CELError) -> CELValue {
        let target = arguments[0]
        switch function {
        case .hasValue, .value, .orValue: return try optional(function, arguments)
        case .size:
            switch target {
            case .string, .bytes, .list, .array, .object: return .int(Int64(target.size))
            default: throw CELError("no such overload")
            }
        case .isSorted: return .bool(try isSorted(try list(target)))
        case .sum: return try sum(try list(target))
        case .min: return try extreme(try list(target), wanted: -1, name: "min")
        case .max: return try extreme(try list(target), wanted: 1, name: "max")
        case .dyn: return target
        case .double, .int, .string, .timestamp, .duration: return try CELConversion.converted(target, to: function)
        case .matches: return .bool(try matches(try text(target), try text(arguments[1])))
        case .startsWith: return .bool(try text(target).utf8.starts(with: try text(arguments[1]).utf8))
        case .endsWith:
            return .bool(try text(target).utf8.reversed().starts(with: try text(arguments[1]).utf8.reversed()))
        case .contains:
            return .bool(Array(try text(target).utf8).contains(Array(try text(arguments[1]).utf8)))
        }
    }

    private static func optional(_ function: CELFunction, _ arguments: [CELValue]) throws(CELError) -> CELValue {
        guard case .optional(let content) = arguments[0] else { throw CELError("no such overload") }
        switch function {
        case .hasValue: return .bool(content != nil)
        case .orValue: return content ?? arguments[1]
        default:
            guard let content else { throw CELError("optional.none() dereference") }
            return content
        }
    }

    private static func text(_ value: CELValue) throws(CELError) -> String {
        guard case .string(let text) = value else { throw CELError("no such overload") }
        return text
    }

    private static func list(_ value: CELValue) throws(CELError) -> [CELValue] {
        guard let elements = try value.elements() else { throw CELError("no such overload") }
        return elements
    }

    private static func isSorted(_ elements: [CELValue]) throws(CELError) -> Bool {
        for (left, right) in zip(elements, elements.dropFirst()) where try order(left, right) == 1 { return false }
        return true
    }

    private static func sum(_ elements: [CELValue]) throws(CELError) -> CELValue {
        guard var total = elements.first else { return .int(0) }
        for element in elements.dropFirst() { total = try arithmetic(.add, total, element) }
        return total
    }

    private static func extreme(_ elements: [CELValue], wanted: Int, name: String) throws(CELError) -> CELValue {
        guard var result = elements.first else { throw CELError("\(name) called on empty list") }
        for element in elements.dropFirst() where try order(element, result) == wanted { result = element }
        return result
    }

    /// Patterns that are literals were compiled at load to refuse bad ones; compiling again costs little beside that.
    private static func matches(_ text: String, _ pattern: String) throws(CELError) -> Bool {
        do throws(SandboxError) {
            return try Pattern(pattern).matches(text)
        } catch {
            throw CELError(error.message)
        }
    }
}

/// `int(…)`, `double(…)` and the like.
enum CELConversion {
    static func converted(_ value: CELValue, to function: CELFunction) throws(CELError) -> CELValue {
        switch (function, value) {
        case (.double, .double), (.int, .int), (.string, .string), (.timestamp, .timestamp), (.duration, .duration):
            return value
        case (.double, .int(let number)): return .double(Double(number))
        case (.double, .string(let text)):
            guard let number = Double(text) else { throw failure("string", "double", text) }
            return .double(number)
        case (.int, .double(let number)):
            guard let whole = Int64(exactly: number.rounded(.towardZero)) else { throw CELError("integer overflow") }
            return .int(whole)
        case (.int, .string(let text)):
            guard let number = Int64(text) else { throw failure("string", "int", text) }
            return .int(number)
        case (.int, .timestamp(let moment)): return .int(moment.seconds)
        case (.string, .bool(let value)): return .string(String(value))
        case (.string, .int(let number)): return .string(String(number))
        case (.string, .double(let number)): return .string(JSONValue.number(number).serializedText())
        case (.string, .timestamp(let moment)): return .string(moment.description)
        case (.string, .bytes(let bytes)):
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw CELError("invalid UTF-8 in bytes, cannot convert to string")
            }
            return .string(text)
        case (.string, .duration(let duration)):
            let (seconds, attoseconds) = duration.components
            let number = Double(seconds) + Double(attoseconds) / 1e18
            return .string(JSONValue.number(number).serializedText() + "s")
        case (.timestamp, .string(let text)):
            guard let moment = Timestamp(text) else { throw failure("string", "google.protobuf.Timestamp", text) }
            return .timestamp(moment)
        case (.timestamp, .int(let seconds)): return .timestamp(Timestamp(seconds: seconds))
        case (.duration, .string(let text)):
            guard let duration = CELDuration.parse(text) else {
                throw failure("string", "google.protobuf.Duration", text)
            }
            return .duration(duration)
        default: throw CELError("no such overload")
        }
    }

    private static func failure(_ from: String, _ to: String, _ text: String) -> CELError {
        CELError("type conversion error from '\(from)' to '\(to)': \(text)")
    }
}
