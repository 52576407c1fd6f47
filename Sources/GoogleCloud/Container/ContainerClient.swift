internal import Encoding
public import HTTP

/// GKE: container v1 at `https://container.googleapis.com/`.
///
/// Creates and deletes carry no request id and no precondition: a lost reply is resolved by `nodePool(_:in:)` and the
/// owner's label. Changes return at once with an operation; one runs per cluster, and while it does the others are
/// refused with `.rateLimited`.
public struct ContainerClient: Sendable {
    private static let origin = "https://container.googleapis.com"
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    /// Maps to `GET v1/projects/P/locations/L/clusters/C`.
    ///
    /// - Throws: `.notFound`, `.forbidden`, …
    public func cluster(_ name: ClusterName) async throws(APIError) -> ContainerCluster {
        try await client.value(call("container.clusters.get", .get, name.description))
    }

    /// Maps to `POST v1/{cluster}/nodePools`.
    ///
    /// - Throws: `.alreadyExists` when the name is taken, `.rateLimited` while another operation runs, `.invalid`.
    public func createNodePool(
        _ pool: NodePool, in cluster: ClusterName
    ) async throws(APIError) -> ContainerOperation {
        let operation = "container.nodePools.create"
        try Self.check(pool: pool.name, operation: operation)
        let body = try GoogleCall.encode(["nodePool": pool.withoutOutputFields], operation: operation)
        return try await client.value(call(operation, .post, "\(cluster)/nodePools", json: body))
    }

    /// Maps to `GET v1/{cluster}/nodePools/N`. The current size is not in it: nodes tell it.
    ///
    /// - Throws: `.notFound` when there is none.
    public func nodePool(_ name: String, in cluster: ClusterName) async throws(APIError) -> NodePool {
        let operation = "container.nodePools.get"
        try Self.check(pool: name, operation: operation)
        return try await client.value(call(operation, .get, "\(cluster)/nodePools/\(name)"))
    }

    /// All pools; this list has no pages. Maps to `GET v1/{cluster}/nodePools`.
    public func nodePools(in cluster: ClusterName) async throws(APIError) -> [NodePool] {
        struct Reply: Decodable { var nodePools: [NodePool]? }
        let reply: Reply = try await client.value(call("container.nodePools.list", .get, "\(cluster)/nodePools"))
        return reply.nodePools ?? []
    }

    /// Maps to `DELETE v1/{cluster}/nodePools/N`. There is no precondition: read the pool and its owner just before.
    ///
    /// - Throws: `.notFound`, `.rateLimited` while another operation runs, the pool's own create included.
    public func deleteNodePool(_ name: String, in cluster: ClusterName) async throws(APIError) -> ContainerOperation {
        let operation = "container.nodePools.delete"
        try Self.check(pool: name, operation: operation)
        return try await client.value(call(operation, .delete, "\(cluster)/nodePools/\(name)"))
    }

    /// Maps to `POST v1/{cluster}/nodePools/N:setSize`.
    ///
    /// - Parameter nodeCount: per zone, 0 or more.
    /// - Throws: `.notFound`, `.rateLimited` while another operation runs, `.invalid`.
    public func setNodePoolSize(
        _ name: String, nodeCount: Int, in cluster: ClusterName
    ) async throws(APIError) -> ContainerOperation {
        let operation = "container.nodePools.setSize"
        try Self.check(pool: name, operation: operation)
        let body: JSONValue = ["nodeCount": .integer(Int64(nodeCount))]
        return try await client.value(call(operation, .post, "\(cluster)/nodePools/\(name):setSize", json: body))
    }

    /// Maps to `GET v1/projects/P/locations/L/operations/NAME`.
    ///
    /// - Throws: `.notFound` when it is too old: then only the resource itself tells.
    public func operation(_ name: String, in cluster: ClusterName) async throws(APIError) -> ContainerOperation {
        let operation = "container.operations.get"
        guard GoogleNames.isOperation(name) else {
            throw APIError(.invalid, operation: operation, message: "not the name of an operation")
        }
        return try await client.value(call(operation, .get, "\(Self.parent(cluster))/operations/\(name)"))
    }

    /// The recent operations of the location, other clusters' included; this list has no pages.
    /// Maps to `GET v1/projects/P/locations/L/operations`.
    public func operations(in cluster: ClusterName) async throws(APIError) -> [ContainerOperation] {
        struct Reply: Decodable { var operations: [ContainerOperation]? }
        let reply: Reply = try await client.value(
            call("container.operations.list", .get, "\(Self.parent(cluster))/operations"))
        return reply.operations ?? []
    }

    private static func parent(_ cluster: ClusterName) -> String {
        "projects/\(cluster.project)/locations/\(cluster.location)"
    }

    private static func check(pool name: String, operation: String) throws(APIError) {
        guard GoogleNames.isResource(name) else {
            throw APIError(
                .invalid, operation: operation,
                message: "a node pool's name has at most 40 characters: lower-case letters, digits and '-'")
        }
    }

    /// `path` is made of checked names only, so it needs no encoding; `:setSize` must keep its colon.
    private func call(_ operation: String, _ method: HTTPMethod, _ path: String) -> GoogleCall {
        GoogleCall(operation, method, HTTPURL(origin: Self.origin, path: "/v1/\(path)"))
    }

    private func call(_ operation: String, _ method: HTTPMethod, _ path: String, json: JSONValue) -> GoogleCall {
        GoogleCall(operation, method, HTTPURL(origin: Self.origin, path: "/v1/\(path)"), json: json)
    }
}
