import Encoding

/// Reads the keywords of one schema node.
struct SchemaReader {
    let json: JSONValue
    let path: String
    private(set) var problems: [FieldError] = []

    init(json: JSONValue, path: String) {
        self.json = json
        self.path = path
    }

    private static let known: Set<String> = [
        "type", "title", "description", "properties", "additionalProperties", "items", "required", "enum", "format",
        "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "minItems", "maxItems", "minProperties", "maxProperties", "default", "nullable", "example", "externalDocs",
        "allOf", "anyOf", "oneOf", "not", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type", "x-kubernetes-validations", "x-kubernetes-patch-merge-key",
        "x-kubernetes-patch-strategy",
    ]

    /// Keywords that the API server knows and refuses.
    private static let refused = [
        "id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref",
    ]

    mutating func refuseUnknownKeywords() {
        guard let members = json.objectValue else {
            problems.append(FieldError(.invalid, path, value: .string(json.typeName), "must be a schema object"))
            return
        }
        for keyword in members.keys.sorted() where !SchemaReader.known.contains(keyword) {
            let place = "\(path).\(keyword)"
            if SchemaReader.refused.contains(keyword) {
                problems.append(FieldError(.forbidden, place, "\(keyword) is not supported"))
            } else if keyword == "uniqueItems" {
                guard members[keyword] == true else { continue }
                problems.append(
                    FieldError(
                        .forbidden, place,
                        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"))
            } else {
                problems.append(FieldError(.invalid, place, "unknown field \"\(keyword)\""))
            }
        }
        if members["x-kubernetes-preserve-unknown-fields"] == false {
            problems.append(
                FieldError(
                    .invalid, "\(path).x-kubernetes-preserve-unknown-fields", value: false,
                    "must be true or undefined"))
        }
    }

    mutating func type() -> String? {
        guard let type = json["type"], type != "" else { return nil }
        let known = ["array", "boolean", "integer", "number", "object", "string"]
        guard let name = type.stringValue, known.contains(name) else {
            problems.append(.unsupported("\(path).type", type.stringValue ?? type.serializedText(), supported: known))
            return nil
        }
        return name
    }

    mutating func schema(_ keyword: String) -> Schema? {
        guard let value = json[keyword] else { return nil }
        return Schema(value, path: "\(path).\(keyword)", isRoot: false, problems: &problems)
    }

    mutating func schemas(_ keyword: String) -> [String: Schema] {
        var result: [String: Schema] = [:]
        for (key, value) in (json[keyword]?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
            result[key] = Schema(value, path: "\(path).\(keyword)[\(key)]", isRoot: false, problems: &problems)
        }
        return result
    }

    mutating func additionalProperties() -> Schema? {
        json["additionalProperties"]?.boolValue == nil ? schema("additionalProperties") : nil
    }

    mutating func schemaList(_ keyword: String) -> [Schema] {
        var result: [Schema] = []
        for (index, value) in (json[keyword]?.arrayValue ?? []).enumerated() {
            result.append(Schema(value, path: "\(path).\(keyword)[\(index)]", isRoot: false, problems: &problems))
        }
        return result
    }

    mutating func format() -> String {
        let format = json["format"]?.stringValue ?? ""
        if StringFormat.isUnchecked(format), ["string", nil].contains(json["type"]?.stringValue) {
            problems.append(
                FieldError(
                    .invalid, "\(path).format", value: .string(format),
                    "the simulated cluster does not check this format"))
        }
        return format
    }

    mutating func pattern() -> Pattern? {
        guard let text = json["pattern"]?.stringValue, !text.isEmpty else { return nil }
        do throws(SandboxError) {
            return try Pattern(text)
        } catch {
            problems.append(
                FieldError(
                    .invalid, "\(path).pattern", value: .string(text),
                    "must be a valid regular expression, but isn't: \(error.message)"))
            return nil
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

    mutating func listType() -> Schema.ListType {
        let keys = json["x-kubernetes-list-map-keys"]?.arrayValue?.compactMap(\.stringValue) ?? []
        switch json["x-kubernetes-list-type"]?.stringValue {
        case nil, "atomic": return .atomic
        case "set": return .set
        case "map": return .map(keys: keys)
        case .some(let other):
            problems.append(
                .unsupported("\(path).x-kubernetes-list-type", other, supported: ["atomic", "set", "map"]))
            return .atomic
        }
    }

    mutating func rules() -> [ValidationRule] {
        var rules: [ValidationRule] = []
        for (index, value) in (json["x-kubernetes-validations"]?.arrayValue ?? []).enumerated() {
            let place = "\(path).x-kubernetes-validations[\(index)]"
            if let rule = ValidationRule(value, path: place, problems: &problems) { rules.append(rule) }
        }
        return rules
    }
}

extension FieldError {
    /// "Unsupported value", with the values that are.
    static func unsupported(_ path: String, _ value: String, supported: [String]) -> FieldError {
        let list = supported.map { JSONValue.string($0).serializedText() }.joined(separator: ", ")
        return FieldError(.notSupported, path, value: .string(value), "supported values: \(list)")
    }
}
