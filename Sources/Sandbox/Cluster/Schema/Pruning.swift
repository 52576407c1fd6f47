import Encoding

/// Removes the fields that a schema does not know.
enum Pruning {
    /// Fields of `metadata` that every object may have.
    static let metadataFields: Set<String> = [
        "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
        "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
        "managedFields",
    ]

    /// A whole object: apiVersion, kind and metadata are known without a schema.
    static func prunedObject(_ object: JSONValue, _ schema: Schema?, unknown: inout [String]) -> JSONValue {
        guard case .object(var members) = object else { return object }
        if case .object(let metadata) = members["metadata"] {
            members["metadata"] = .object(prunedMetadata(metadata, unknown: &unknown))
        }
        guard let schema else { return .object(members) }
        let envelope = members.filter { ["apiVersion", "kind", "metadata"].contains($0.key) }
        let rest = members.filter { envelope[$0.key] == nil }
        guard case .object(let pruned) = pruned(.object(rest), schema, path: "", unknown: &unknown) else {
            return object
        }
        return .object(pruned.merging(envelope) { _, kept in kept })
    }

    private static func prunedMetadata(
        _ metadata: [String: JSONValue], unknown: inout [String]
    ) -> [String: JSONValue] {
        let extra = metadata.keys.filter { !metadataFields.contains($0) }.sorted()
        unknown += extra.map { "metadata.\($0)" }
        return metadata.filter { metadataFields.contains($0.key) }
    }

    /// The value without unknown members, whose paths go to `unknown`, and without nulls that mean absence.
    static func pruned(_ value: JSONValue, _ schema: Schema, path: String, unknown: inout [String]) -> JSONValue {
        switch value {
        case .object(let members):
            if schema.isEmbeddedResource { return value }
            var kept: [String: JSONValue] = [:]
            for (key, member) in members.sorted(by: { $0.key < $1.key }) {
                let memberPath = path.isEmpty ? key : "\(path).\(key)"
                if let memberSchema = schema.member(key) {
                    if member.isNull, memberSchema.dropsNulls { continue }
                    kept[key] = pruned(member, memberSchema, path: memberPath, unknown: &unknown)
                } else if schema.preservesUnknownFields {
                    kept[key] = member
                } else {
                    unknown.append(memberPath)
                }
            }
            return .object(kept)
        case .array(let elements):
            guard let items = schema.items else { return value }
            var kept: [JSONValue] = []
            for (index, element) in elements.enumerated() {
                kept.append(pruned(element, items, path: "\(path)[\(index)]", unknown: &unknown))
            }
            return .array(kept)
        default:
            return value
        }
    }
}
