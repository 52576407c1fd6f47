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

    /// Changes the status of the object as it was read into `status`: its uid and resource version are checked. Returns
    /// the object as stored.
    ///
    /// Sends what differs, as a merge patch: members of the status that `Object.Status` does not know, because a newer
    /// version wrote them, stay as they are. Within arrays they do not: those are sent whole.
    ///
    /// - Throws: `.conflict` when it changed since, `.notFound`, `.invalid` when the schema refuses the status.
    public func updateStatus<Object: CustomResource>(
        of object: Object, to status: Object.Status
    ) async throws(APIError) -> Object {
        let operation = "PATCH \(Object.resourceType.plural)/status"
        let change: JSONValue
        do throws(JSONError) {
            let old = try object.status.map { status throws(JSONError) in try JSONValue(encoding: status) }
            change = try JSONValue(encoding: status).mergePatch(from: old ?? [:])
        } catch {
            throw APIError(.invalid, operation: operation, message: error.message)
        }
        var preconditions: JSONValue = [:]
        preconditions["uid"] = object.metadata.uid.map { .string($0) }
        preconditions["resourceVersion"] = object.metadata.resourceVersion.map { .string($0) }
        let request = KubernetesRequest.mergePatch(
            ObjectReference(object), ["metadata": preconditions, "status": change], subresource: "status",
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
