import Encoding

/// Puts `--set path=value` into an object, with the value's type taken from the CRD's schema.
struct SchemaAssignment: Sendable {
    /// The `openAPIV3Schema` of the version.
    let schema: JSONValue

    /// The object with the value set.
    ///
    /// - Throws: `RunError` (usage) when the path is none of the schema's, or the text is none of its type's.
    func applying(_ assignment: Assignment, to object: JSONValue) throws(RunError) -> JSONValue {
        guard let root = assignment.path.first, root == "spec" || root == "metadata" else {
            throw RunError(
                .usage,
                "--set \(assignment.pathText): only fields below spec and metadata can be set, for example "
                    + "spec.trainer.hyperparameters.epochs")
        }
        // A CRD's schema says nothing about metadata; what people set there are strings.
        let start = root == "metadata" ? SchemaAssignment.metadata : schema
        return try setting(assignment, at: 0, in: object, schema: start)
    }

    private static let metadata: JSONValue = [
        "properties": [
            "metadata": [
                "type": "object",
                "properties": [
                    "name": ["type": "string"], "namespace": ["type": "string"],
                    "labels": ["type": "object", "additionalProperties": ["type": "string"]],
                    "annotations": ["type": "object", "additionalProperties": ["type": "string"]],
                ],
            ]
        ]
    ]

    private func setting(
        _ assignment: Assignment, at depth: Int, in value: JSONValue?, schema: JSONValue
    ) throws(RunError) -> JSONValue {
        guard depth < assignment.path.count else { return try scalar(assignment, schema) }
        let key = assignment.path[depth]
        if let items = schema["items"] {
            return try element(assignment, at: depth, of: value?.arrayValue ?? [], schema: items)
        }
        if let values = schema["additionalProperties"], values.objectValue != nil {
            // Keys of a map may hold dots (labels, annotations): what follows belongs to the key.
            let isLeaf = values["properties"] == nil && values["items"] == nil
            let name = isLeaf ? assignment.path[depth...].joined(separator: ".") : key
            let next = isLeaf ? assignment.path.count : depth + 1
            return try member(name, assignment, next: next, of: value, schema: values)
        }
        guard let property = schema["properties"]?[key] else { throw unknown(assignment, depth, schema) }
        return try member(key, assignment, next: depth + 1, of: value, schema: property)
    }

    private func member(
        _ key: String, _ assignment: Assignment, next: Int, of value: JSONValue?, schema: JSONValue
    ) throws(RunError) -> JSONValue {
        var members = value?.objectValue ?? [:]
        members[key] = try setting(assignment, at: next, in: members[key], schema: schema)
        return .object(members)
    }

    private func element(
        _ assignment: Assignment, at depth: Int, of elements: [JSONValue], schema: JSONValue
    ) throws(RunError) -> JSONValue {
        let place = assignment.path[..<depth].joined(separator: ".")
        guard let index = Int(assignment.path[depth]), index >= 0, index <= elements.count else {
            let known = elements.isEmpty ? "it is empty here: use 0" : "use 0 to \(elements.count)"
            throw RunError(
                .usage,
                "--set \(assignment.pathText): \(place) is a list, '\(assignment.path[depth])' is no place in "
                    + "it (\(known); the last one appends)")
        }
        var elements = elements
        let current = index < elements.count ? elements[index] : nil
        let new = try setting(assignment, at: depth + 1, in: current, schema: schema)
        if index < elements.count { elements[index] = new } else { elements.append(new) }
        return .array(elements)
    }

    private func scalar(_ assignment: Assignment, _ schema: JSONValue) throws(RunError) -> JSONValue {
        let text = assignment.value
        if schema["x-kubernetes-int-or-string"]?.boolValue == true {
            return Int64(text).map(JSONValue.integer) ?? .string(text)
        }
        switch schema["type"]?.stringValue {
        case "string": return .string(text)
        case "integer":
            if let value = Int64(text) { return .integer(value) }
            throw mismatch(assignment, "an integer")
        case "number":
            if let value = Double(text), value.isFinite { return .number(value) }
            throw mismatch(assignment, "a number")
        case "boolean":
            if text == "true" || text == "false" { return .bool(text == "true") }
            throw mismatch(assignment, "true or false")
        case "object", "array":
            // Whole lists and objects are written as JSON.
            guard let value = try? JSONValue(parsing: text), value.arrayValue != nil || value.objectValue != nil else {
                throw mismatch(assignment, "a list or an object, as JSON")
            }
            return value
        default: return .string(text)
        }
    }

    private func mismatch(_ assignment: Assignment, _ what: String) -> RunError {
        RunError(.usage, "--set \(assignment.pathText): the field takes \(what), not '\(assignment.value)'")
    }

    private func unknown(_ assignment: Assignment, _ depth: Int, _ schema: JSONValue) -> RunError {
        let place = depth == 0 ? "the object" : assignment.path[..<depth].joined(separator: ".")
        let known = (schema["properties"]?.objectValue ?? [:]).keys.sorted()
        guard !known.isEmpty else {
            return RunError(.usage, "--set \(assignment.pathText): \(place) has no fields below it")
        }
        let key = assignment.path[depth]
        var message = "--set \(assignment.pathText): \(place) has no field '\(key)'"
        let hint = NearMatch.hint(key, known)
        message += hint.isEmpty ? "; it has \(known.joined(separator: ", "))" : hint
        return RunError(.usage, message)
    }
}
