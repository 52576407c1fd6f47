import Encoding

/// Server-side apply's merge and removal.
enum ApplyMerge {
    /// The live value with the configuration laid over it.
    static func merged(_ live: JSONValue, _ config: JSONValue, _ schema: MergeSchema) -> JSONValue {
        switch (schema.structure(of: config), live, config) {
        case (.map, .object(var members), .object(let changes)):
            for (key, value) in changes {
                members[key] = members[key].map { merged($0, value, schema.member(key)) } ?? value
            }
            return .object(members)
        case (.keyedList(let keys), .array(let old), .array(let new)):
            return .array(lists(old, new, schema) { schema.pathElement($0, keys: keys) })
        case (.set, .array(let old), .array(let new)):
            return .array(lists(old, new, schema) { .value($0) })
        default:
            return config
        }
    }

    /// Elements only of the old list stay where they are; the others come in the new list's order.
    private static func lists(
        _ old: [JSONValue], _ new: [JSONValue], _ schema: MergeSchema, identity: (JSONValue) -> PathElement
    ) -> [JSONValue] {
        let oldByIdentity = Dictionary(old.map { (identity($0), $0) }, uniquingKeysWith: { first, _ in first })
        let newIdentities = Set(new.map(identity))
        var result: [JSONValue] = []
        var rest = new[...]
        for element in old {
            guard newIdentities.contains(identity(element)) else {
                result.append(element)
                continue
            }
            guard let next = rest.popFirst() else { continue }
            result.append(oldByIdentity[identity(next)].map { merged($0, next, schema.element) } ?? next)
        }
        result += rest.map { next in oldByIdentity[identity(next)].map { merged($0, next, schema.element) } ?? next }
        return result
    }

    /// The value without fields that nobody applies any more; nil when nothing is left of it.
    ///
    /// - Parameter kept: what others own: a container of theirs stays.
    static func removing(
        _ fields: FieldSet, keeping kept: FieldSet, from value: JSONValue, _ schema: MergeSchema
    ) -> JSONValue? {
        guard !fields.isEmpty else { return value }
        switch (schema.structure(of: value), value) {
        case (.map, .object(var members)):
            for (key, member) in members {
                members[key] = remaining(.field(key), member, fields, kept, schema.member(key))
            }
            return members.isEmpty ? nil : .object(members)
        case (.keyedList(let keys), .array(let elements)):
            let rest = elements.compactMap {
                remaining(schema.pathElement($0, keys: keys), $0, fields, kept, schema.element, keys: keys)
            }
            return rest.isEmpty ? nil : .array(rest)
        case (.set, .array(let elements)):
            let rest = elements.compactMap { remaining(.value($0), $0, fields, kept, schema.element) }
            return rest.isEmpty ? nil : .array(rest)
        default:
            return value
        }
    }

    private static func remaining(
        _ element: PathElement, _ value: JSONValue, _ fields: FieldSet, _ kept: FieldSet, _ schema: MergeSchema,
        keys: [String] = []
    ) -> JSONValue? {
        let isKept = kept.members.contains(element) || kept.children[element] != nil
        if fields.members.contains(element), !isKept { return nil }
        guard let below = fields.children[element] else { return value }
        // The keys of an element that stays are what names it.
        let removable = below.removing(FieldSet(members: Set(keys.map(PathElement.field))))
        return removing(removable, keeping: kept.child(element), from: value, schema)
    }
}
