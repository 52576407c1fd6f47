public import HTTP

extension ClusterName {
    /// Asks the metadata server of a GKE node which cluster this is.
    ///
    /// Maps to `GET /computeMetadata/v1/project/project-id`, `…/instance/attributes/cluster-location` and
    /// `…/instance/attributes/cluster-name`.
    ///
    /// - Parameter environment: `GCE_METADATA_HOST` moves the metadata server.
    /// - Throws: `.notFound` where the machine belongs to no GKE cluster, `.unavailable` where there is no metadata server;
    ///   in a pod's first seconds either may pass.
    public static func fromMetadataServer(
        environment: [String: String], transport: any HTTPTransport
    ) async throws(APIError) -> ClusterName {
        let host = environment["GCE_METADATA_HOST"].flatMap { $0.isEmpty ? nil : $0 }
        guard let root = HTTPURL("http://\(host ?? MetadataServerTokens.defaultHost)"), root.path == "/",
            root.query.isEmpty
        else { throw APIError(.invalid, operation: operation, message: "GCE_METADATA_HOST is not HOST or HOST:PORT") }
        let origin = root.origin
        let project = try await value("project/project-id", origin: origin, transport)
        let location = try await value("instance/attributes/cluster-location", origin: origin, transport)
        let cluster = try await value("instance/attributes/cluster-name", origin: origin, transport)
        guard let name = ClusterName(project: project, location: location, cluster: cluster) else {
            throw APIError(
                .malformedResponse, operation: operation, message: "the metadata server's answers are no cluster's name"
            )
        }
        return name
    }

    private static let operation = "metadata.cluster"

    private static func value(
        _ path: String, origin: String, _ transport: any HTTPTransport
    ) async throws(APIError) -> String {
        let url = HTTPURL(origin: origin, path: "/computeMetadata/v1/\(path)")
        let response: HTTPResponse
        do throws(APIError) {
            response = try await transport.send(
                HTTPRequest(
                    .get, url, headers: ["Metadata-Flavor": "Google"], timeout: .seconds(5),
                    maximumResponseBytes: 4096))
        } catch {
            throw APIError(
                error.code, operation: operation,
                message: "no metadata server at \(root(origin)): \(error.message)")
        }
        // Anything that is not the metadata server (a captive proxy, say) lacks this header.
        guard response.headers["Metadata-Flavor"] == "Google" else {
            throw APIError(
                .unavailable, operation: operation, message: "what answers at \(root(origin)) is no metadata server",
                httpStatus: response.status)
        }
        guard response.isSuccess else {
            throw APIError(
                response.status == 404 ? .notFound : .unavailable, operation: operation,
                message: "the metadata server has no \(path)", httpStatus: response.status)
        }
        return String(decoding: response.body, as: UTF8.self)
            .split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    private static func root(_ origin: String) -> String { String(origin.dropFirst("http://".count)) }
}
