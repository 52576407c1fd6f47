internal import Encoding
public import HTTP
public import Telemetry

/// Tokens of the service account that the metadata server (Compute Engine, GKE workload identity) gives this process.
///
/// Kept and renewed as `CachedTokens` says. Replies without the metadata server's own header are not believed; 404 and
/// 5xx, which GKE answers in a pod's first seconds, are tried again for some seconds.
///
/// Maps to `GET /computeMetadata/v1/instance/service-accounts/default/token`.
public struct MetadataServerTokens: TokenSource {
    public static let defaultHost = "metadata.google.internal"

    private let cache: CachedTokens

    /// - Parameter host: `host[:port]`.
    /// - Throws: `.invalid` when it is none.
    public init(
        host: String = MetadataServerTokens.defaultHost, transport: any HTTPTransport, clock: any WallClock
    ) throws(APIError) {
        let operation = "metadata.token"
        guard let root = HTTPURL("http://\(host)"), root.path == "/", root.query.isEmpty else {
            throw APIError(.invalid, operation: operation, message: "GCE_METADATA_HOST is not HOST or HOST:PORT")
        }
        let url = HTTPURL(
            origin: root.origin, path: "/computeMetadata/v1/instance/service-accounts/default/token")
        let endpoint = TokenEndpoint(transport: transport, clock: clock, operation: operation)
        cache = CachedTokens(MetadataTokenRequest(url: url, endpoint: endpoint), clock: clock)
    }

    public func token() async throws(APIError) -> AccessToken? { try await cache.token() }

    public func discard(_ token: AccessToken) { cache.discard(token) }
}

private struct MetadataTokenRequest: TokenFetcher {
    let url: HTTPURL
    let endpoint: TokenEndpoint

    func fetch() async throws(APIError) -> AccessToken {
        let request = HTTPRequest(.get, url, headers: ["Metadata-Flavor": "Google"], timeout: .seconds(10))
        let response: HTTPResponse
        do throws(APIError) {
            response = try await endpoint.reply(to: request, hiding: [], tries: 5) { Self.mayPass($0) }
        } catch {
            var error = error
            error.message =
                "no metadata server at \(url.authority): \(error.message); outside of Google Cloud set "
                + "GOOGLE_APPLICATION_CREDENTIALS or run `gcloud auth application-default login`"
            throw error
        }
        guard Self.isGenuine(response) else {
            throw APIError(
                .unavailable, operation: endpoint.operation,
                message: "what answers at \(url.authority) is no metadata server", httpStatus: response.status)
        }
        guard response.isSuccess else { throw refusal(response) }
        return try endpoint.token(in: response).0
    }

    /// Anything that is not the metadata server (a captive proxy, say) lacks this header.
    private static func isGenuine(_ response: HTTPResponse) -> Bool {
        response.headers["Metadata-Flavor"] == "Google"
    }

    private static func mayPass(_ response: HTTPResponse) -> Bool {
        isGenuine(response) && [404, 408, 429, 500, 502, 503, 504].contains(response.status) && !isRefused(response)
    }

    /// GKE's server says with 403, or with a 500 that quotes IAM, that the binding is missing.
    private static func isRefused(_ response: HTTPResponse) -> Bool {
        if response.status == 401 || response.status == 403 { return true }
        let text = String(decoding: response.body.prefix(4096), as: UTF8.self)
        return response.status >= 500
            && (text.contains("iam.serviceAccounts.getAccessToken") || text.contains("PERMISSION_DENIED")
                || text.contains("403 Forbidden"))
    }

    /// The bodies here are plain text or HTML and may quote identities, so they are not passed on.
    private func refusal(_ response: HTTPResponse) -> APIError {
        if Self.isRefused(response) {
            return APIError(
                .forbidden, operation: endpoint.operation,
                message: "the metadata server refuses a token: grant roles/iam.workloadIdentityUser on the Google "
                    + "service account to the Kubernetes service account of this pod, and check its annotation "
                    + "iam.gke.io/gcp-service-account", httpStatus: response.status)
        }
        let hint =
            response.status == 404
            ? ": the node pool needs workload identity (GKE_METADATA), or the machine has no service account" : ""
        return APIError(
            .unavailable, operation: endpoint.operation, message: "the metadata server has no token\(hint)",
            httpStatus: response.status)
    }
}
