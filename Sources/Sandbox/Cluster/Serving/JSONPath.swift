import Encoding

/// The JSON paths of printer columns: `.a.b`, `['x']`, `[0]`, `[*]` and `[?(@.type=="Ready")]`.
struct JSONPath: Sendable {
    private enum Step: Sendable {
        case member(String)
        case index(Int)
        case all
        case matching(path: [String], value: JSONValue, isEqual: Bool)
    }

    private let steps: [Step]

    /// - Throws: `.invalidCRD` for what is not supported.
    init(_ text: String, place: String) throws(SandboxError) {
        var rest = text[...]
        if rest.hasPrefix("{"), rest.hasSuffix("}") { rest = rest.dropFirst().dropLast() }
        if rest.hasPrefix("$") { rest = rest.dropFirst() }
        var steps: [Step] = []
        while let first = rest.first {
            if first == "[" {
                guard let end = JSONPath.closingBracket(rest) else {
                    throw SandboxError(.invalidCRD, "\(place): Invalid value: \"\(text)\": a missing ]")
                }
                let inside = rest[rest.index(after: rest.startIndex)..<end]
                guard let step = JSONPath.step(String(inside)) else {
                    throw SandboxError(
                        .invalidCRD, "\(place): Invalid value: \"\(text)\": [\(inside)] is not supported")
                }
                steps.append(step)
                rest = rest[rest.index(after: end)...]
                continue
            }
            if first == "." { rest = rest.dropFirst() }
            let (name, remainder) = JSONPath.member(rest)
            guard !name.isEmpty else {
                throw SandboxError(.invalidCRD, "\(place): Invalid value: \"\(text)\": a name is missing")
            }
            steps.append(name == "*" ? .all : .member(name))
            rest = remainder
        }
        self.steps = steps
    }

    /// A member's name, in which a backslash takes the next character as it is.
    private static func member(_ text: Substring) -> (String, Substring) {
        var name = ""
        var rest = text
        while let character = rest.first, character != ".", character != "[" {
            rest = rest.dropFirst()
            if character == "\\", let escaped = rest.first {
                name.append(escaped)
                rest = rest.dropFirst()
            } else {
                name.append(character)
            }
        }
        return (name, rest)
    }

    private static func closingBracket(_ text: Substring) -> Substring.Index? {
        var quote: Character?
        for index in text.indices.dropFirst() {
            let character = text[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == "]" {
                return index
            }
        }
        return nil
    }

    private static func step(_ text: String) -> Step? {
        if text == "*" { return .all }
        if let index = Int(text) { return .index(index) }
        if text.count >= 2, text.hasPrefix("'"), text.hasSuffix("'") {
            return .member(String(text.dropFirst().dropLast()))
        }
        guard text.hasPrefix("?("), text.hasSuffix(")") else { return nil }
        let condition = text.dropFirst(2).dropLast()
        for (sign, isEqual) in [("==", true), ("!=", false)] {
            guard let range = condition.firstRange(of: sign) else { continue }
            let path = condition[..<range.lowerBound].trimmed
            var value = condition[range.upperBound...].trimmed
            guard path.hasPrefix("@.") else { return nil }
            let names = path.dropFirst(2).split(separator: ".").map(String.init)
            if let quote = value.first, quote == "\"" || quote == "'", value.last == quote, value.count >= 2 {
                value = value.dropFirst().dropLast()
                return .matching(path: names, value: .string(String(value)), isEqual: isEqual)
            }
            // What is no JSON literal is compared as text.
            let literal = (try? JSONValue(parsing: String(value))) ?? .string(String(value))
            return .matching(path: names, value: literal, isEqual: isEqual)
        }
        return nil
    }

    /// All values that the path finds.
    func values(in object: JSONValue) -> [JSONValue] {
        steps.reduce([object]) { current, step in current.flatMap { JSONPath.apply(step, to: $0) } }
    }

    private static func apply(_ step: Step, to value: JSONValue) -> [JSONValue] {
        switch step {
        case .member(let name): return value[name].map { [$0] } ?? []
        case .index(let index):
            let elements = value.arrayValue ?? []
            let position = index < 0 ? elements.count + index : index
            return elements.indices.contains(position) ? [elements[position]] : []
        case .all:
            if let elements = value.arrayValue { return elements }
            return (value.objectValue ?? [:]).sorted { $0.key < $1.key }.map(\.value)
        case .matching(let path, let wanted, let isEqual):
            return (value.arrayValue ?? []).filter { ($0.value(at: path) == wanted) == isEqual }
        }
    }

    /// The first value as a Table's cell.
    func cell(_ object: JSONValue, type: String, now: Timestamp) -> JSONValue {
        guard let value = values(in: object).first, !value.isNull else { return .null }
        switch (type, value) {
        case ("integer", _): return value.integerValue.map(JSONValue.integer) ?? .null
        case ("number", _): return value.doubleValue.map(JSONValue.number) ?? .null
        case ("boolean", .bool): return value
        case ("date", .string(let text)):
            return .string(Timestamp(text).map { HumanDuration.age(since: $0, now: now) } ?? "<invalid>")
        case ("string", .string): return value
        case ("string", _): return .string(value.serializedText())
        default: return .null
        }
    }
}

/// Durations as kubectl shows ages.
enum HumanDuration {
    static func age(since moment: Timestamp, now: Timestamp) -> String {
        text(seconds: now.seconds - moment.seconds)
    }

    /// `k8s.io/apimachinery/pkg/util/duration.HumanDuration`: two units while the first is small.
    static func text(seconds: Int64) -> String {
        if seconds < -1 { return "<invalid>" }
        if seconds < 0 { return "0s" }
        let minutes = seconds / 60
        let hours = minutes / 60
        let days = hours / 24
        if seconds < 120 { return "\(seconds)s" }
        if minutes < 10 { return seconds % 60 == 0 ? "\(minutes)m" : "\(minutes)m\(seconds % 60)s" }
        if minutes < 180 { return "\(minutes)m" }
        if hours < 8 { return minutes % 60 == 0 ? "\(hours)h" : "\(hours)h\(minutes % 60)m" }
        if hours < 48 { return "\(hours)h" }
        if days < 8 { return hours % 24 == 0 ? "\(days)d" : "\(days)d\(hours % 24)h" }
        if days < 730 { return "\(days)d" }
        let years = days / 365
        if years < 8 { return days % 365 == 0 ? "\(years)y" : "\(years)y\(days % 365)d" }
        return "\(years)y"
    }
}
