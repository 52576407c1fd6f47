import Encoding
import HTTP
import Kubernetes
import YAML

/// Creates the objects of the files in the sandbox's API server.
enum ManifestApply {
    /// Creates one object, strictly: unknown fields are refused, as `kubectl apply` does.
    ///
    /// - Throws: `.badData` with the server's words, the field's place in the file and what to write instead.
    static func create(_ document: ManifestDocument, with kubernetes: KubernetesClient) async throws(RunError) {
        var object = document.object
        if document.type.isNamespaced { object.set(.string(document.namespace), at: ["metadata", "namespace"]) }
        var request = KubernetesRequest.create(document.type, object, fieldManager: "trainyard")
        request.query.append(HTTPURL.QueryItem("fieldValidation", "Strict"))
        do throws(APIError) {
            _ = try await kubernetes.send(request)
        } catch {
            throw RunError(.badData, explained(error, document))
        }
    }

    /// `file:line:column: the server's sentence`, and a line of advice where one is known.
    static func explained(_ error: APIError, _ document: ManifestDocument) -> String {
        let field = fieldPath(in: error.message)
        let place = field.map { document.place(ofField: $0) } ?? "\(document.file):\(document.node.line)"
        var text = "\(place): the API server refuses \(document.title): \(error.message)"
        if let advice = advice(error.message, field, document) { text += "\n  \(advice)" }
        return text
    }

    /// The first path below spec or metadata that the message names.
    static func fieldPath(in message: String) -> String? {
        for word in message.split(whereSeparator: { " \"',".contains($0) }) {
            let path = word.hasSuffix(":") ? word.dropLast() : word
            guard path.hasPrefix("spec.") || path.hasPrefix("metadata.") else { continue }
            return String(path)
        }
        return nil
    }

    private static func advice(_ message: String, _ field: String?, _ document: ManifestDocument) -> String? {
        guard let field, message.contains("must be of type string"),
            let value = value(at: field, in: document.object)
        else { return nil }
        switch value {
        case .integer, .number, .bool:
            return "\(field) takes a string: write \"\(value.serializedText())\", in quotes"
        default: return nil
        }
    }

    private static func value(at field: String, in object: JSONValue) -> JSONValue? {
        var current = object
        for part in field.split(separator: ".") {
            guard let next = current[String(part)] else { return nil }
            current = next
        }
        return current
    }
}
