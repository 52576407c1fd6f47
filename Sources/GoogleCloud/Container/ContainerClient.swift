internal import Encoding
public import HTTP

/// GKE: container v1 at `https://container.googleapis.com/`.
///
/// Creates and deletes carry no request id and no precondition: a lost reply is resolved by `nodePool(_:in:)` and the
/// owner's label. Changes return at once with an operation; one runs per cluster, and while it does the others are
/// refused with `.rateLimited`.
public struct ContainerClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, _ method: HTTPMethod, _ path: [PathPart], verb: StaticString? = nil,
        body: (any Encodable)? = nil
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "container.\(operation)", method, origin: "https://container.googleapis.com", path: ["v1"] + path,
            verb: verb, body: body)
    }

    // MARK: Clusters

    /// Maps to `GET v1/projects/P/locations/L/clusters/C`.
    ///
    /// - Throws: `.notFound`, `.forbidden`, …
    public func cluster(_ name: ClusterName) async throws(APIError) -> ContainerCluster {
        try await client.value(call("clusters.get", .get, name.path))
    }

    /// Versions and images that the location offers. Maps to `GET v1/projects/P/locations/L/serverConfig`.
    public func serverConfig(in cluster: ClusterName) async throws(APIError) -> ServerConfig {
        try await client.value(call("getServerConfig", .get, cluster.parent.path + ["serverConfig"]))
    }

    // MARK: Node pools

    /// Maps to `POST v1/{cluster}/nodePools`.
    ///
    /// - Throws: `.alreadyExists` when the name is taken, `.rateLimited` while another operation runs, `.invalid`.
    public func createNodePool(
        _ pool: NodePool, in cluster: ClusterName
    ) async throws(APIError) -> ContainerOperation {
        try NameKind.nodePool.check(pool.name, operation: "container.nodePools.create")
        let body = ["nodePool": pool.withoutOutputFields]
        return try await client.value(call("nodePools.create", .post, cluster.path + ["nodePools"], body: body))
    }

    /// Maps to `GET v1/{cluster}/nodePools/N`. The current size is not in it: nodes tell it.
    ///
    /// - Throws: `.notFound` when there is none.
    public func nodePool(_ name: String, in cluster: ClusterName) async throws(APIError) -> NodePool {
        try await client.value(call("nodePools.get", .get, cluster.path(nodePool: name)))
    }

    /// All pools; this list has no pages. Maps to `GET v1/{cluster}/nodePools`.
    public func nodePools(in cluster: ClusterName) async throws(APIError) -> [NodePool] {
        struct Reply: Decodable { var nodePools: [NodePool]? }
        let reply: Reply = try await client.value(call("nodePools.list", .get, cluster.path + ["nodePools"]))
        return reply.nodePools ?? []
    }

    /// Maps to `DELETE v1/{cluster}/nodePools/N`. There is no precondition: read the pool and its owner just before.
    ///
    /// - Throws: `.notFound`, `.rateLimited` while another operation runs, the pool's own create included.
    public func deleteNodePool(_ name: String, in cluster: ClusterName) async throws(APIError) -> ContainerOperation {
        try await client.value(call("nodePools.delete", .delete, cluster.path(nodePool: name)))
    }

    /// Maps to `POST v1/{cluster}/nodePools/N:setSize`.
    ///
    /// - Parameter nodeCount: per zone, 0 or more.
    /// - Throws: `.notFound`, `.rateLimited` while another operation runs, `.invalid`.
    public func setNodePoolSize(
        _ name: String, nodeCount: Int, in cluster: ClusterName
    ) async throws(APIError) -> ContainerOperation {
        try await client.value(
            call(
                "nodePools.setSize", .post, cluster.path(nodePool: name), verb: "setSize",
                body: ["nodeCount": nodeCount]))
    }

    /// Replaces the pool's autoscaling. Maps to `POST v1/{cluster}/nodePools/N:setAutoscaling`.
    ///
    /// - Throws: `.notFound`, `.rateLimited` while another operation runs, `.invalid`.
    public func setNodePoolAutoscaling(
        _ name: String, _ autoscaling: NodePoolAutoscaling, in cluster: ClusterName
    ) async throws(APIError) -> ContainerOperation {
        try await client.value(
            call(
                "nodePools.setAutoscaling", .post, cluster.path(nodePool: name), verb: "setAutoscaling",
                body: ["autoscaling": autoscaling]))
    }

    /// Changes a pool; most changes replace its machines one by one. Maps to `PUT v1/{cluster}/nodePools/N`.
    ///
    /// - Throws: `.conflict` when the pool is not the one of the update's etag any more, `.notFound`, `.rateLimited`
    ///   while another operation runs, `.invalid`.
    public func updateNodePool(
        _ name: String, _ update: NodePoolUpdate, in cluster: ClusterName
    ) async throws(APIError) -> ContainerOperation {
        try await client.value(call("nodePools.update", .put, cluster.path(nodePool: name), body: update))
    }

    // MARK: Operations

    /// Maps to `GET v1/projects/P/locations/L/operations/NAME`.
    ///
    /// - Throws: `.notFound` when it is too old: then only the resource itself tells.
    public func operation(_ name: String, in cluster: ClusterName) async throws(APIError) -> ContainerOperation {
        try await client.value(call("operations.get", .get, cluster.path(operation: name)))
    }

    /// The recent operations of the location, other clusters' included; this list has no pages. Zones that did not
    /// answer are `unreachable`. Maps to `GET v1/projects/P/locations/L/operations`.
    public func operations(in cluster: ClusterName) async throws(APIError) -> Listing<ContainerOperation> {
        try await client.list(call("operations.list", .get, cluster.parent.path + ["operations"]), "operations")
    }

    /// Asks for the operation to stop; not every kind can (creating a node pool cannot).
    /// Maps to `POST v1/projects/P/locations/L/operations/NAME:cancel`.
    ///
    /// - Throws: `.notFound`, `.invalid` when this kind of operation cannot be cancelled.
    public func cancelOperation(_ name: String, in cluster: ClusterName) async throws(APIError) {
        try await client.reply(
            call(
                "operations.cancel", .post, cluster.path(operation: name), verb: "cancel", body: JSONValue.object([:])))
    }
}

extension ClusterName {
    fileprivate var parent: LocationName { LocationName(project: project, location: location) }

    fileprivate var path: [PathPart] { parent.path + ["clusters", .checked(.cluster, cluster)] }

    fileprivate func path(nodePool name: String) -> [PathPart] { path + ["nodePools", .checked(.nodePool, name)] }

    fileprivate func path(operation name: String) -> [PathPart] {
        parent.path + ["operations", .checked(.operation, name)]
    }
}
