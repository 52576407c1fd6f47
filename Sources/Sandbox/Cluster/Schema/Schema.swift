import Encoding

/// A structural schema (`openAPIV3Schema` of a CustomResourceDefinition), parsed once.
final class Schema: Sendable {
    /// `x-kubernetes-list-type`.
    enum ListType: Sendable, Hashable {
        case atomic, set
        case map(keys: [String])
    }

    /// Limits of numbers, lengths and counts.
    struct Limits: Sendable {
        var minimum: Double?
        var maximum: Double?
        var isMinimumExclusive = false
        var isMaximumExclusive = false
        var multipleOf: Double?
        var minLength: Int?
        var maxLength: Int?
        var minItems: Int?
        var maxItems: Int?
        var minProperties: Int?
        var maxProperties: Int?
    }

    /// nil: any (`x-kubernetes-int-or-string`, `x-kubernetes-preserve-unknown-fields`, or a logical sub-schema).
    let type: String?
    let description: String
    /// The text that it was read from.
    let source: JSONValue
    let properties: [String: Schema]
    /// The schema of a map's values.
    let additionalProperties: Schema?
    let items: Schema?
    let required: [String]
    let enumeration: [JSONValue]?
    let format: String
    let pattern: Pattern?
    let limits: Limits
    let defaultValue: JSONValue?
    let isNullable: Bool
    let isIntOrString: Bool
    let preservesUnknownFields: Bool
    let isEmbeddedResource: Bool
    let listType: ListType
    let isAtomicMap: Bool
    let allOf: [Schema]
    let anyOf: [Schema]
    let oneOf: [Schema]
    let not: Schema?
    let rules: [ValidationRule]
    /// Whether this node or one below has rules.
    let hasRules: Bool
    /// Whether one of them compares with the old object.
    let hasTransitionRules: Bool
    /// Whether a default is here or below.
    let hasDefaults: Bool

    /// Reads the schema of a CustomResourceDefinition (`isRoot`) or of a built-in kind.
    ///
    /// - Throws: `.invalidCRD` naming everything that is wrong or not supported.
    convenience init(_ json: JSONValue, path: String, isRoot: Bool = false) throws(SandboxError) {
        var problems: [FieldError] = []
        self.init(checked: json, path: path, isRoot: isRoot, problems: &problems)
        guard problems.isEmpty else {
            throw SandboxError(.invalidCRD, problems.map(\.description).joined(separator: "; "))
        }
    }

    /// As above; what is wrong goes to `problems` as the causes of the API server's refusal.
    convenience init(checked json: JSONValue, path: String, isRoot: Bool = true, problems: inout [FieldError]) {
        self.init(json, path: path, isRoot: isRoot, problems: &problems)
        guard isRoot else { return }
        StructureChecks.check(self, path: path, problems: &problems)
        if problems.isEmpty { RuleChecks.check(self, path: path, problems: &problems) }
        if problems.isEmpty { DefaultChecks.check(self, path: path, problems: &problems) }
    }

    init(_ json: JSONValue, path: String, isRoot: Bool, problems: inout [FieldError]) {
        var reader = SchemaReader(json: json, path: path)
        reader.refuseUnknownKeywords()
        type = reader.type()
        source = json
        description = json["description"]?.stringValue ?? ""
        properties = reader.schemas("properties")
        additionalProperties = reader.additionalProperties()
        items = reader.schema("items")
        required = json["required"]?.arrayValue?.compactMap(\.stringValue) ?? []
        enumeration = json["enum"]?.arrayValue
        format = reader.format()
        pattern = reader.pattern()
        limits = reader.limits()
        defaultValue = json["default"]
        isNullable = json["nullable"]?.boolValue ?? false
        isIntOrString = json["x-kubernetes-int-or-string"]?.boolValue ?? false
        preservesUnknownFields =
            json["x-kubernetes-preserve-unknown-fields"]?.boolValue == true
            || json["additionalProperties"]?.boolValue == true
        isEmbeddedResource = json["x-kubernetes-embedded-resource"]?.boolValue ?? false
        listType = reader.listType()
        isAtomicMap = json["x-kubernetes-map-type"]?.stringValue == "atomic"
        allOf = reader.schemaList("allOf")
        anyOf = reader.schemaList("anyOf")
        oneOf = reader.schemaList("oneOf")
        not = reader.schema("not")
        rules = reader.rules()
        let children = Array(properties.values) + [additionalProperties, items].compactMap { $0 }
        hasRules = !rules.isEmpty || children.contains(where: \.hasRules)
        hasTransitionRules = rules.contains(where: \.usesOldSelf) || children.contains(where: \.hasTransitionRules)
        hasDefaults = defaultValue != nil || children.contains(where: \.hasDefaults)
        problems += reader.problems
    }

    /// The schema of a member of an object.
    func member(_ key: String) -> Schema? { properties[key] ?? additionalProperties }

    /// Whether a null of this field means that it is absent: it is neither nullable nor has a default to take.
    var dropsNulls: Bool { !isNullable && defaultValue == nil && type != nil }
}
