import Encoding

/// Checks values against a schema, with the messages of kube-openapi.
///
/// What an update leaves as it was is not checked again (ratcheting): an object that an earlier schema accepted can
/// still be changed elsewhere.
enum SchemaValidation {
    static func errors(_ value: JSONValue, _ old: JSONValue?, _ schema: Schema, path: String) -> [FieldError] {
        if let old, old == value { return [] }
        if value.isNull, schema.isNullable { return [] }
        // kube-openapi's order; a wrong type does not end it.
        var errors = typeErrors(value, schema, path: path)
        if value.isNull { return errors + enumerationErrors(value, schema, path: path) }
        errors += logicalErrors(value, schema, path: path)
        switch value {
        case .string(let text): errors += StringValidation.errors(text, schema, path: path)
        case .integer, .number: errors += NumberValidation.errors(value, schema, path: path)
        case .array(let elements): errors += arrayErrors(elements, old, schema, path: path)
        case .object, .bool, .null: break
        }
        errors += enumerationErrors(value, schema, path: path)
        if case .object(let members) = value { errors += objectErrors(members, old, schema, path: path) }
        return errors
    }

    private static func typeErrors(_ value: JSONValue, _ schema: Schema, path: String) -> [FieldError] {
        let isRight: Bool
        var wanted: String
        var found = value.typeName
        if schema.isIntOrString {
            wanted = "integer,string"
            isRight = value.stringValue != nil || value.integerValue != nil
        } else if let type = schema.type {
            wanted = type
            isRight = has(value, type: type)
            let isFormatted = StringFormat.isKnown(schema.format) || numberFormats.contains(schema.format)
            if isFormatted, value.stringValue == nil, value.arrayValue == nil, !value.isNull {
                wanted = schema.format
                found = formatName(of: value)
            }
        } else {
            return []
        }
        guard !isRight else { return [] }
        let quoted = JSONValue.string(found).serializedText()
        return [
            FieldError(
                .typeInvalid, path, value: .string(found), "\(path) in body must be of type \(wanted): \(quoted)")
        ]
    }

    private static let numberFormats: Set<String> = ["int32", "int64", "float", "double"]

    /// The format that kube-openapi sees in a value.
    private static func formatName(of value: JSONValue) -> String {
        switch value {
        case .integer: "int64"
        case .number: "float64"
        default: ""
        }
    }

    private static func has(_ value: JSONValue, type: String) -> Bool {
        switch type {
        case "object": value.objectValue != nil
        case "array": value.arrayValue != nil
        case "string": value.stringValue != nil
        case "boolean": value.boolValue != nil
        case "integer": value.integerValue != nil
        case "number": value.doubleValue != nil
        default: true
        }
    }

    private static func enumerationErrors(_ value: JSONValue, _ schema: Schema, path: String) -> [FieldError] {
        guard let allowed = schema.enumeration, !allowed.contains(value) else { return [] }
        // Everything is quoted, numbers too.
        let list = allowed.map { JSONValue.string($0.stringValue ?? $0.serializedText()).serializedText() }
        return [FieldError(.notSupported, path, value: value, "supported values: \(list.joined(separator: ", "))")]
    }

    private static func objectErrors(
        _ members: [String: JSONValue], _ old: JSONValue?, _ schema: Schema, path: String
    ) -> [FieldError] {
        var errors: [FieldError] = []
        for key in schema.required where members[key] == nil {
            errors.append(FieldError(.required, join(path, key)))
        }
        let count = members.count
        if let minimum = schema.limits.minProperties, count < minimum {
            errors.append(invalid(path, .integer(Int64(count)), "should have at least \(minimum) properties"))
        }
        if let maximum = schema.limits.maxProperties, count > maximum {
            errors.append(tooMany(path, count, maximum))
        }
        for (key, member) in members.sorted(by: { $0.key < $1.key }) {
            guard let memberSchema = schema.member(key) else { continue }
            errors += Self.errors(member, old?[key], memberSchema, path: join(path, key))
        }
        return errors
    }

