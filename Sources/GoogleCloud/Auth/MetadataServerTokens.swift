internal import Encoding
public import HTTP
public import Telemetry

/// Tokens of the service account that the metadata server (Compute Engine, GKE workload identity) gives this process.
///
/// A token is kept until 80 % of its lifetime; one request is in flight at a time, however many callers wait. When the
/// refresh fails while the old token is still valid, the old one is used.
///
/// Maps to `GET /computeMetadata/v1/instance/service-accounts/default/token`.
public actor MetadataServerTokens: TokenSource {
    public static let defaultHost = "metadata.google.internal"

    private let url: HTTPURL
    private let transport: any HTTPTransport
    private let clock: any WallClock
    private var current: AccessToken?
    private var refresh: Task<Result<AccessToken, APIError>, Never>?

    /// - Parameter host: `host[:port]`.
    /// - Throws: `.invalid` when it is none.
    public init(
        host: String = MetadataServerTokens.defaultHost, transport: any HTTPTransport, clock: any WallClock
    ) throws(APIError) {
        guard let root = HTTPURL("http://\(host)"), root.path == "/", root.query.isEmpty else {
            throw APIError(.invalid, operation: Self.operation, message: "not a host name or host:port")
        }
        self.url = HTTPURL(
            origin: root.origin, path: "/computeMetadata/v1/instance/service-accounts/default/token")
        self.transport = transport
        self.clock = clock
    }

    public func token() async throws(APIError) -> AccessToken? {
        let now = clock.now
        if let current, now < current.refreshAt { return current }
        switch await refreshed() {
        case .success(let token): return token
        case .failure(let error):
            if let current, clock.now < current.expiresAt { return current }
            throw error
        }
    }

    public func discard(_ token: AccessToken) {
        if current == token { current = nil }
    }

    /// Joins the refresh in flight or starts one. The task is always awaited; it ends by its request's timeout.
    private func refreshed() async -> Result<AccessToken, APIError> {
        if let refresh { return await refresh.value }
        let task = Task { [url, transport, clock] in
            do throws(APIError) {
                return Result<AccessToken, APIError>.success(
                    try await Self.fetch(url: url, transport: transport, clock: clock))
            } catch {
                return .failure(error)
            }
        }
        refresh = task
        let result = await task.value
        refresh = nil
        if case .success(let token) = result { current = token }
        return result
    }

    private static let operation = "metadata.token"

    private static func fetch(
        url: HTTPURL, transport: any HTTPTransport, clock: any WallClock
    ) async throws(APIError) -> AccessToken {
        let issuedAt = clock.now
        let response = try await transport.send(
            HTTPRequest(
                .get, url, headers: ["Metadata-Flavor": "Google"], timeout: .seconds(10),
                maximumResponseBytes: 64 << 10))
        // Anything that is not the metadata server (a captive proxy, say) lacks this header.
        guard response.headers["Metadata-Flavor"] == "Google" else {
            throw APIError(
                .unavailable, operation: operation, message: "the reply is not from a metadata server",
                httpStatus: response.status)
        }
        guard response.isSuccess else { throw refusal(response) }
        guard let body = try? JSONValue(parsing: response.body),  // The parser's message could quote the token.
            let secret = body["access_token"]?.stringValue, !secret.isEmpty,
            secret.utf8.allSatisfy({ $0 > 32 && $0 < 127 }),
            let lifetime = body["expires_in"]?.integerValue, lifetime > 0
        else {
            throw APIError(
                .malformedResponse, operation: operation, message: "the metadata server's token cannot be read",
                httpStatus: response.status)
        }
        return AccessToken(secret, issuedAt: issuedAt, lifetime: .seconds(min(lifetime, 12 * 3600)))
    }

    /// The bodies here are plain text and may quote identities, so they are not passed on. In a pod's first seconds GKE
    /// answers 404 or 5xx until the node's metadata server knows the pod.
    private static func refusal(_ response: HTTPResponse) -> APIError {
        switch response.status {
        case 401, 403:
            APIError(
                .forbidden, operation: operation,
                message: "the metadata server refuses a token: check roles/iam.workloadIdentityUser of the "
                    + "Kubernetes service account", httpStatus: response.status)
        default:
            APIError(
                .unavailable, operation: operation, message: "the metadata server has no token yet",
                httpStatus: response.status)
        }
    }
}
