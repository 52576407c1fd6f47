public import Encoding
public import HTTP

extension KubernetesClient {
    /// Creates an object and returns it as stored.
    ///
    /// - Throws: `.alreadyExists`, `.invalid` and what `send` throws.
    @discardableResult
    public func create(_ type: ResourceType, _ body: JSONValue) async throws(APIError) -> JSONValue {
        try await send(.create(type, body, fieldManager: fieldManager))
    }

    /// Replaces an object as it was read: `metadata.resourceVersion` in the body is checked.
    ///
    /// - Throws: `.conflict` when somebody else was faster.
    @discardableResult
    public func update(_ type: ResourceType, _ body: JSONValue) async throws(APIError) -> JSONValue {
        try await send(.replace(type, body, fieldManager: fieldManager))
    }

    /// Server-side apply: makes or changes the object so that it has the fields of the body.
    ///
    /// - Parameter force: takes fields over from other managers; without it they are a `.conflict`.
    @discardableResult
    public func applyPatch(
        _ type: ResourceType, _ body: JSONValue, force: Bool = true
    ) async throws(APIError) -> JSONValue {
        try await send(.apply(type, body, fieldManager: fieldManager, force: force))
    }

    /// Sends a JSON merge patch; a `metadata.resourceVersion` in it is a precondition.
    @discardableResult
    public func mergePatch(
        _ reference: ObjectReference, _ patch: JSONValue, subresource: String? = nil
    ) async throws(APIError) -> JSONValue {
        try await send(.mergePatch(reference, patch, subresource: subresource, fieldManager: fieldManager))
    }

    /// Replaces the status of the object as it was read: its uid and resource version are checked. Returns the object
    /// as stored.
    ///
    /// Sends no spec: the API server takes everything but the status from what is stored.
    ///
    /// - Throws: `.conflict` when it changed since, `.notFound`, `.invalid` when the schema refuses the status.
    public func replaceStatus<Object: CustomResource>(
        of object: Object, with status: Object.Status
    ) async throws(APIError) -> Object {
        let operation = "PUT \(Object.resourceType.plural)/status"
        let encoded: JSONValue
        do throws(JSONError) {
            encoded = try JSONValue(encoding: status)
        } catch {
            throw APIError(.invalid, operation: operation, message: error.message)
        }
        let metadata = object.metadata
        var identity: JSONValue = ["name": .string(metadata.name)]
        identity["namespace"] = metadata.namespace.map { .string($0) }
        identity["uid"] = metadata.uid.map { .string($0) }
        identity["resourceVersion"] = metadata.resourceVersion.map { .string($0) }
        let request = KubernetesRequest.replace(
            Object.resourceType, ["metadata": identity, "status": encoded], subresource: "status",
            fieldManager: fieldManager)
        return try await read(request).object(operation: operation)
    }

    /// Replaces an object's finalizers, as long as it has the resource version that was read.
    ///
    /// - Throws: `.conflict` when it changed since, `.notFound`.
    public func replaceFinalizers<Object: CustomResource>(
        of object: Object, with finalizers: [String]
    ) async throws(APIError) -> Object {
        var metadata: JSONValue = ["finalizers": .array(finalizers.map { .string($0) })]
        metadata["resourceVersion"] = object.metadata.resourceVersion.map { .string($0) }
        let request = KubernetesRequest.mergePatch(
            ObjectReference(object), ["metadata": metadata], fieldManager: fieldManager)
        return try await read(request).object(operation: request.operation)
    }

    /// Deletes one object; the reference's uid and the resource version are preconditions.
    ///
    /// - Throws: `.notFound` when it is gone already, `.conflict` when a precondition does not hold.
    public func delete(
        _ reference: ObjectReference, resourceVersion: String? = nil, propagation: PropagationPolicy = .background,
        gracePeriodSeconds: Int? = nil
    ) async throws(APIError) {
        _ = try await send(
            .delete(
                reference, resourceVersion: resourceVersion, propagation: propagation,
                gracePeriodSeconds: gracePeriodSeconds))
    }
}

extension ObjectReference {
    /// Names an object as it was read, its uid included.
    public init<Object: KubernetesResource>(_ object: Object) {
        self.init(
            type: Object.resourceType, namespace: object.metadata.namespace, name: object.metadata.name,
            uid: object.metadata.uid)
    }
}
