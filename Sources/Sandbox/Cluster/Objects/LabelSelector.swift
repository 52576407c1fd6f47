import Encoding

/// A label selector as the query parameter has it: `a=b,c!=d,e in (f,g),!h,i>5`.
struct LabelSelector: Sendable, Hashable {
    enum Requirement: Sendable, Hashable {
        case isIn(String, Set<String>)
        case isNotIn(String, Set<String>)
        case exists(String)
        case isAbsent(String)
        case isGreater(String, than: Int64)
        case isLess(String, than: Int64)
    }

    private(set) var requirements: [Requirement] = []

    func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { requirement in
            switch requirement {
            case .isIn(let key, let values): labels[key].map(values.contains) ?? false
            case .isNotIn(let key, let values): labels[key].map { !values.contains($0) } ?? true
            case .exists(let key): labels[key] != nil
            case .isAbsent(let key): labels[key] == nil
            case .isGreater(let key, let bound): labels[key].flatMap { Int64($0) }.map { $0 > bound } ?? false
            case .isLess(let key, let bound): labels[key].flatMap { Int64($0) }.map { $0 < bound } ?? false
            }
        }
    }

    /// - Throws: 400 in the API server's words.
    init(_ text: String) throws(StatusError) {
        var parser = LabelSelectorParser(text)
        requirements = try parser.requirements()
    }
}

/// Reads selectors token by token, with `k8s.io/apimachinery/pkg/labels`' messages.
private struct LabelSelectorParser {
    private static let symbols: [Character] = ["=", "!", "(", ")", ",", ">", "<"]

    /// Words and operators; an empty token is the end.
    private var tokens: ArraySlice<String>

    init(_ text: String) {
        var tokens: [String] = []
        var rest = text[...]
        while let first = rest.first {
            if first.isWhitespace {
                rest = rest.dropFirst()
            } else if Self.symbols.contains(first) {
                let operators = ["==", "!="]
                let token = operators.first(where: rest.hasPrefix) ?? String(first)
                tokens.append(token)
                rest = rest.dropFirst(token.count)
            } else {
                let word = rest.prefix { !$0.isWhitespace && !Self.symbols.contains($0) }
                tokens.append(String(word))
                rest = rest.dropFirst(word.count)
            }
        }
        self.tokens = tokens[...]
    }

    private var next: String { tokens.first ?? "" }

    private mutating func take() -> String { tokens.popFirst() ?? "" }

    private static func isWord(_ token: String) -> Bool {
        token.first.map { !symbols.contains($0) } ?? false
    }

    mutating func requirements() throws(StatusError) -> [LabelSelector.Requirement] {
        var requirements: [LabelSelector.Requirement] = []
        while !next.isEmpty {
            guard Self.isWord(next) || next == "!" else {
                throw .badRequest("found '\(next)', expected: !, identifier, or 'end of string'")
            }
            requirements.append(try requirement())
            let token = take()
            if token.isEmpty { break }
            guard token == "," else { throw .badRequest("found '\(token)', expected: ',' or 'end of string'") }
            guard Self.isWord(next) || next == "!" else {
                throw .badRequest("found '\(next)', expected: identifier after ','")
            }
        }
        return requirements
    }

    private mutating func requirement() throws(StatusError) -> LabelSelector.Requirement {
        let isNegated = next == "!"
        if isNegated { _ = take() }
        let key = take()
        guard Self.isWord(key) else { throw Self.failure("found '\(key)', expected: identifier") }
        if let detail = MetadataValidation.qualifiedNameErrors(key).first {
            throw Self.failure("key: Invalid value: \"\(key)\": \(detail)")
        }
        if isNegated { return .isAbsent(key) }
        if next.isEmpty || next == "," { return .exists(key) }
        let sign = take()
        switch sign {
        case "=", "==": return .isIn(key, [try value(key)])
        case "!=": return .isNotIn(key, [try value(key)])
        case "in": return .isIn(key, try values(key))
        case "notin": return .isNotIn(key, try values(key))
        case ">": return .isGreater(key, than: try number(key))
        case "<": return .isLess(key, than: try number(key))
        default: throw Self.failure("found '\(sign)', expected: in, notin, =, ==, !=, gt, lt")
        }
    }

    private mutating func value(_ key: String) throws(StatusError) -> String {
        if next.isEmpty || next == "," { return "" }
        let value = take()
        guard Self.isWord(value) else { throw Self.failure("found '\(value)', expected: identifier") }
        return try checked(value, key)
    }

    private mutating func number(_ key: String) throws(StatusError) -> Int64 {
        let text = try value(key)
        guard let number = Int64(text) else {
            throw Self.failure(
                "values[0][\(key)]: Invalid value: \"\(text)\": for 'Gt', 'Lt' operators, the value must be an integer")
        }
        return number
    }

    private mutating func values(_ key: String) throws(StatusError) -> Set<String> {
        let open = take()
        guard open == "(" else { throw Self.failure("found '\(open)' expected: '('") }
        var values: Set<String> = []
        var isValueExpected = true
        while true {
            let token = take()
            switch token {
            case ")":
                if isValueExpected { values.insert("") }
                return values
            case ",":
                if isValueExpected { values.insert("") }
                isValueExpected = true
            case _ where Self.isWord(token) && isValueExpected:
                values.insert(try checked(token, key))
                isValueExpected = false
            default:
                throw Self.failure(
                    isValueExpected
                        ? "found '\(token)', expected: ',', or identifier" : "found '\(token)', expected: ',' or ')'")
            }
        }
    }

    private func checked(_ value: String, _ key: String) throws(StatusError) -> String {
        if let detail = MetadataValidation.labelValueErrors(value).first {
            throw Self.failure("values[0][\(key)]: Invalid value: \"\(value)\": \(detail)")
        }
        return value
    }

    private static func failure(_ detail: String) -> StatusError {
        .badRequest("unable to parse requirement: \(detail)")
    }
}