    private static func arrayErrors(
        _ elements: [JSONValue], _ old: JSONValue?, _ schema: Schema, path: String
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let count = elements.count
        if let minimum = schema.limits.minItems, count < minimum {
            errors.append(invalid(path, .integer(Int64(count)), "should have at least \(minimum) items"))
        }
        if let maximum = schema.limits.maxItems, count > maximum {
            errors.append(tooMany(path, count, maximum))
        }
        let correlation = ListCorrelation(old: old, listType: schema.listType)
        if let items = schema.items {
            for (index, element) in elements.enumerated() {
                errors += Self.errors(element, correlation.old(of: element), items, path: "\(path)[\(index)]")
            }
        }
        return errors + duplicateErrors(elements, schema, path: path)
    }

    private static func duplicateErrors(_ elements: [JSONValue], _ schema: Schema, path: String) -> [FieldError] {
        var seen: Set<JSONValue> = []
        var errors: [FieldError] = []
        for (index, element) in elements.enumerated() {
            let identity: JSONValue
            switch schema.listType {
            case .atomic: return []
            case .set: identity = element
            case .map(let keys): identity = ListCorrelation.identity(of: element, keys: keys)
            }
            if !seen.insert(identity).inserted {
                errors.append(FieldError(.duplicate, "\(path)[\(index)]", value: identity))
            }
        }
        return errors
    }

    private static func logicalErrors(_ value: JSONValue, _ schema: Schema, path: String) -> [FieldError] {
        guard !(schema.anyOf.isEmpty && schema.oneOf.isEmpty && schema.allOf.isEmpty && schema.not == nil) else {
            return []
        }
        /// These errors have no place of their own; their text names it.
        func failure(_ words: String) -> FieldError {
            FieldError(.invalid, "", value: "", "\(JSONValue.string(path).serializedText()) \(words)")
        }
        func results(_ branches: [Schema]) -> [[FieldError]] {
            branches.map { self.errors(value, nil, $0, path: path) }
        }
        var errors: [FieldError] = []
        let any = results(schema.anyOf)
        if !any.isEmpty, !any.contains(where: \.isEmpty) {
            errors.append(failure("must validate at least one schema (anyOf)"))
            errors += any.min { $0.count < $1.count } ?? []
        }
        let one = results(schema.oneOf)
        let validCount = one.count { $0.isEmpty }
        if !one.isEmpty, validCount != 1 {
            let found = validCount == 0 ? "Found none valid" : "Found \(validCount) valid alternatives"
            errors.append(failure("must validate one and only one schema (oneOf). \(found)"))
            if validCount == 0 { errors += one.min { $0.count < $1.count } ?? [] }
        }
        let all = results(schema.allOf)
        if all.contains(where: { !$0.isEmpty }) {
            errors += all.flatMap { $0 }
            let none = all.contains(where: \.isEmpty) ? "" : ". None validated"
            errors.append(failure("must validate all the schemas (allOf)\(none)"))
        }
        if let not = schema.not, self.errors(value, nil, not, path: path).isEmpty {
            errors.append(failure("must not validate the schema (not)"))
        }
        return errors
    }

    static func invalid(_ path: String, _ value: JSONValue, _ detail: String) -> FieldError {
        FieldError(.invalid, path, value: value, "\(path) in body \(detail)")
    }

    private static func tooMany(_ path: String, _ count: Int, _ maximum: Int) -> FieldError {
        let noun = maximum == 1 ? "item" : "items"
        return FieldError(.tooMany, path, value: .integer(Int64(count)), "must have at most \(maximum) \(noun)")
    }

    static func join(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
}

/// Finds the old element of a list's element: only map lists have one.
struct ListCorrelation {
    private var olds: [JSONValue: JSONValue] = [:]
    private var keys: [String]?

    init(old: JSONValue?, listType: Schema.ListType) {
        guard case .map(let keys) = listType, let elements = old?.arrayValue else { return }
        self.keys = keys
        for element in elements { olds[ListCorrelation.identity(of: element, keys: keys)] = element }
    }

    func old(of element: JSONValue) -> JSONValue? {
        keys.flatMap { olds[ListCorrelation.identity(of: element, keys: $0)] }
    }

    /// The members that name an element of a map list.
    static func identity(of element: JSONValue, keys: [String]) -> JSONValue {
        var identity: [String: JSONValue] = [:]
        for key in keys { identity[key] = element[key] }
        return .object(identity)
    }
}
