import Encoding

/// How a value merges: what the schema says, or granular maps and atomic lists where it says nothing.
struct MergeSchema: Sendable {
    enum Structure: Sendable {
        case map
        case keyedList([String])
        case set
        case atomic
    }

    private let schema: Schema?
    private let isRoot: Bool

    init(_ definition: ResourceDefinition) {
        schema = definition.schema
        isRoot = true
    }

    private init(schema: Schema?) {
        self.schema = schema
        isRoot = false
    }

    func member(_ key: String) -> MergeSchema {
        if isRoot, key == "metadata" { return MergeSchema(schema: MergeSchema.metadata) }
        return MergeSchema(schema: schema?.member(key))
    }

    var element: MergeSchema { MergeSchema(schema: schema?.items) }

    func structure(of value: JSONValue) -> Structure {
        switch value {
        case .object: return schema?.isAtomicMap == true ? .atomic : .map
        case .array:
            switch schema?.listType {
            case .map(let keys): return .keyedList(keys)
            case .set: return .set
            case .atomic, nil: return .atomic
            }
        default: return .atomic
        }
    }

    /// The path element of a list's element.
    func pathElement(_ element: JSONValue, keys: [String]) -> PathElement {
        var identity: [String: JSONValue] = [:]
        for key in keys { identity[key] = element[key] ?? schema?.items?.properties[key]?.defaultValue }
        return .key(.object(identity))
    }

    private static let metadata: Schema = {
        let json = SchemaText.object([
            "labels": SchemaText.stringMap, "annotations": SchemaText.stringMap,
            "finalizers": ["type": "array", "items": ["type": "string"], "x-kubernetes-list-type": "set"],
            "ownerReferences": SchemaText.list(
                SchemaText.object(["uid": SchemaText.string], required: ["uid"]), keys: "uid"),
        ])
        do throws(SandboxError) {
            return try Schema(json, path: "metadata")
        } catch {
            preconditionFailure("the schema of metadata is a constant: \(error)")
        }
    }()
}

/// Field sets of values and of differences.
enum FieldComparison {
    /// The fields that a configuration sets: leaves, empty maps, and the elements of lists.
    static func fields(of value: JSONValue, _ schema: MergeSchema) -> FieldSet {
        var set = FieldSet()
        for (element, child, childSchema) in children(value, schema) {
            let below = fields(of: child, childSchema)
            if below.isEmpty || element.isListElement { set.members.insert(element) }
            set.setChild(element, below)
        }
        return set
    }

    /// What was added or changed, and what was removed.
    static func difference(
        _ old: JSONValue?, _ new: JSONValue?, _ schema: MergeSchema
    ) -> (changed: FieldSet, removed: FieldSet) {
        guard old != new else { return (FieldSet(), FieldSet()) }
        var before: [PathElement: JSONValue] = [:]
        for (element, value, _) in old.map({ children($0, schema) }) ?? [] { before[element] = value }
        var changed = FieldSet()
        var removed = FieldSet()
        for (element, value, childSchema) in new.map({ children($0, schema) }) ?? [] {
            let earlier = before.removeValue(forKey: element)
            guard earlier != value else { continue }
            let below = difference(earlier, value, childSchema)
            if earlier == nil || !isGranular(value, childSchema)
                || earlier.map({ !isGranular($0, childSchema) }) == true
            {
                changed.members.insert(element)
            }
            changed.setChild(element, below.changed)
            removed.setChild(element, below.removed)
        }
        for (element, value) in before {
            removed.members.insert(element)
            let childSchema = childSchema(element, schema)
            removed.setChild(element, difference(value, nil, childSchema).removed)
        }
        return (changed, removed)
    }

    private static func isGranular(_ value: JSONValue, _ schema: MergeSchema) -> Bool {
        if case .atomic = schema.structure(of: value) { false } else { true }
    }

    private static func childSchema(_ element: PathElement, _ schema: MergeSchema) -> MergeSchema {
        if case .field(let name) = element { schema.member(name) } else { schema.element }
    }

    /// The parts of a granular value with their path elements.
    private static func children(
        _ value: JSONValue, _ schema: MergeSchema
    ) -> [(PathElement, JSONValue, MergeSchema)] {
        switch (schema.structure(of: value), value) {
        case (.map, .object(let members)):
            members.map { (.field($0.key), $0.value, schema.member($0.key)) }
        case (.keyedList(let keys), .array(let elements)):
            elements.map { (schema.pathElement($0, keys: keys), $0, schema.element) }
        case (.set, .array(let elements)): elements.map { (.value($0), $0, schema.element) }
        default: []
        }
    }
}

extension PathElement {
    fileprivate var isListElement: Bool { if case .field = self { false } else { true } }
}
