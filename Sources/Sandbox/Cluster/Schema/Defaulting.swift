import Encoding

/// Fills in the defaults of a schema.
enum Defaulting {
    /// The value with defaults: absent members get theirs, and so do nulls where null is not allowed.
    static func defaulted(_ value: JSONValue, _ schema: Schema) -> JSONValue {
        guard schema.hasDefaults else { return value }
        switch value {
        case .object(var members):
            for (key, property) in schema.properties {
                let current = members[key]
                if let fallback = property.defaultValue, current == nil || (current == .null && !property.isNullable) {
                    members[key] = fallback
                }
                if let member = members[key], property.hasDefaults { members[key] = defaulted(member, property) }
            }
            if let values = schema.additionalProperties, values.hasDefaults {
                for (key, member) in members where schema.properties[key] == nil {
                    members[key] = defaulted(member, values)
                }
            }
            return .object(members)
        case .array(let elements):
            guard let items = schema.items, items.hasDefaults else { return value }
            return .array(elements.map { defaulted($0, items) })
        default:
            return value
        }
    }
}
