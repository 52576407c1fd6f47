import Encoding

/// Checks the defaults of a definition: each must be what the schema, and its rules, would accept.
enum DefaultChecks {
    static func check(_ schema: Schema, path: String, problems: inout [FieldError]) {
        if let value = schema.defaultValue { check(value, schema, "\(path).default", &problems) }
        for (key, property) in schema.properties.sorted(by: { $0.key < $1.key }) where property.hasDefaults {
            let place = "\(path).properties[\(key)]"
            if key == "metadata", path.hasSuffix("openAPIV3Schema") {
                problems.append(
                    FieldError(.forbidden, "\(place).default", "must not be set in top-level metadata"))
                continue
            }
            check(property, path: place, problems: &problems)
        }
        if let items = schema.items, items.hasDefaults { check(items, path: "\(path).items", problems: &problems) }
        if let values = schema.additionalProperties, values.hasDefaults {
            check(values, path: "\(path).additionalProperties", problems: &problems)
        }
    }

    private static func check(
        _ value: JSONValue, _ schema: Schema, _ place: String, _ problems: inout [FieldError]
    ) {
        var unknown: [String] = []
        _ = Pruning.pruned(value, schema, path: "", unknown: &unknown)
        if !unknown.isEmpty {
            problems.append(FieldError(.invalid, place, value: value, "must not have unknown fields"))
            return
        }
        let completed = Defaulting.defaulted(value, schema)
        let errors = SchemaValidation.errors(completed, nil, schema, path: place)
        problems += errors
        guard errors.isEmpty, let declaration = CELDeclaration(schema) else { return }
        for old in [completed, nil] as [JSONValue?] {
            problems +=
                RuleValidation.findings(completed, old, schema, declaration, path: place, checksUnchanged: false).errors
        }
    }
}
