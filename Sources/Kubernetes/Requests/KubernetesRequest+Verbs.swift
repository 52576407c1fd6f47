public import Encoding
import HTTP

extension KubernetesRequest {
    /// Maps to `GET …/{name}`.
    public static func get(_ type: ResourceType, namespace: String?, name: String) -> Self {
        Self(.get, type, namespace: namespace, name: name)
    }

    /// Maps to `GET …` with `limit` and `continue`: one page.
    ///
    /// - Parameter resourceVersion: "0" accepts any state the server has at hand, nil wants the newest.
    public static func list(
        _ type: ResourceType, _ selection: ObjectSelection = ObjectSelection(), limit: Int = 500,
        continueToken: String? = nil, resourceVersion: String? = nil
    ) -> Self {
        var query = selection.query
        query.append(.init("limit", String(limit)))
        if let continueToken {
            query.append(.init("continue", continueToken))
        } else if let resourceVersion {
            query.append(.init("resourceVersion", resourceVersion))
        }
        return Self(.get, type, namespace: selection.namespace, query: query, timeout: .seconds(60))
    }

    /// Maps to `GET …?watch=true`. The server ends it after `timeoutSeconds`; the connection counts as dead when it was
    /// silent for longer than that, so that a half-open connection is noticed.
    public static func watch(
        _ type: ResourceType, _ selection: ObjectSelection = ObjectSelection(), from resourceVersion: String,
        timeoutSeconds: Int = 290
    ) -> Self {
        watch(type, selection, [.init("resourceVersion", resourceVersion)], timeoutSeconds: timeoutSeconds)
    }

    /// Maps to `GET …?watch=true&sendInitialEvents=true`: all objects as they are now, a bookmark, then changes.
    public static func watchFromStart(
        _ type: ResourceType, _ selection: ObjectSelection = ObjectSelection(), timeoutSeconds: Int = 290
    ) -> Self {
        let query: [HTTPURL.QueryItem] = [
            .init("sendInitialEvents", "true"), .init("resourceVersionMatch", "NotOlderThan"),
        ]
        return watch(type, selection, query, timeoutSeconds: timeoutSeconds)
    }

    private static func watch(
        _ type: ResourceType, _ selection: ObjectSelection, _ start: [HTTPURL.QueryItem], timeoutSeconds: Int
    ) -> Self {
        var query = selection.query
        query.append(.init("watch", "true"))
        query.append(.init("allowWatchBookmarks", "true"))
        query += start
        query.append(.init("timeoutSeconds", String(timeoutSeconds)))
        var request = Self(
            .get, type, namespace: selection.namespace, query: query, timeout: .seconds(timeoutSeconds + 15))
        request.operation = "WATCH \(type.plural)"
        return request
    }

    /// Maps to `POST …`.
    public static func create(_ type: ResourceType, _ body: JSONValue, fieldManager: String) -> Self {
        Self(
            .post, type, namespace: namespace(of: body), query: [.init("fieldManager", fieldManager)],
            body: typed(body, type))
    }

    /// Maps to `PUT …/{name}[/{subresource}]`: replaces the object as it was read (its resourceVersion is checked).
    public static func replace(
        _ type: ResourceType, _ body: JSONValue, subresource: String? = nil, fieldManager: String
    ) -> Self {
        Self(
            .put, type, namespace: namespace(of: body), name: name(of: body), subresource: subresource,
            query: [.init("fieldManager", fieldManager)], body: typed(body, type))
    }

    /// Maps to `PATCH …/{name}` with `application/apply-patch+yaml`; JSON is YAML.
    public static func apply(_ type: ResourceType, _ body: JSONValue, fieldManager: String, force: Bool) -> Self {
        Self(
            .patch, type, namespace: namespace(of: body), name: name(of: body),
            query: [.init("fieldManager", fieldManager), .init("force", force ? "true" : "false")],
            contentType: "application/apply-patch+yaml", body: typed(body, type))
    }

    /// Maps to `PATCH …/{name}[/{subresource}]` with `application/merge-patch+json`; a `metadata.resourceVersion` in
    /// the patch is a precondition.
    public static func mergePatch(
        _ reference: ObjectReference, _ patch: JSONValue, subresource: String? = nil, fieldManager: String
    ) -> Self {
        Self(
            .patch, reference.type, namespace: reference.namespace, name: reference.name, subresource: subresource,
            query: [.init("fieldManager", fieldManager)], contentType: "application/merge-patch+json", body: patch)
    }

    /// Maps to `DELETE …/{name}`; the reference's uid and the resource version are preconditions.
    public static func delete(
        _ reference: ObjectReference, resourceVersion: String? = nil, propagation: PropagationPolicy = .background,
        gracePeriodSeconds: Int? = nil
    ) -> Self {
        var preconditions: [String: JSONValue] = [:]
        if let uid = reference.uid { preconditions["uid"] = .string(uid) }
        if let resourceVersion { preconditions["resourceVersion"] = .string(resourceVersion) }
        var options: JSONValue = [
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": .string(propagation.rawValue),
        ]
        if !preconditions.isEmpty { options["preconditions"] = .object(preconditions) }
        if let gracePeriodSeconds { options["gracePeriodSeconds"] = .integer(Int64(gracePeriodSeconds)) }
        return Self(.delete, reference.type, namespace: reference.namespace, name: reference.name, body: options)
    }

    private static func name(of body: JSONValue) -> String { body.value(at: ["metadata", "name"])?.stringValue ?? "" }

    private static func namespace(of body: JSONValue) -> String? {
        body.value(at: ["metadata", "namespace"])?.stringValue
    }

    /// The body with the type's own apiVersion and kind: typed values do not carry them.
    private static func typed(_ body: JSONValue, _ type: ResourceType) -> JSONValue {
        var body = body
        body["apiVersion"] = .string(type.apiVersion)
        body["kind"] = .string(type.kind)
        return body
    }
}
