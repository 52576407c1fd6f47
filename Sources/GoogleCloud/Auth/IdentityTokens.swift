public import HTTP
internal import Synchronization
public import Telemetry

/// Where identity tokens come from: who we are, for services behind IAM such as Cloud Run's.
public protocol IdentityTokenSource: Sendable {
    /// A token for one audience, or nil when requests go without one.
    ///
    /// - Parameter audience: the URL of the service that is called, without a path.
    /// - Throws: `.forbidden` when the credentials may not have one, `.unavailable`, `.timeout`, `.cancelled`.
    func token(for audience: String) async throws(APIError) -> AccessToken?
}

/// Identity tokens of the service account that the metadata server gives this process.
///
/// Maps to `GET /computeMetadata/v1/instance/service-accounts/default/identity?audience=URL&format=full`. A token is
/// kept for half an hour, half of what it is good for.
public final class MetadataServerIdentity: IdentityTokenSource {
    private static let lifetime: Duration = .seconds(1800)
    /// Audiences that are remembered; beyond it all are asked for again.
    private static let limit = 1024

    private struct Kept {
        var token: AccessToken
        var time: Duration
    }

    private let root: HTTPURL
    private let endpoint: TokenEndpoint
    private let clock: any WallClock
    private let kept = Mutex<[String: Kept]>([:])

    /// - Parameter host: `host[:port]`.
    /// - Throws: `.invalid` when it is none.
    public init(
        host: String = MetadataServerTokens.defaultHost, transport: any HTTPTransport, clock: any WallClock
    ) throws(APIError) {
        let operation = "metadata.identity"
        guard let root = HTTPURL("http://\(host)"), root.path == "/", root.query.isEmpty else {
            throw APIError(.invalid, operation: operation, message: "GCE_METADATA_HOST is not HOST or HOST:PORT")
        }
        self.root = root
        self.clock = clock
        endpoint = TokenEndpoint(transport: transport, clock: clock, operation: operation)
    }

    public func token(for audience: String) async throws(APIError) -> AccessToken? {
        let now = clock.uptime
        if let kept = kept.withLock({ $0[audience] }), now - kept.time < Self.lifetime { return kept.token }
        let url = HTTPURL(
            origin: root.origin, path: "/computeMetadata/v1/instance/service-accounts/default/identity",
            query: [.init("audience", audience), .init("format", "full")])
        let request = HTTPRequest(.get, url, headers: ["Metadata-Flavor": "Google"], timeout: .seconds(10))
        let response = try await endpoint.reply(to: request, hiding: [])
        guard response.headers["Metadata-Flavor"] == "Google" else {
            throw APIError(
                .unavailable, operation: endpoint.operation,
                message: "what answers at \(root.authority) is no metadata server", httpStatus: response.status)
        }
        guard response.isSuccess else {
            throw APIError(
                [401, 403].contains(response.status) ? .forbidden : .unavailable, operation: endpoint.operation,
                message: "the metadata server gives no identity token: the pod's Kubernetes service account must stand "
                    + "for a Google service account (iam.gke.io/gcp-service-account)", httpStatus: response.status)
        }
        let text = String(decoding: response.body, as: UTF8.self).trimmingWhitespace
        guard TokenEndpoint.isHeaderSafe(text), text.split(separator: ".").count == 3 else {
            throw APIError(
                .malformedResponse, operation: endpoint.operation,
                message: "the reply holds no identity token that can be used", httpStatus: response.status)
        }
        let token = AccessToken(text, lifetime: Self.lifetime)
        kept.withLock { kept in
            if kept.count >= Self.limit { kept = [:] }
            kept[audience] = Kept(token: token, time: now)
        }
        return token
    }
}

extension String {
    fileprivate var trimmingWhitespace: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
