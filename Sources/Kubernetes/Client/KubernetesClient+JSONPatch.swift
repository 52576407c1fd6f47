public import Encoding
public import HTTP

/// One operation of a JSON patch (RFC 6902).
public struct JSONPatchOperation: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable {
        case add, replace, remove, test
    }

    public var op: Kind
    /// A JSON pointer (RFC 6901).
    public var path: String
    public var value: JSONValue?

    public init(op: Kind, path: String, value: JSONValue? = nil) {
        self.op = op
        self.path = path
        self.value = value
    }

    var json: JSONValue {
        var json: JSONValue = ["op": .string(op.rawValue), "path": .string(path)]
        if let value { json["value"] = value }
        return json
    }
}

extension KubernetesClient {
    /// Maps to `PATCH …/{name}` with `application/json-patch+json`: all operations, in order, or none.
    ///
    /// - Throws: `.invalid` when a test fails or a path is not there, `.notFound`, and what `send` throws.
    @discardableResult
    public func jsonPatch(
        _ reference: ObjectReference, _ operations: [JSONPatchOperation]
    ) async throws(APIError) -> JSONValue {
        try await send(.jsonPatch(reference, operations, fieldManager: fieldManager))
    }
}

extension KubernetesRequest {
    /// Maps to `PATCH …/{name}` with `application/json-patch+json`.
    public static func jsonPatch(
        _ reference: ObjectReference, _ operations: [JSONPatchOperation], fieldManager: String
    ) -> Self {
        Self(
            .patch, reference.type, namespace: reference.namespace, name: reference.name,
            query: [.init("fieldManager", fieldManager)], contentType: "application/json-patch+json",
            body: .array(operations.map(\.json)))
    }
}
