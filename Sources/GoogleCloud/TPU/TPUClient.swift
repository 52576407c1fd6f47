internal import Encoding
public import HTTP

/// Cloud TPU: tpu v2 at `https://tpu.googleapis.com/`. A location is a zone.
///
/// Every change returns at once with an operation that ends long before the machines are there: the resource's own state
/// tells. A queued resource's `requestID` makes its create and delete safe to repeat; nodes have none, there a lost
/// reply is resolved by reading the node and its labels.
public struct TPUClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, _ method: HTTPMethod, _ path: [PathPart], verb: StaticString? = nil,
        query: [HTTPURL.QueryItem] = [], body: (any Encodable)? = nil
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "tpu.\(operation)", method, origin: "https://tpu.googleapis.com", path: ["v2"] + path, verb: verb,
            query: query, body: body)
    }

    // MARK: Queued resources

    /// Asks for TPUs and waits in line. Maps to `POST v2/{location}/queuedResources?queuedResourceId=Q&requestId=UUID`.
    ///
    /// - Parameter requestID: a uuid; the same one again returns the first operation.
    /// - Throws: `.alreadyExists` when the name is taken, `.quotaExceeded`, `.forbidden` (also for a zone that the project
    ///   does not see), `.invalid`.
    public func createQueuedResource(
        _ id: String, _ configuration: QueuedResourceConfiguration, requestID: String, in location: LocationName
    ) async throws(APIError) -> TPUOperation {
        let operation = "tpu.queuedResources.create"
        let query = [
            HTTPURL.QueryItem("queuedResourceId", try NameKind.queuedResource.check(id, operation: operation)),
            HTTPURL.QueryItem("requestId", try NameKind.requestID.check(requestID, operation: operation)),
        ]
        return try await client.value(
            call(
                "queuedResources.create", .post, location.path + ["queuedResources"], query: query,
                body: configuration))
    }

    /// Maps to `GET v2/{location}/queuedResources/Q`.
    ///
    /// - Throws: `.notFound`.
    public func queuedResource(_ id: String, in location: LocationName) async throws(APIError) -> QueuedResource {
        try await client.value(call("queuedResources.get", .get, location.path(queuedResource: id)))
    }

    /// Of one location, or of all (`-`). Maps to `GET v2/{location}/queuedResources`.
    public func queuedResources(in location: LocationName) async throws(APIError) -> Listing<QueuedResource> {
        try await client.list(
            call("queuedResources.list", .get, location.path(.locationOrAll) + ["queuedResources"]), "queuedResources")
    }

    /// Maps to `DELETE v2/{location}/queuedResources/Q?force=true&requestId=UUID`. There is no precondition: read it and
    /// its labels just before.
    ///
    /// - Parameter force: with its nodes; without, one that is not at its end is refused.
    /// - Throws: `.notFound`, `.invalid`.
    public func deleteQueuedResource(
        _ id: String, force: Bool, requestID: String, in location: LocationName
    ) async throws(APIError) -> TPUOperation {
        try NameKind.requestID.check(requestID, operation: "tpu.queuedResources.delete")
        return try await client.value(
            call(
                "queuedResources.delete", .delete, location.path(queuedResource: id),
                query: [HTTPURL.QueryItem]().adding("force", force).adding("requestId", requestID)))
    }

    /// Puts a suspended one in line again. Maps to `POST v2/{location}/queuedResources/Q:reset`.
    public func resetQueuedResource(_ id: String, in location: LocationName) async throws(APIError) -> TPUOperation {
        try await client.value(
            call(
                "queuedResources.reset", .post, location.path(queuedResource: id), verb: "reset",
                body: JSONValue.object([:])))
    }

    // MARK: Nodes

    /// Maps to `POST v2/{location}/nodes?nodeId=N`.
    ///
    /// - Throws: `.alreadyExists` when the name is taken, `.quotaExceeded`, `.forbidden`, `.invalid`.
    public func createNode(
        _ id: String, _ configuration: TPUNodeConfiguration, in location: LocationName
    ) async throws(APIError) -> TPUOperation {
        let id = try NameKind.tpuNode.check(id, operation: "tpu.nodes.create")
        return try await client.value(
            call(
                "nodes.create", .post, location.path + ["nodes"], query: [HTTPURL.QueryItem("nodeId", id)],
                body: configuration))
    }

    /// Maps to `GET v2/{location}/nodes/N`.
    ///
    /// - Throws: `.notFound`.
    public func node(_ id: String, in location: LocationName) async throws(APIError) -> TPUNode {
        try await client.value(call("nodes.get", .get, location.path(node: id)))
    }

    /// Of one location, or of all (`-`). Maps to `GET v2/{location}/nodes`.
    public func nodes(in location: LocationName) async throws(APIError) -> Listing<TPUNode> {
        try await client.list(call("nodes.list", .get, location.path(.locationOrAll) + ["nodes"]), "nodes")
    }

    /// Maps to `DELETE v2/{location}/nodes/N`. There is no precondition: read the node and its labels just before.
    ///
    /// - Throws: `.notFound`.
    public func deleteNode(_ id: String, in location: LocationName) async throws(APIError) -> TPUOperation {
        try await client.value(call("nodes.delete", .delete, location.path(node: id)))
    }

    /// Stops a node of one machine; larger ones can only be deleted. Maps to `POST v2/{location}/nodes/N:stop`.
    public func stopNode(_ id: String, in location: LocationName) async throws(APIError) -> TPUOperation {
        try await client.value(
            call("nodes.stop", .post, location.path(node: id), verb: "stop", body: JSONValue.object([:])))
    }

    /// Maps to `POST v2/{location}/nodes/N:start`.
    public func startNode(_ id: String, in location: LocationName) async throws(APIError) -> TPUOperation {
        try await client.value(
            call("nodes.start", .post, location.path(node: id), verb: "start", body: JSONValue.object([:])))
    }

    // MARK: What a zone has

    /// Maps to `GET v2/{location}/acceleratorTypes`.
    public func acceleratorTypes(in location: LocationName) async throws(APIError) -> Listing<TPUAcceleratorType> {
        try await client.list(
            call("acceleratorTypes.list", .get, location.path + ["acceleratorTypes"]), "acceleratorTypes")
    }

    // MARK: Operations

    /// Maps to `GET v2/projects/P/locations/L/operations/ID`.
    ///
    /// - Parameter name: as it was returned.
    /// - Throws: `.notFound` when it is too old: then only the resource itself tells.
    public func operation(_ name: String) async throws(APIError) -> TPUOperation {
        let path = try OperationName(name, operation: "tpu.operations.get").path
        return try await client.value(call("operations.get", .get, path))
    }

    /// The recent operations of a location. Maps to `GET v2/{location}/operations`.
    public func operations(in location: LocationName) async throws(APIError) -> Listing<TPUOperation> {
        try await client.list(call("operations.list", .get, location.path + ["operations"]), "operations")
    }

    /// Asks for an operation to stop. Maps to `POST v2/projects/P/locations/L/operations/ID:cancel`.
    public func cancelOperation(_ name: String) async throws(APIError) {
        let path = try OperationName(name, operation: "tpu.operations.cancel").path
        try await client.reply(call("operations.cancel", .post, path, verb: "cancel"))
    }
}

extension LocationName {
    fileprivate func path(queuedResource id: String) -> [PathPart] {
        path + ["queuedResources", .checked(.queuedResource, id)]
    }

    fileprivate func path(node id: String) -> [PathPart] { path + ["nodes", .checked(.tpuNode, id)] }
}
