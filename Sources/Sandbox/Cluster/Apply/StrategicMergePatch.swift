import Encoding

/// Kubernetes' strategic merge patch: lists merge by the keys of the schema, and directives delete or replace.
enum StrategicMergePatch {
    static func patched(
        _ target: JSONValue, _ patch: JSONValue, _ definition: ResourceDefinition
    ) throws(StatusError) -> JSONValue {
        try patched(target, patch, MergeSchema(definition))
    }

    private static func patched(
        _ target: JSONValue, _ patch: JSONValue, _ schema: MergeSchema
    ) throws(StatusError) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        switch changes["$patch"]?.stringValue {
        case "replace": return withoutDirectives(patch)
        case "delete": return .object([:])
        default: break
        }
        var members = target.objectValue ?? [:]
        if let kept = changes["$retainKeys"]?.arrayValue {
            members = members.filter { kept.contains(.string($0.key)) }
        }
        for (key, value) in changes where !key.hasPrefix("$") {
            if value.isNull {
                members.removeValue(forKey: key)
                continue
            }
            let memberSchema = schema.member(key)
            switch (members[key], value) {
            case (let old, .object): members[key] = try patched(old ?? .object([:]), value, memberSchema)
            case (let old, .array(let elements)):
                members[key] = try mergedList(
                    old?.arrayValue ?? [], elements, memberSchema, order: changes["$setElementOrder/\(key)"])
            default: members[key] = value
            }
        }
        try applyListDirectives(changes, to: &members, schema)
        return .object(members)
    }

    /// Directives for lists that the patch does not hold itself.
    private static func applyListDirectives(
        _ changes: [String: JSONValue], to members: inout [String: JSONValue], _ schema: MergeSchema
    ) throws(StatusError) {
        for (directive, value) in changes {
            if directive.hasPrefix("$deleteFromPrimitiveList/") {
                let key = String(directive.dropFirst("$deleteFromPrimitiveList/".count))
                let gone = value.arrayValue ?? []
                members[key] = members[key]?.arrayValue.map { .array($0.filter { !gone.contains($0) }) }
            } else if directive.hasPrefix("$setElementOrder/") {
                let key = String(directive.dropFirst("$setElementOrder/".count))
                guard changes[key] == nil, let old = members[key]?.arrayValue else { continue }
                members[key] = try mergedList(old, [], schema.member(key), order: value)
            }
        }
    }

    private static func mergedList(
        _ old: [JSONValue], _ patch: [JSONValue], _ schema: MergeSchema, order: JSONValue?
    ) throws(StatusError) -> JSONValue {
        switch schema.structure(of: .array(patch)) {
        case .keyedList(let keys):
            guard let key = keys.first else { return .array(patch) }
            let merged = try mergedElements(old, patch, schema, key: key)
            return .array(ordered(merged, by: order) { $0[key] })
        case .set:
            // The patch's elements come first, as the API server merges lists of texts.
            let merged = patch + old.filter { !patch.contains($0) }
            return .array(ordered(merged, by: order) { $0 })
        case .map, .atomic: return .array(patch.map(withoutDirectives))
        }
    }

    private static func mergedElements(
        _ old: [JSONValue], _ patch: [JSONValue], _ schema: MergeSchema, key: String
    ) throws(StatusError) -> [JSONValue] {
        if patch.contains(where: { $0["$patch"] == "replace" && $0[key] == nil }) {
            return patch.filter { $0["$patch"] == nil }.map(withoutDirectives)
        }
        var result = old
        for change in patch {
            guard let identity = change[key] else {
                let members = (change.objectValue ?? [:]).sorted { $0.key < $1.key }
                    .map { "\($0.key):\($0.value.stringValue ?? $0.value.serializedText())" }
                throw .unexplained(
                    "map: map[\(members.joined(separator: " "))] does not contain declared merge key: \(key)")
            }
            let index = result.firstIndex { $0[key] == identity }
            if change["$patch"] == "delete" {
                if let index { result.remove(at: index) }
            } else if let index {
                result[index] = try patched(result[index], change, schema.element)
            } else {
                result.append(withoutDirectives(change))
            }
        }
        return result
    }

    private static func ordered(
        _ elements: [JSONValue], by order: JSONValue?, identity: (JSONValue) -> JSONValue?
    ) -> [JSONValue] {
        guard let order = order?.arrayValue else { return elements }
        let ranks = Dictionary(
            order.enumerated().map { (identity($1) ?? $1, $0) }, uniquingKeysWith: { first, _ in first })
        let ranked = elements.enumerated().map { position, element -> (Int, Int, JSONValue) in
            (identity(element).flatMap { ranks[$0] } ?? Int.max, position, element)
        }
        return ranked.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2)
    }

    private static func withoutDirectives(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(members.filter { !$0.key.hasPrefix("$") && !$0.value.isNull }.mapValues(withoutDirectives))
        case .array(let elements): .array(elements.map(withoutDirectives))
        default: value
        }
    }
}
