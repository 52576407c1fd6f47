import Encoding
import HTTP
import Telemetry
import YAML

/// Writes replies in the form that the client asks for: whole objects, Tables or metadata only.
struct Responder: Sendable {
    let request: HTTPRequest
    /// When the request came.
    let now: Timestamp
    /// Of what is written later: the ages in a watch's rows.
    let clock: any WallClock

    init(request: HTTPRequest, clock: any WallClock) {
        self.request = request
        self.clock = clock
        now = clock.now
    }

    func json(_ value: JSONValue, status: Int = 200, contentType: String = "application/json") -> HTTPReply {
        HTTPReply(status: status, headers: ["Content-Type": contentType], body: value.serialized())
    }

    func failure(_ error: StatusError) -> HTTPReply {
        guard let text = error.plainText else {
            return warned(negotiated(error.json, status: error.code), of: error.warnings)
        }
        return HTTPReply(
            status: error.code, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array(text.utf8))
    }

    /// Refuses what cannot be written as the client wants it.
    func checkAccept(_ definition: ResourceDefinition) throws(StatusError) {
        _ = try Negotiation(request.headers["Accept"] ?? "", definition)
    }

    /// - Throws: 400 or 406 for a form that the outcome does not have.
    func reply(_ outcome: Outcome, _ resource: ResourceRequest) throws(StatusError) -> HTTPReply {
        let form = try ReplyForm(request, resource.definition)
        switch outcome {
        case .raw(let value, let status): return negotiated(value, status: status)
        case .object(let object, let status, let warnings):
            return warned(negotiated(try form.object(object, now: now), status: status), of: warnings)
        case .list(let list): return negotiated(try form.list(list, now: now))
        }
    }

    /// YAML for who asks for YAML, else JSON.
    private func negotiated(_ value: JSONValue, status: Int = 200) -> HTTPReply {
        guard Negotiation.isYAMLWanted(request.headers["Accept"] ?? "") else { return json(value, status: status) }
        return HTTPReply(
            status: status, headers: ["Content-Type": "application/yaml"], body: Array(YAMLWriter.text(value).utf8))
    }

    private func warned(_ reply: HTTPReply, of warnings: [String]) -> HTTPReply {
        var reply = reply
        for warning in warnings { reply.headers.append("Warning", Responder.warning(warning)) }
        return reply
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
    ) throws(StatusError) -> HTTPReply {
        let form = try ReplyForm(request, resource.definition)
        let clock = clock
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
                    let now = clock.now
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
    private let kind: Negotiation.Form
    private let definition: ResourceDefinition
    private let includeObject: String

    init(_ request: HTTPRequest, _ definition: ResourceDefinition) throws(StatusError) {
        self.definition = definition
        kind = try Negotiation(request.headers["Accept"] ?? "", definition).form
        let included = request.url.queryValue("includeObject") ?? ""
        guard kind != .table || ["", "None", "Metadata", "Object"].contains(included) else {
            throw .badRequest(
                "Unable to convert to Table as requested: includeObject: Invalid value: \"\(included)\": must be "
                    + "'Metadata', 'Object', 'None', or empty")
        }
        includeObject = included.isEmpty ? "Metadata" : included
    }

    func object(_ object: JSONValue, now: Timestamp) throws(StatusError) -> JSONValue {
        switch kind {
        case .whole: return shown(object)
        case .metadata: return metadataOnly(object)
        case .metadataList:
            throw .notAcceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list "
                    + "(\(goType(definition.kind)))")
        case .table:
            let metadata: JSONValue = ["resourceVersion": .string(object.resourceVersion)]
            return table([object], metadata: metadata, hasColumns: true, now: now)
        }
    }

    func list(_ list: ObjectList, now: Timestamp) throws(StatusError) -> JSONValue {
        switch kind {
        case .table: return table(list.items, metadata: list.metadata, hasColumns: true, now: now)
        case .whole:
            var metadata = list.metadata
            // Lists of custom resources are not typed: their empty continuation shows.
            if definition.isCustom, metadata["continue"] == nil { metadata["continue"] = "" }
            return [
                "kind": .string(definition.listKind), "apiVersion": .string(definition.apiVersion),
                "metadata": metadata, "items": .array(list.items.map(item)),
            ]
        case .metadataList:
            return [
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": list.metadata,
                "items": .array(list.items.map(metadataOnly)),
            ]
        case .metadata:
            throw .notAcceptable(
                "you requested PartialObjectMetadata, but the requested object is a list "
                    + "(\(goType(definition.listKind)))")
        }
    }

    /// The type's name in kube-apiserver, which its messages show.
    private func goType(_ kind: String) -> String {
        if definition.isCustom {
            return kind.hasSuffix("List") ? "*unstructured.UnstructuredList" : "*unstructured.Unstructured"
        }
        return "*\(definition.group.split(separator: ".").first ?? "core").\(kind)"
    }

    /// The items of built-in kinds do not repeat their kind.
    private func item(_ object: JSONValue) -> JSONValue {
        let shown = shown(object)
        return definition.isCustom ? shown : shown.without("apiVersion", "kind")
    }

    func event(_ event: WatchEvent, isFirst: Bool, now: Timestamp) -> JSONValue {
        let object: JSONValue
        switch event.kind {
        case .error: object = event.object
        case .bookmark where kind == .whole: object = shown(event.object)
        case .bookmark where kind != .table: object = metadataOnly(event.object)
        case .bookmark:
            var empty = table([], metadata: event.object["metadata"] ?? [:], hasColumns: isFirst, now: now)
            // kubectl looks for the bookmark's annotations in the row's object.
            empty["rows"] = [["cells": [], "object": metadataOnly(event.object)]]
            object = empty
        case .added, .modified, .deleted:
            switch kind {
            case .whole: object = shown(event.object)
            case .metadata, .metadataList: object = metadataOnly(event.object)
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
        let own = definition.columns.isEmpty ? [BuiltInColumns.age] : definition.columns
        let columns = own.contains { $0.isName } ? own : [BuiltInColumns.name] + own
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
        case "None": row["object"] = .null
        case "Object": row["object"] = shown(object)
        default: row["object"] = metadataOnly(object)
        }
        return row
    }
}
