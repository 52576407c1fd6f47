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

    var contentType: String {
        let header = http.headers["Content-Type"] ?? "application/json"
        return header.split(separator: ";").first.map { String($0[...].trimmed).lowercased() } ?? "application/json"
    }

    func key(_ name: String) -> ObjectKey {
        ObjectKey(
            collection: definition.storage, namespace: definition.isNamespaced ? namespace ?? "" : "", name: name)
    }

    func filter() throws(StatusError) -> ObjectFilter {
        var filter = ObjectFilter(namespace: definition.isNamespaced ? namespace : nil)
        if let text = query("labelSelector") { filter.labels = try LabelSelector(text) }
        if let text = query("fieldSelector") { filter.fields = try FieldSelector(text, for: definition) }
        return filter
    }

    func body() throws(StatusError) -> JSONValue { try RequestBody.value(http.body, contentType: contentType) }
}

/// Reads request bodies.
enum RequestBody {
    /// Larger bodies are refused, as by the API server.
    static let maximumBytes = 3 << 20

    static func value(_ bytes: [UInt8], contentType: String) throws(StatusError) -> JSONValue {
        guard bytes.count <= maximumBytes else {
            throw StatusError(413, "RequestEntityTooLarge", "the request is larger than \(maximumBytes) bytes")
        }
        if contentType == "application/vnd.kubernetes.protobuf" {
            guard let object = ProtobufBody.object(bytes) else {
                throw .unsupportedMediaType(contentType, accepted: ["application/json", "application/yaml"])
            }
            return object
        }
        let text = contentType.hasSuffix("yaml") ? String(validating: bytes, as: UTF8.self) : nil
        // JSON is YAML too, and much faster to read as JSON.
        if let text, bytes.first != UInt8(ascii: "{") { return try yaml(text) }
        do throws(JSONError) {
            return try JSONValue(parsing: bytes)
        } catch {
            throw .badRequest("the object provided is unrecognized: \(error)")
        }
    }

    private static func yaml(_ text: String) throws(StatusError) -> JSONValue {
        do throws(YAMLError) {
            return try YAML.document(text).json
        } catch {
            throw .badRequest("error decoding YAML: \(error)")
        }
    }
}
