import Encoding

/// What a scalar's text stands for, by the rules of Go's yaml.v2, which kubectl and the API server read YAML with.
enum YAMLScalar {
    private static let tagPrefix = "tag:yaml.org,2002:"

    static func value(
        _ text: String, tag: String?, isPlain: Bool, _ mark: YAMLEventReader.Mark
    ) throws(YAMLError) -> JSONValue {
        guard let tag, tag != "!" || isPlain else { return isPlain ? try checked(plain(text), mark) : .string(text) }
        if tag == "!" || tag == tagPrefix + "str" { return .string(text) }
        let value = try checked(plain(text), mark)
        switch (tag, value) {
        case (tagPrefix + "int", .integer), (tagPrefix + "bool", .bool), (tagPrefix + "null", .null): return value
        case (tagPrefix + "float", .number), (tagPrefix + "float", .integer):
            return value.doubleValue.map(JSONValue.number) ?? value
        default:
            throw YAMLError(
                code: .unsupported, message: "the tag \(tag) is not supported here", line: mark.line,
                column: mark.column)
        }
    }

    private static func checked(_ value: JSONValue, _ mark: YAMLEventReader.Mark) throws(YAMLError) -> JSONValue {
        if case .number(let number) = value, !number.isFinite {
            throw YAMLError(
                code: .unsupported, message: "JSON has no infinity and no NaN: quote it if it is a text",
                line: mark.line, column: mark.column)
        }
        return value
    }

    /// The value of an unquoted scalar.
    static func plain(_ text: String) -> JSONValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": return .bool(true)
        case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": return .bool(false)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .number(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .number(-.infinity)
        case ".nan", ".NaN", ".NAN": return .number(.nan)
        default: return number(text) ?? .string(text)
        }
    }

    private static func number(_ text: String) -> JSONValue? {
        guard let first = text.utf8.first, isDigit(first) || "+-.".utf8.contains(first) else { return nil }
        let digits = String(text.utf8.filter { $0 != UInt8(ascii: "_") }.map { Character(Unicode.Scalar($0)) })
        if let integer = integer(digits) { return .integer(integer) }
        if isFloat(digits), let value = Double(digits.hasSuffix(".") ? digits + "0" : digits) { return .number(value) }
        return nil
    }

    /// Go's `ParseInt` with base 0: decimal, 0x, 0o, 0b, and a leading 0 for octal.
    private static func integer(_ text: String) -> Int64? {
        var rest = text[...]
        let isNegative = rest.hasPrefix("-")
        if isNegative || rest.hasPrefix("+") { rest = rest.dropFirst() }
        var radix = 10
        let lower = rest.prefix(2).lowercased()
        switch lower {
        case "0x": radix = 16
        case "0o": radix = 8
        case "0b": radix = 2
        default: break
        }
        if radix != 10 {
            rest = rest.dropFirst(2)
        } else if rest.utf8.count > 1, rest.hasPrefix("0") {
            radix = 8
            rest = rest.dropFirst()
        }
        guard let first = rest.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        return Int64((isNegative ? "-" : "") + rest, radix: radix)
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
    private static func isFloat(_ text: String) -> Bool {
        var bytes = Array(text.utf8)[...]
        func digits() -> Int {
            let count = bytes.prefix(while: isDigit).count
            bytes = bytes.dropFirst(count)
            return count
        }
        func skip(_ set: String) -> Bool {
            guard let first = bytes.first, set.utf8.contains(first) else { return false }
            bytes = bytes.dropFirst()
            return true
        }
        _ = skip("+-")
        let whole = digits()
        if skip(".") {
            if digits() == 0, whole == 0 { return false }
        } else if whole == 0 {
            return false
        }
        if skip("eE") {
            _ = skip("+-")
            if digits() == 0 { return false }
        }
        return bytes.isEmpty
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
