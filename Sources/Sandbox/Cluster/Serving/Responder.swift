import Encoding
import HTTP

/// Writes replies in the form that the client asks for: whole objects, Tables or metadata only.
struct Responder: Sendable {
    let request: HTTPRequest
    let now: Timestamp

    func json(_ value: JSONValue, status: Int = 200, contentType: String = "application/json") -> HTTPReply {
        HTTPReply(status: status, headers: ["Content-Type": contentType], body: value.serialized())
    }

    func failure(_ error: StatusError) -> HTTPReply { json(error.json, status: error.code) }

    func reply(_ outcome: Outcome, _ resource: ResourceRequest) -> HTTPReply {
        let form = ReplyForm(request, resource.definition)
        switch outcome {
        case .raw(let value, let status): return json(value, status: status)
        case .object(let object, let status, let warnings):
            var reply = json(form.object(object, now: now), status: status)
            for warning in warnings { reply.headers.append("Warning", Responder.warning(warning)) }
            return reply
        case .list(let list): return json(form.list(list, now: now))
        }
    }

    /// RFC 7234's form, as the API server writes it.
    private static func warning(_ text: String) -> String {
        let escaped = text.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
            .split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
        return "299 - \"\(escaped)\""
    }

    /// Streams a watch until it ends or the client goes.
    func stream(
        _ watcher: Watcher, _ resource: ResourceRequest, whenDone: @escaping @Sendable () -> Void
    ) -> HTTPReply {
        let form = ReplyForm(request, resource.definition)
        let now = now
        return HTTPReply(
            status: 200, headers: ["Content-Type": "application/json"],
            body: .stream { writer throws(APIError) in
                defer {
                    watcher.end()
                    whenDone()
                }
                var isFirst = true
                while let events = await watcher.next() {
                    var bytes: [UInt8] = []
                    for event in events {
                        bytes += form.event(event, isFirst: isFirst, now: now).serialized()
                        bytes.append(0x0A)
                        isFirst = false
                    }
                    try await writer.write(bytes)
                }
            })
    }
}

/// The representation that `Accept` asks for.
struct ReplyForm: Sendable {
    private enum Kind { case whole, table, metadata }

    private let kind: Kind
    private let definition: ResourceDefinition
    private let includeObject: String

    init(_ request: HTTPRequest, _ definition: ResourceDefinition) {
        self.definition = definition
        includeObject = request.url.queryValue("includeObject") ?? "Metadata"
        let accept = request.headers["Accept"] ?? ""
        let first = accept.split(separator: ",").first ?? ""
        if first.contains("as=Table") {
            kind = .table
        } else if first.contains("as=PartialObjectMetadata") {
            kind = .metadata
        } else {
            kind = .whole
        }
    }

    func object(_ object: JSONValue, now: Timestamp) -> JSONValue {
        switch kind {
        case .whole: return shown(object)
        case .metadata: return metadataOnly(object)
        case .table:
            let metadata: JSONValue = ["resourceVersion": .string(object.resourceVersion)]
            return table([object], metadata: metadata, hasColumns: true, now: now)
        }
    }

    func list(_ list: ObjectList, now: Timestamp) -> JSONValue {
        switch kind {
        case .table: return table(list.items, metadata: list.metadata, hasColumns: true, now: now)
        case .whole:
            return [
                "kind": .string(definition.listKind), "apiVersion": .string(definition.apiVersion),
                "metadata": list.metadata, "items": .array(list.items.map(shown)),
            ]
        case .metadata:
            return [
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": list.metadata,
                "items": .array(list.items.map(metadataOnly)),
            ]
        }
    }

    func event(_ event: WatchEvent, isFirst: Bool, now: Timestamp) -> JSONValue {
        let object: JSONValue
        switch event.kind {
        case .error: object = event.object
        case .bookmark where kind == .whole: object = named(event.object)
        case .bookmark where kind == .metadata: object = metadataOnly(event.object)
        case .bookmark:
            var empty = table([], metadata: event.object["metadata"] ?? [:], hasColumns: isFirst, now: now)
            // kubectl looks for the bookmark's annotations in the row's object.
            empty["rows"] = [["cells": [], "object": metadataOnly(event.object)]]
            object = empty
        case .added, .modified, .deleted:
            switch kind {
            case .whole: object = shown(event.object)
            case .metadata: object = metadataOnly(event.object)
            case .table:
                let metadata: JSONValue = ["resourceVersion": .string(event.object.resourceVersion)]
                object = table([event.object], metadata: metadata, hasColumns: isFirst, now: now)
            }
        }
        return ["type": .string(event.kind.rawValue), "object": object]
    }

    private func shown(_ object: JSONValue) -> JSONValue { named(definition.view.shown(object)) }

    private func named(_ object: JSONValue) -> JSONValue {
        var object = object
        object["apiVersion"] = .string(definition.apiVersion)
        object["kind"] = .string(definition.kind)
        return object
    }

    private func metadataOnly(_ object: JSONValue) -> JSONValue {
        [
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] ?? [:],
        ]
    }

    // MARK: Tables

    private func table(
        _ objects: [JSONValue], metadata: JSONValue, hasColumns: Bool, now: Timestamp
    ) -> JSONValue {
        let columns = [BuiltInColumns.name] + (definition.columns.isEmpty ? [BuiltInColumns.age] : definition.columns)
        var table: JSONValue = [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "rows": .array(objects.map { row($0, columns, now: now) }),
        ]
        table["columnDefinitions"] = hasColumns ? .array(columns.map(Self.definition)) : .null
        return table
    }

    private static func definition(_ column: PrinterColumn) -> JSONValue {
        [
            "name": .string(column.name), "type": .string(column.type), "format": .string(column.format),
            "description": .string(column.description), "priority": .integer(column.priority),
        ]
    }

    private func row(_ object: JSONValue, _ columns: [PrinterColumn], now: Timestamp) -> JSONValue {
        var row: JSONValue = ["cells": .array(columns.map { $0.cell(object, now) })]
        switch includeObject {
        case "None": break
        case "Object": row["object"] = shown(object)
        default: row["object"] = metadataOnly(object)
        }
        return row
    }
}
