import Encoding

/// The functions and operators over values.
enum CELFunctions {
    static func call(_ function: CELFunction, _ arguments: [CELValue]) throws(CELError) -> CELValue {
        switch function {
        case .hasValue, .value, .orValue: return .json(try optional(function, arguments))
        default: break
        }
        var values: [JSONValue] = []
        for argument in arguments {
            guard case .json(let value) = argument else { throw CELError("no such overload: \(function.rawValue)") }
            values.append(value)
        }
        switch function {
        case .size: return .json(.integer(Int64(try size(values[0]))))
        case .isSorted: return .json(.bool(try isSorted(values[0])))
        case .double: return .json(.number(try double(values[0])))
        case .int: return .json(.integer(try int(values[0])))
        case .string: return .json(.string(try string(values[0])))
        case .matches: return .json(.bool(try matches(try text(values[0]), try text(values[1]))))
        case .startsWith: return .json(.bool(try text(values[0]).hasPrefix(try text(values[1]))))
        case .endsWith: return .json(.bool(try text(values[0]).hasSuffix(try text(values[1]))))
        case .contains: return .json(.bool(try text(values[0]).contains(try text(values[1]))))
        case .hasValue, .value, .orValue: throw CELError("no such overload")
        }
    }

    private static func optional(_ function: CELFunction, _ arguments: [CELValue]) throws(CELError) -> JSONValue {
        guard case .optional(let content) = arguments[0] else {
            throw CELError("no such overload: \(function.rawValue) is for optionals")
        }
        switch function {
        case .hasValue: return .bool(content != nil)
        case .orValue:
            guard case .json(let fallback) = arguments[1] else { throw CELError("no such overload") }
            return content ?? fallback
        default:
            guard let content else { throw CELError("optional.none() dereference") }
            return content
        }
    }

    private static func text(_ value: JSONValue) throws(CELError) -> String {
        guard case .string(let text) = value else { throw CELError("no such overload: \(value.typeName) is no string") }
        return text
    }

    private static func size(_ value: JSONValue) throws(CELError) -> Int {
        switch value {
        case .string(let text): text.unicodeScalars.count
        case .array(let elements): elements.count
        case .object(let members): members.count
        default: throw CELError("no such overload: size(\(value.typeName))")
        }
    }

    private static func isSorted(_ value: JSONValue) throws(CELError) -> Bool {
        guard case .array(let elements) = value else { throw CELError("no such overload: isSorted") }
        for (left, right) in zip(elements, elements.dropFirst()) where try order(left, right) > 0 { return false }
        return true
    }

    private static func double(_ value: JSONValue) throws(CELError) -> Double {
        switch value {
        case .integer(let number): return Double(number)
        case .number(let number): return number
        case .string(let text):
            guard let number = Double(text) else {
                throw CELError("type conversion error from 'string' to 'double': \(text)")
            }
            return number
        default: throw CELError("no such overload: double(\(value.typeName))")
        }
    }

    private static func int(_ value: JSONValue) throws(CELError) -> Int64 {
        switch value {
        case .integer(let number): return number
        case .number(let number):
            guard let whole = Int64(exactly: number.rounded(.towardZero)) else { throw CELError("integer overflow") }
            return whole
        case .string(let text):
            guard let number = Int64(text) else {
                throw CELError("type conversion error from 'string' to 'int': \(text)")
            }
            return number
        default: throw CELError("no such overload: int(\(value.typeName))")
        }
    }

    private static func string(_ value: JSONValue) throws(CELError) -> String {
        switch value {
        case .string(let text): text
        case .integer, .number, .bool: value.serializedText()
        default: throw CELError("no such overload: string(\(value.typeName))")
        }
    }

    /// Patterns that are literals were compiled at load to refuse bad ones; compiling again costs little beside that.
    private static func matches(_ text: String, _ pattern: String) throws(CELError) -> Bool {
        do throws(SandboxError) {
            return try Pattern(pattern).matches(text)
        } catch {
            throw CELError(error.message)
        }
    }

    /// CEL's equality: numbers compare by value across types; lists and maps compare deeply.
    static func areEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        switch (left, right) {
        case (.integer(let left), .number(let right)): return Double(left) == right
        case (.number(let left), .integer(let right)): return left == Double(right)
        case (.array(let left), .array(let right)):
            return left.count == right.count && zip(left, right).allSatisfy(areEqual)
        case (.object(let left), .object(let right)):
            return left.count == right.count
                && left.allSatisfy { key, value in right[key].map { areEqual(value, $0) } ?? false }
        default: return left == right
        }
    }

    /// Negative when left is smaller, 0 when equal, positive when larger.
    static func order(_ left: JSONValue, _ right: JSONValue) throws(CELError) -> Int {
        switch (left, right) {
        case (.integer(let left), .integer(let right)): return compare(left, right)
        case (.string(let left), .string(let right)):
            // By code points, as CEL does; Swift's own order is by canonical equivalence.
            if left.unicodeScalars.elementsEqual(right.unicodeScalars) { return 0 }
            return left.unicodeScalars.lexicographicallyPrecedes(right.unicodeScalars) ? -1 : 1
        case (.bool(let left), .bool(let right)): return compare(left ? 1 : 0, right ? 1 : 0)
        default:
            guard let left = left.doubleValue, let right = right.doubleValue else {
                throw CELError("no such overload: \(left.typeName) and \(right.typeName) have no order")
            }
            return compare(left, right)
        }
    }

    private static func compare<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
        left < right ? -1 : left == right ? 0 : 1
    }

    static func arithmetic(
        _ symbol: CELOperator, _ left: JSONValue, _ right: JSONValue
    ) throws(CELError) -> JSONValue {
        switch (left, right) {
        case (.integer(let left), .integer(let right)): return .integer(try integer(symbol, left, right))
        case (.number(let left), .number(let right)):
            switch symbol {
            case .add: return .number(left + right)
            case .subtract: return .number(left - right)
            case .multiply: return .number(left * right)
            case .divide: return .number(left / right)
            default: throw CELError("no such overload")
            }
        case (.string(let left), .string(let right)) where symbol == .add: return .string(left + right)
        case (.array(let left), .array(let right)) where symbol == .add: return .array(left + right)
        default: throw CELError("no such overload")
        }
    }

    private static func integer(_ symbol: CELOperator, _ left: Int64, _ right: Int64) throws(CELError) -> Int64 {
        let result: (partialValue: Int64, overflow: Bool)
        switch symbol {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide, .remainder:
            guard right != 0 else { throw CELError("division by zero") }
            result =
                symbol == .divide
                ? left.dividedReportingOverflow(by: right) : left.remainderReportingOverflow(dividingBy: right)
        default: throw CELError("no such overload")
        }
        guard !result.overflow else { throw CELError("integer overflow") }
        return result.partialValue
    }
}
