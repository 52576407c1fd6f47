import Encoding

/// Reads the keywords of one schema node.
struct SchemaReader {
    let json: JSONValue
    let path: String

    private static let known: Set<String> = [
        "type", "title", "description", "properties", "additionalProperties", "items", "required", "enum", "format",
        "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "minItems", "maxItems", "minProperties", "maxProperties", "default", "nullable", "example", "externalDocs",
        "allOf", "anyOf", "oneOf", "not", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type", "x-kubernetes-validations", "x-kubernetes-patch-merge-key",
        "x-kubernetes-patch-strategy",
    ]

    func refuseUnknownKeywords() throws(SandboxError) {
        guard let members = json.objectValue else { throw failure("must be a schema object") }
        if let unknown = members.keys.filter({ !SchemaReader.known.contains($0) }).min() {
            throw failure("keyword \"\(unknown)\" is not supported")
        }
    }

    func type() throws(SandboxError) -> String? {
        guard let type = json["type"] else { return nil }
        guard let name = type.stringValue,
            ["object", "array", "string", "integer", "number", "boolean"].contains(name)
        else { throw failure("type must be object, array, string, integer, number or boolean") }
        return name
    }

    func schema(_ keyword: String) throws(SandboxError) -> Schema? {
        guard let value = json[keyword] else { return nil }
        return try Schema(value, path: "\(path).\(keyword)")
    }

    func schemas(_ keyword: String) throws(SandboxError) -> [String: Schema] {
        var result: [String: Schema] = [:]
        for (key, value) in json[keyword]?.objectValue ?? [:] {
            result[key] = try Schema(value, path: "\(path).\(keyword)[\(key)]")
        }
        return result
    }

    func additionalProperties() throws(SandboxError) -> Schema? {
        json["additionalProperties"]?.boolValue == nil ? try schema("additionalProperties") : nil
    }

    func logicalSchemas(_ keyword: String) throws(SandboxError) -> [Schema] {
        var result: [Schema] = []
        for (index, value) in (json[keyword]?.arrayValue ?? []).enumerated() {
            result.append(try Schema(value, path: "\(path).\(keyword)[\(index)]"))
        }
        return result
    }

    func logicalSchema(_ keyword: String) throws(SandboxError) -> Schema? { try schema(keyword) }

    func pattern() throws(SandboxError) -> Pattern? {
        guard let text = json["pattern"]?.stringValue else { return nil }
        do throws(SandboxError) {
            return try Pattern(text)
        } catch {
            throw failure("pattern: \(error.message)")
        }
    }

    func limits() -> Schema.Limits {
        func count(_ keyword: String) -> Int? { json[keyword]?.integerValue.map { Int(clamping: $0) } }
        return Schema.Limits(
            minimum: json["minimum"]?.doubleValue, maximum: json["maximum"]?.doubleValue,
            isMinimumExclusive: json["exclusiveMinimum"]?.boolValue ?? false,
            isMaximumExclusive: json["exclusiveMaximum"]?.boolValue ?? false,
            multipleOf: json["multipleOf"]?.doubleValue, minLength: count("minLength"),
            maxLength: count("maxLength"), minItems: count("minItems"), maxItems: count("maxItems"),
            minProperties: count("minProperties"), maxProperties: count("maxProperties"))
    }

    func listType() throws(SandboxError) -> Schema.ListType {
        switch json["x-kubernetes-list-type"]?.stringValue {
        case nil, "atomic": return .atomic
        case "set": return .set
        case "map":
            let keys = json["x-kubernetes-list-map-keys"]?.arrayValue?.compactMap(\.stringValue) ?? []
            guard !keys.isEmpty else { throw failure("x-kubernetes-list-type map needs x-kubernetes-list-map-keys") }
            return .map(keys: keys)
        case .some(let other): throw failure("x-kubernetes-list-type \"\(other)\" is not known")
        }
    }

    func rules() throws(SandboxError) -> [ValidationRule] {
        var rules: [ValidationRule] = []
        for (index, value) in (json["x-kubernetes-validations"]?.arrayValue ?? []).enumerated() {
            rules.append(try ValidationRule(value, path: "\(path).x-kubernetes-validations[\(index)]"))
        }
        return rules
    }

    /// The rules of structural schemas that a mistake is likely to break.
    func checkStructure(_ schema: Schema, isRoot: Bool) throws(SandboxError) {
        let isLogical = path.contains("Of[") || path.hasSuffix(".not")
        if schema.type == nil, !schema.isIntOrString, !schema.preservesUnknownFields, !isLogical {
            throw SandboxError(
                .invalidCRD, "\(path).type: Required value: must not be empty for specified object fields")
        }
        if isRoot, schema.type != "object" {
            throw failure("type: Invalid value: must be object at the root")
        }
        if !schema.properties.isEmpty, schema.additionalProperties != nil {
            throw failure("additionalProperties and properties are mutual exclusive")
        }
        if schema.type == "array", schema.items == nil {
            throw SandboxError(.invalidCRD, "\(path).items: Required value: must be specified")
        }
        if case .map(let keys) = schema.listType {
            for key in keys where schema.items?.properties[key] == nil {
                throw failure("x-kubernetes-list-map-keys: \"\(key)\" is no property of the items")
            }
            let missing = keys.first { key in
                schema.items?.required.contains(key) == false && schema.items?.properties[key]?.defaultValue == nil
            }
            if let missing {
                throw failure("items: the map key \"\(missing)\" must be required or have a default")
            }
        }
        if let value = schema.defaultValue { try checkDefault(value, schema) }
    }

    private func checkDefault(_ value: JSONValue, _ schema: Schema) throws(SandboxError) {
        let completed = Defaulting.defaulted(value, schema)
        let errors = SchemaValidation.errors(completed, nil, schema, path: "\(path).default")
        if let error = errors.first { throw SandboxError(.invalidCRD, error.description) }
        var unknown: [String] = []
        _ = Pruning.pruned(value, schema, path: "\(path).default", unknown: &unknown)
        if let field = unknown.first { throw SandboxError(.invalidCRD, "\(field): must not have unknown fields") }
    }

    private func failure(_ what: String) -> SandboxError { SandboxError(.invalidCRD, "\(path): \(what)") }
}
