import Encoding
import HTTP
import YAML

/// A request for resources, read from its path and query.
struct ResourceRequest: Sendable {
    enum FieldValidation: String, Sendable {
        case ignore = "Ignore"
        case warn = "Warn"
        case strict = "Strict"
    }

    /// RBAC's word: get, list, watch, create, update, patch, delete, deletecollection.
    var verb: String
    var definition: ResourceDefinition
    /// nil: cluster-scoped, or a list over all namespaces.
    var namespace: String?
    /// nil: the collection.
    var name: String?
    var subresource: String?
    var http: HTTPRequest
    var now: Timestamp

    func query(_ name: String) -> String? {
        http.url.queryValue(name).flatMap { $0.isEmpty ? nil : $0 }
    }

    func flag(_ name: String) -> Bool { ["true", "1", ""].contains(http.url.queryValue(name) ?? "false") }

    var isDryRun: Bool { http.url.query.contains { $0.name == "dryRun" && $0.value == "All" } }

    var fieldValidation: FieldValidation { query("fieldValidation").flatMap(FieldValidation.init) ?? .warn }

    /// Who owns the fields that are written: as named, or the program's name from `User-Agent`.
    var fieldManager: String {
        if let name = query("fieldManager") { return name }
        let agent = http.headers["User-Agent"] ?? ""
        return agent.split(separator: "/").first.map(String.init) ?? "unknown"
    }

    /// What a strict reader says of the body's text: members that are there twice, and what a JSON patch cannot use.
    var bodyRemarks: [String] {
        switch contentType {
        case "application/json", "application/merge-patch+json":
            return RepeatedFields.paths(in: http.body).map { "duplicate field \"\($0)\"" }
        case "application/json-patch+json":
            // Read once before: what is no JSON was refused.
            let operations = (try? JSONValue(parsing: http.body))?.arrayValue ?? []
            let unknown = operations.enumerated().flatMap { index, operation in
                (operation.objectValue ?? [:]).keys.filter { !["op", "path", "from", "value"].contains($0) }.sorted()
                    .map {
                        "json patch unknown field \"[\(index)].\($0)\""
                    }
            }
            return RepeatedFields.paths(in: http.body).map { "json patch duplicate field \"\($0)\"" } + unknown
        default: return []
        }
    }

    var contentType: String {
        let header = http.headers["Content-Type"] ?? "application/json"
        return header.split(separator: ";").first.map { String($0[...].trimmed).lowercased() } ?? "application/json"
    }

    func key(_ name: String) -> ObjectKey {
        ObjectKey(
            collection: definition.storage, namespace: definition.isNamespaced ? namespace ?? "" : "", name: name)
    }

    /// A number of the query.
    ///
    /// - Throws: 400 for a word.
    func number(_ name: String) throws(StatusError) -> Int64? {
        guard let text = query(name) else { return nil }
        guard let number = Int64(text) else { throw .badNumber(text) }
        return number
    }

