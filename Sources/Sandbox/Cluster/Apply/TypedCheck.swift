import Encoding

/// Whether an applied configuration has the types that its schema names: structured-merge-diff wants to know before it
/// merges, and says it in words of its own.
struct TypedCheck {
    private var problems: [String] = []

    /// What is wrong, each with its path, as one text; nil when nothing is.
    static func problem(_ config: JSONValue, _ schema: Schema?) -> String? {
        guard let schema, case .object(let members) = config else { return nil }
        var check = TypedCheck()
        for key in (members["metadata"]?.objectValue ?? [:]).keys.sorted()
        where !Pruning.metadataFields.contains(key) {
            check.problems.append(".metadata.\(key): field not declared in schema")
        }
        let rest = members.filter { !["apiVersion", "kind", "metadata"].contains($0.key) }
        check.visit(.object(rest), schema, path: "")
        guard check.problems.count > 1 else { return check.problems.first }
        return (["errors:"] + check.problems.map { "  \($0)" }).joined(separator: "\n")
    }

    private mutating func visit(_ value: JSONValue, _ schema: Schema, path: String) {
        guard !value.isNull, !schema.isEmbeddedResource else { return }
        switch (schema.type, value) {
        case ("integer", .integer), ("integer", .number), ("number", .integer), ("number", .number),
            ("string", .string), ("boolean", .bool):
            break
        case ("integer", _), ("number", _): expected("numeric (int or float)", GoText.type(value), path)
        case ("string", _): expected("string", "&value.valueUnstructured{Value:\(GoText.text(value))}", path)
        case ("boolean", _): expected("boolean", "&{\(GoText.text(value))}", path)
        case ("array", .array(let elements)): visit(elements, schema, path: path)
        case ("array", _): expected("list", "&{\(GoText.text(value))}", path)
        case (_, .object(let members)): visit(members, schema, path: path)
        case ("object", _): expected("map", "&{\(GoText.text(value))}", path)
        default: break
        }
    }

    private mutating func expected(_ wanted: String, _ found: String, _ path: String) {
        problems.append("\(path): expected \(wanted), got \(found)")
    }

    private mutating func visit(_ members: [String: JSONValue], _ schema: Schema, path: String) {
        for (key, member) in members.sorted(by: { $0.key < $1.key }) {
            if let memberSchema = schema.member(key) {
                visit(member, memberSchema, path: "\(path).\(key)")
            } else if !schema.preservesUnknownFields {
                problems.append("\(path).\(key): field not declared in schema")
            }
        }
    }

    private mutating func visit(_ elements: [JSONValue], _ schema: Schema, path: String) {
        guard let items = schema.items else { return }
        var seen: Set<PathElement> = []
        for (index, element) in elements.enumerated() {
            guard let identity = identity(element, index, schema, path: path) else { continue }
            if let identity, !seen.insert(identity).inserted {
                problems.append("\(path): duplicate entries for key \(identity.shown)")
            }
            visit(element, items, path: "\(path)\(identity?.shown ?? "[\(index)]")")
        }
    }

    /// What names an element: nil where lists are atomic, and nothing at all (a problem) where it should be named.
    private mutating func identity(
        _ element: JSONValue, _ index: Int, _ schema: Schema, path: String
    ) -> PathElement?? {
        switch schema.listType {
        case .atomic: return .some(nil)
        case .set: return .value(element)
        case .map(let keys):
            guard case .object(let members) = element else {
                problems.append("\(path): element \(index): associative list with keys may not have non-map elements")
                return nil
            }
            let named = keys.filter { members[$0] != nil || schema.items?.properties[$0]?.defaultValue != nil }
            guard !named.isEmpty else {
                let list = keys.map { "\"\($0)\"" }.joined(separator: " ")
                problems.append(
                    "\(path): element \(index): associative list with keys has an element that omits all key fields "
                        + "[\(list)] (and doesn't have default values for any key fields)")
                return nil
            }
            var identity: [String: JSONValue] = [:]
            for key in named { identity[key] = members[key] ?? schema.items?.properties[key]?.defaultValue }
            return .key(.object(identity))
        }
    }
}

/// Values as Go's formatting shows them.
private enum GoText {
    /// `%T`.
    static func type(_ value: JSONValue) -> String {
        switch value {
        case .null: "<nil>"
        case .bool: "bool"
        case .integer: "int64"
        case .number: "float64"
        case .string: "string"
        case .array: "[]interface {}"
        case .object: "map[string]interface {}"
        }
    }

    /// `%v`.
    static func text(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .array(let elements): "[\(elements.map(text).joined(separator: " "))]"
        case .object(let members):
            "map[\(members.sorted { $0.key < $1.key }.map { "\($0.key):\(text($0.value))" }.joined(separator: " "))]"
        case .null: "<nil>"
        default: value.serializedText()
        }
    }
}
