import Encoding

/// The part of kubectl's JSONPath that names one value: `{.test_accuracy[-1:]}`, `{.results[0].loss}`, `{['a b'].c}`.
///
/// Members, indices (negative ones count from the end), and the slice `[-1:]`, which is the last element. No wildcards,
/// no filters: an assertion compares one number.
struct JSONPath: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        case member(String)
        case index(Int)
    }

    let text: String
    let steps: [Step]

    /// - Throws: `JSONPathError` with a sentence that names the place.
    init(_ text: String) throws(JSONPathError) {
        self.text = text
        guard text.hasPrefix("{"), text.hasSuffix("}"), text.count >= 2 else {
            throw JSONPathError("\(text): a path stands in braces, e.g. {.test_accuracy[-1:]}")
        }
        var parser = Parser(text: text, rest: text.dropFirst().dropLast())
        steps = try parser.steps()
    }

    /// The value that the path names.
    ///
    /// - Throws: `JSONPathError` with a sentence that says what is missing.
    func value(in document: JSONValue) throws(JSONPathError) -> JSONValue {
        var current = document
        for step in steps {
            switch step {
            case .member(let name):
                guard let next = current[name] else { throw JSONPathError("\(text): there is no member \(name)") }
                current = next
            case .index(let index):
                guard case .array(let elements) = current else {
                    throw JSONPathError("\(text): [\(index)] is not of a list")
                }
                let position = index < 0 ? elements.count + index : index
                guard elements.indices.contains(position) else {
                    throw JSONPathError("\(text): a list of \(elements.count) elements has no [\(index)]")
                }
                current = elements[position]
            }
        }
        return current
    }

    /// The number that the path names.
    func number(in document: JSONValue) throws(JSONPathError) -> Double {
        guard let number = try value(in: document).doubleValue else {
            throw JSONPathError("\(text) names no number")
        }
        return number
    }
}

/// Why a path is none, or names nothing.
struct JSONPathError: Error, Sendable, Hashable {
    var message: String

    init(_ message: String) { self.message = message }
}

private struct Parser {
    let text: String
    var rest: Substring

    mutating func steps() throws(JSONPathError) -> [JSONPath.Step] {
        var steps: [JSONPath.Step] = []
        if rest.first == "$" { rest.removeFirst() }
        while let character = rest.popFirst() {
            switch character {
            case ".": steps.append(.member(try name()))
            case "[": steps.append(try bracket())
            default: throw JSONPathError("\(text): unexpected \(character); members begin with a dot")
            }
        }
        guard !steps.isEmpty else { throw JSONPathError("\(text) names nothing") }
        return steps
    }

    private mutating func name() throws(JSONPathError) -> String {
        let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" }
        guard !name.isEmpty else {
            throw JSONPathError("\(text): a name must follow the dot (wildcards are not supported)")
        }
        rest = rest[name.endIndex...]
        return String(name)
    }

    private mutating func bracket() throws(JSONPathError) -> JSONPath.Step {
        guard let end = rest.firstIndex(of: "]") else { throw JSONPathError("\(text): ] is missing") }
        let inner = rest[..<end]
        rest = rest[rest.index(after: end)...]
        if inner == "-1:" { return .index(-1) }
        if let index = Int(inner) { return .index(index) }
        if inner.count >= 2, let quote = inner.first, quote == "'" || quote == "\"", inner.last == quote {
            return .member(String(inner.dropFirst().dropLast()))
        }
        throw JSONPathError("\(text): [\(inner)] is not supported; use an index, [-1:] or ['name']")
    }
}
