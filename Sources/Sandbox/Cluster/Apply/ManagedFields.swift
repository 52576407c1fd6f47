import Encoding

/// Who writes, for `metadata.managedFields`.
struct FieldWriter: Sendable {
    enum Operation: String, Sendable {
        case apply = "Apply"
        case update = "Update"
    }

    var manager: String
    var operation: Operation
    var apiVersion: String
    /// Empty for the main resource.
    var subresource: String
    var time: Timestamp
}

/// Field ownership (structured-merge-diff): who set what, and server-side apply on it.
enum ManagedFields {
    private struct Entry {
        var writer: FieldWriter
        var timeText: String
        var fields: FieldSet

        func isSameWriter(_ other: FieldWriter) -> Bool {
            writer.manager == other.manager && writer.operation == other.operation
                && writer.subresource == other.subresource && writer.apiVersion == other.apiVersion
        }
    }

    // MARK: Updates

    /// The new object with managedFields that give its writer what it changed.
    static func tracked(
        _ old: JSONValue?, _ new: JSONValue, by writer: FieldWriter, _ definition: ResourceDefinition
    ) -> JSONValue {
        var (base, isReset) = entries(of: new, fallback: old)
        if isReset { base = [] }
        let difference = FieldComparison.difference(plain(old), plain(new), MergeSchema(definition))
        let changed = owned(difference.changed)
        for index in base.indices where !base[index].isSameWriter(writer) {
            base[index].fields = base[index].fields.subtracting(changed).subtracting(difference.removed)
        }
        if let index = base.firstIndex(where: { $0.isSameWriter(writer) }) {
            base[index].fields = base[index].fields.subtracting(difference.removed).union(changed)
            if !changed.isEmpty || !difference.removed.isEmpty { base[index].timeText = text(writer.time) }
        } else if !isReset {
            base.append(Entry(writer: writer, timeText: text(writer.time), fields: changed))
        }
        return setting(base, on: new)
    }

    // MARK: Apply

    /// The live object (nil: none yet) with the configuration applied, managedFields included.
    ///
    /// - Throws: 409 with a cause for each field that another manager owns, unless `force`.
    static func applied(
        _ config: JSONValue, to live: JSONValue?, by writer: FieldWriter, force: Bool, _ definition: ResourceDefinition
    ) throws(StatusError) -> JSONValue {
        let schema = MergeSchema(definition)
        var config = plain(config) ?? config
        // Empty maps of built-in kinds are left out when they are decoded.
        if !definition.isCustom, case .object(let members) = config {
            config = .object(members.filter { $0.value != [:] })
        }
        var entries = live.map { self.entries(of: $0, fallback: nil).entries } ?? []
        let applied = owned(FieldComparison.fields(of: config, schema))
        let base = plain(live) ?? .object([:])
        var merged = ApplyMerge.merged(base, config, schema)
        let changed = FieldComparison.difference(live == nil ? nil : base, merged, schema).changed
        let others = entries.indices.filter { !entries[$0].isSameWriter(writer) }
        let conflicts = others.map { ($0, entries[$0].fields.intersection(changed)) }.filter { !$0.1.isEmpty }
        if !conflicts.isEmpty, !force {
            throw conflict(conflicts.map { (entries[$0.0].writer, $0.1) })
        }
        for (index, fields) in conflicts { entries[index].fields = entries[index].fields.subtracting(fields) }
        let kept = others.reduce(applied) { $0.union(entries[$1].fields) }
        let own = entries.firstIndex { $0.isSameWriter(writer) }
        if let own {
            let dropped = entries[own].fields.subtracting(applied)
            merged = ApplyMerge.removing(dropped, keeping: kept, from: merged, schema) ?? merged
        }
        let entry = Entry(writer: writer, timeText: text(writer.time), fields: applied)
        if let own { entries[own] = entry } else { entries.append(entry) }
        return setting(entries, on: merged)
    }

