import Encoding

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
            guard sides.count == 2 else {
                throw .badRequest("invalid selector: '\(text)'; can't understand '\(part)'")
            }
            var label = String(sides[0])
            if isNegated { label.removeLast() }
            let value = sides[1].hasPrefix("=") ? sides[1].dropFirst() : sides[1]
            guard let path = FieldSelector.path(of: label, in: definition) else {
                throw .badRequest(
                    definition.hasOwnFieldLabels
                        ? "field label not supported: \(label)"
                        : "\"\(label)\" is not a known field selector: only \"metadata.name\", "
                            + "\"metadata.namespace\"")
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
