import Encoding

/// A label selector as the query parameter has it: `a=b,c!=d,e in (f,g),!h`.
struct LabelSelector: Sendable, Hashable {
    enum Requirement: Sendable, Hashable {
        case isIn(String, Set<String>)
        case isNotIn(String, Set<String>)
        case exists(String)
        case isAbsent(String)
    }

    var requirements: [Requirement] = []

    func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { requirement in
            switch requirement {
            case .isIn(let key, let values): labels[key].map(values.contains) ?? false
            case .isNotIn(let key, let values): labels[key].map { !values.contains($0) } ?? true
            case .exists(let key): labels[key] != nil
            case .isAbsent(let key): labels[key] == nil
            }
        }
    }

    init(_ text: String) throws(StatusError) {
        var rest = text[...]
        while !rest.isEmpty {
            let end = LabelSelector.endOfRequirement(rest)
            let part = rest[..<end].trimmed
            rest = end < rest.endIndex ? rest[rest.index(after: end)...] : ""
            guard !part.isEmpty else { continue }
            requirements.append(try LabelSelector.requirement(part))
        }
    }

    /// The next comma outside parentheses.
    private static func endOfRequirement(_ text: Substring) -> Substring.Index {
        var depth = 0
        for index in text.indices {
            switch text[index] {
            case "(": depth += 1
            case ")": depth -= 1
            case "," where depth == 0: return index
            default: break
            }
        }
        return text.endIndex
    }

    private static func requirement(_ part: Substring) throws(StatusError) -> Requirement {
        for (word, isNegated) in [(" notin ", true), (" notin(", true), (" in ", false), (" in(", false)] {
            guard let range = part.firstRange(of: word) else { continue }
            let values = part[range.upperBound...].trimmed.filter { $0 != "(" && $0 != ")" }
            let set = Set(values.split(separator: ",", omittingEmptySubsequences: false).map { String($0.trimmed) })
            let key = try key(part[..<range.lowerBound])
            return isNegated ? .isNotIn(key, set) : .isIn(key, set)
        }
        for (sign, isNegated) in [("!=", true), ("==", false), ("=", false)] {
            guard let range = part.firstRange(of: sign) else { continue }
            let key = try key(part[..<range.lowerBound])
            let value = String(part[range.upperBound...].trimmed)
            return isNegated ? .isNotIn(key, [value]) : .isIn(key, [value])
        }
        if part.hasPrefix("!") { return .isAbsent(try key(part.dropFirst())) }
        return .exists(try key(part))
    }

    private static func key(_ text: Substring) throws(StatusError) -> String {
        let key = String(text.trimmed)
        guard MetadataValidation.isQualifiedName(key) else {
            throw .badRequest("unable to parse requirement: \"\(key)\" is not a label key")
        }
        return key
    }
}

/// A field selector: `metadata.name=x,involvedObject.kind!=Pod`.
struct FieldSelector: Sendable {
    struct Requirement: Sendable {
        var path: [String]
        var value: String
        var isEqual: Bool
    }

    var requirements: [Requirement] = []
    /// The name that `metadata.name=` asks for.
    var name: String? { requirements.first { $0.isEqual && $0.path == ["metadata", "name"] }?.value }

    init(_ text: String, for definition: ResourceDefinition) throws(StatusError) {
        for part in text.split(separator: ",") {
            let isNegated = part.contains("!=")
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else { throw .badRequest("invalid field selector \"\(part)\"") }
            var label = String(sides[0])
            if isNegated { label.removeLast() }
            let value = sides[1].hasPrefix("=") ? sides[1].dropFirst() : sides[1]
            guard let path = FieldSelector.path(of: label, in: definition) else {
                throw .badRequest("field label not supported: \(label)")
            }
            requirements.append(Requirement(path: path, value: String(value), isEqual: !isNegated))
        }
    }

    private static func path(of label: String, in definition: ResourceDefinition) -> [String]? {
        switch label {
        case "metadata.name": ["metadata", "name"]
        case "metadata.namespace": definition.isNamespaced ? ["metadata", "namespace"] : nil
        default: definition.selectableFields[label]
        }
    }

    func matches(_ object: JSONValue) -> Bool {
        requirements.allSatisfy { requirement in
            (FieldSelector.text(object.value(at: requirement.path)) == requirement.value) == requirement.isEqual
        }
    }

    private static func text(_ value: JSONValue?) -> String {
        switch value {
        case .string(let text): text
        case .bool(let flag): flag ? "true" : "false"
        case .integer(let number): String(number)
        default: ""
        }
    }
}

/// Which objects a list or a watch shows.
struct ObjectFilter: Sendable {
    /// nil: all namespaces.
    var namespace: String?
    var labels: LabelSelector?
    var fields: FieldSelector?

    var selectsAll: Bool { labels == nil && fields == nil }

    func matches(_ object: JSONValue) -> Bool {
        if let labels, !labels.matches(object.labels) { return false }
        if let fields, !fields.matches(object) { return false }
        return true
    }
}

extension Substring {
    var trimmed: Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