    /// Refuses options of a write that are none.
    ///
    /// - Parameter kind: `CreateOptions`, `UpdateOptions`, `PatchOptions` or `DeleteOptions`.
    func checkOptions(_ kind: String) throws(StatusError) {
        var errors: [FieldError] = []
        if let name = query("fieldManager"), name.utf8.count > 128 {
            errors.append(FieldError(.tooLong, "fieldManager", "may not be more than 128 bytes"))
        }
        let asked = http.url.query.filter { $0.name == "dryRun" }.map(\.value)
        if !asked.allSatisfy({ $0 == "All" }) { errors.append(FieldError.dryRun(asked)) }
        if let text = query("fieldValidation"), FieldValidation(rawValue: text) == nil {
            errors.append(
                FieldError(
                    .notSupported, "fieldValidation", value: .string(text),
                    "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""))
        }
        if kind == "PatchOptions", contentType == "application/apply-patch+yaml" {
            if query("fieldManager") == nil {
                errors.append(FieldError(.required, "fieldManager", "is required for apply patch"))
            }
        } else if query("force") != nil, kind == "PatchOptions" {
            errors.append(FieldError(.forbidden, "force", "may not be specified for non-apply patch"))
        }
        guard errors.isEmpty else { throw .invalidOptions(kind, errors) }
    }

    func filter() throws(StatusError) -> ObjectFilter {
        var filter = ObjectFilter(namespace: definition.isNamespaced ? namespace : nil)
        if let text = query("labelSelector") { filter.labels = try LabelSelector(text) }
        if let text = query("fieldSelector") { filter.fields = try FieldSelector(text, for: definition) }
        return filter
    }

    /// The object in the body.
    ///
    /// - Throws: 415 for a media type that is not read here, 413, 400.
    func body() throws(StatusError) -> JSONValue {
        let types = ["application/json", "application/yaml"] + (definition.isCustom ? [] : [RequestBody.protobuf])
        // Without a type it is JSON; what kubectl sends for options of a delete may be protobuf everywhere.
        guard types.contains(contentType) || contentType == RequestBody.protobuf else {
            throw .unsupportedMediaType(contentType, accepted: types)
        }
        return try RequestBody.value(http.body, contentType: contentType, kind: definition.kind)
    }

    /// A value with the request's JSON or merge patch.
    func patched(_ value: JSONValue) throws(StatusError) -> JSONValue {
        switch contentType {
        case "application/json-patch+json": return try JSONPatch.patched(value, try patchBody())
        case "application/merge-patch+json", "application/strategic-merge-patch+json":
            return MergePatch.patched(value, try patchBody())
        default:
            throw .unsupportedMediaType(
                contentType, accepted: ["application/json-patch+json", "application/merge-patch+json"])
        }
    }

    /// The body of a PATCH, whose media type says what kind of patch it is.
    func patchBody() throws(StatusError) -> JSONValue {
        try RequestBody.value(http.body, contentType: contentType, kind: definition.kind)
    }
}

/// Reads request bodies.
enum RequestBody {
    /// Larger bodies are refused, as by the API server.
    static let maximumBytes = 3 << 20
    static let protobuf = "application/vnd.kubernetes.protobuf"

    /// - Parameter kind: what the body must be, for messages.
    static func value(_ bytes: [UInt8], contentType: String, kind: String) throws(StatusError) -> JSONValue {
        guard bytes.count <= maximumBytes else {
            throw StatusError(413, "RequestEntityTooLarge", "Request entity too large: limit is \(maximumBytes)")
        }
        if contentType == protobuf { return try ProtobufBody.object(bytes) }
        let text = contentType.hasSuffix("yaml") ? String(validating: bytes, as: UTF8.self) : nil
        // JSON is YAML too, and much faster to read as JSON.
        if let text, bytes.first != UInt8(ascii: "{") { return try yaml(text) }
        do throws(JSONError) {
            return try JSONValue(parsing: bytes)
        } catch {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind)): couldn't get version/kind; json parse "
                    + "error: \(detail(error, bytes)) (\(shown(bytes)))")
        }
    }

    /// Go's words where they are simple, else ours.
    static func detail(_ error: JSONError, _ bytes: [UInt8]) -> String {
        let spaces: Set<UInt8> = [0x20, 0x0A, 0x0D, 0x09]
        let offset = error.offset ?? 0
        guard let next = bytes.dropFirst(offset).first(where: { !spaces.contains($0) }) else {
            return "unexpected end of JSON input"
        }
        let character = "invalid character '\(Character(Unicode.Scalar(next)))'"
        if error.message.hasPrefix("text after the end") { return "\(character) after top-level value" }
        let isBeginning = bytes.prefix(offset).allSatisfy(spaces.contains)
        return isBeginning ? "\(character) looking for beginning of value" : "\(error)"
    }

    /// The first 30 bytes: text where it looks like JSON, else hex.
    static func shown(_ bytes: [UInt8]) -> String {
        guard !bytes.isEmpty else { return "<empty>" }
        let head = bytes.prefix(30)
        let text =
            bytes.first == UInt8(ascii: "{")
            ? String(decoding: head, as: UTF8.self)
            : head.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return bytes.count > 30 ? text + " ..." : text
    }

    private static func yaml(_ text: String) throws(StatusError) -> JSONValue {
        do throws(YAMLError) {
            return try YAML.document(text).json
        } catch {
            throw .badRequest("error decoding YAML: \(error)")
        }
    }
}