    private static func conflict(_ conflicts: [(FieldWriter, FieldSet)]) -> StatusError {
        let causeCount = conflicts.reduce(0) { $0 + $1.1.shownPaths.count }
        var causes: [JSONValue] = []
        var parts: [String] = []
        for (writer, fields) in conflicts {
            let subresource = writer.subresource.isEmpty ? "" : " with subresource \"\(writer.subresource)\""
            let version = writer.operation == .update ? " using \(writer.apiVersion)" : ""
            let manager = "\"\(writer.manager)\"\(subresource)\(version)"
            let paths = fields.shownPaths
            parts.append(
                causeCount == 1
                    ? "conflict with \(manager): \(paths[0])"
                    : "conflicts with \(manager):\n" + paths.map { "- \($0)" }.joined(separator: "\n"))
            causes += paths.map {
                [
                    "reason": "FieldManagerConflict", "message": .string("conflict with \(manager)"),
                    "field": .string($0),
                ]
            }
        }
        let noun = causes.count == 1 ? "conflict" : "conflicts"
        return StatusError(
            409, "Conflict", "Apply failed with \(causes.count) \(noun): \(parts.joined(separator: "\n"))",
            details: ["causes": .array(causes)])
    }

    // MARK: Entries

    private static func entries(
        of object: JSONValue, fallback: JSONValue?
    ) -> (entries: [Entry], isReset: Bool) {
        let own = object.metadata("managedFields")?.arrayValue ?? []
        // One empty entry is the documented way to forget all managers.
        if own == [.object([:])] { return ([], true) }
        let texts = own.isEmpty ? fallback?.metadata("managedFields")?.arrayValue ?? [] : own
        return (texts.compactMap(entry), false)
    }

    private static func entry(_ json: JSONValue) -> Entry? {
        guard let operation = json["operation"]?.stringValue.flatMap(FieldWriter.Operation.init) else { return nil }
        let timeText = json["time"]?.stringValue ?? ""
        return Entry(
            writer: FieldWriter(
                manager: json["manager"]?.stringValue ?? "unknown", operation: operation,
                apiVersion: json["apiVersion"]?.stringValue ?? "", subresource: json["subresource"]?.stringValue ?? "",
                time: Timestamp(timeText) ?? Timestamp(seconds: 0)),
            timeText: timeText, fields: FieldSet(json["fieldsV1"] ?? [:]))
    }

    private static func setting(_ entries: [Entry], on object: JSONValue) -> JSONValue {
        let texts = entries.filter { !$0.fields.isEmpty }
            .sorted {
                ($0.writer.operation.rawValue, $0.timeText, $0.writer.manager)
                    < ($1.writer.operation.rawValue, $1.timeText, $1.writer.manager)
            }
            .map { entry -> JSONValue in
                var json: JSONValue = [
                    "manager": .string(entry.writer.manager), "operation": .string(entry.writer.operation.rawValue),
                    "apiVersion": .string(entry.writer.apiVersion), "time": .string(entry.timeText),
                    "fieldsType": "FieldsV1", "fieldsV1": entry.fields.json,
                ]
                if !entry.writer.subresource.isEmpty { json["subresource"] = .string(entry.writer.subresource) }
                return json
            }
        var object = object
        object.setMetadata("managedFields", texts.isEmpty ? nil : .array(texts))
        return object
    }

    private static func text(_ time: Timestamp) -> String { time.wholeSeconds.description }

    // MARK: What is not owned

    private static let serverFields: FieldSet = {
        var set = FieldSet(members: [.field("apiVersion"), .field("kind"), .field("metadata")])
        set.children[.field("metadata")] = FieldSet(
            members: Set(
                [
                    "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields",
                    "resourceVersion",
                ].map(PathElement.field)))
        return set
    }()

    private static func owned(_ set: FieldSet) -> FieldSet { set.subtracting(serverFields) }

    /// The object without managedFields.
    private static func plain(_ object: JSONValue?) -> JSONValue? {
        guard var object, object["metadata"] != nil else { return object }
        object.setMetadata("managedFields", nil)
        return object
    }

    /// Whether two states differ in more than the times of managedFields: only then is there something to store.
    static func areEqualButForTimes(_ left: JSONValue, _ right: JSONValue) -> Bool {
        left == right || (plain(left) == plain(right) && timeless(left) == timeless(right))
    }

    private static func timeless(_ object: JSONValue) -> [JSONValue] {
        (object.metadata("managedFields")?.arrayValue ?? []).map { $0.without("time") }
    }
}
