internal import Encoding
public import HTTP
public import Telemetry

/// Calls services of Cloud Run as their clients do: an identity token for the service, one try.
public struct RunInvoker: Sendable {
    /// What a service answered.
    public struct Answer: Sendable, Hashable {
        public var status: Int
        public var body: [UInt8]
        /// From the call to the last byte.
        public var latency: Duration
    }

    private static let operation = "calling a Cloud Run service"
    /// A prediction of a smoke test is small.
    public static let usualResponseBytes = 1 << 20

    private let transport: any HTTPTransport
    private let identity: any IdentityTokenSource
    private let clock: any WallClock

    public init(transport: any HTTPTransport, identity: any IdentityTokenSource, clock: any WallClock) {
        self.transport = transport
        self.identity = identity
        self.clock = clock
    }

    /// Sends one request.
    ///
    /// - Parameters:
    ///   - path: begins with "/".
    ///   - body: JSON for a POST; nil is a GET.
    ///   - url: the service's or a tag's, as Cloud Run gave it.
    ///   - audience: the service's own URL, also where a tag is called.
    /// - Throws: `.insecure` for a URL that is neither https nor on this machine, `.invalid` for one that is none;
    ///   `.unavailable`, `.timeout`, `.tooLarge`, `.cancelled`, and what getting the token throws.
    public func send(
        _ path: String, body: [UInt8]?, to url: String, audience: String, timeout: Duration,
        maximumResponseBytes: Int = RunInvoker.usualResponseBytes
    ) async throws(APIError) -> Answer {
        guard let base = HTTPURL(url), let target = HTTPURL.parseTarget(path) else {
            throw APIError(.invalid, operation: Self.operation, message: "the URL \(url) with \(path) is none")
        }
        guard base.origin.hasPrefix("https://") || Loopback.contains(authority: base.authority) else {
            throw APIError(.insecure, operation: Self.operation, message: "\(url) is not https")
        }
        let address = HTTPURL(origin: base.origin, path: target.path, query: target.query)
        var request = HTTPRequest(
            body == nil ? .get : .post, address, headers: ["Accept": "application/json"], body: body ?? [],
            timeout: timeout, maximumResponseBytes: maximumResponseBytes)
        if body != nil { request.headers["Content-Type"] = "application/json" }
        if let token = try await identity.token(for: audience) {
            request.headers["Authorization"] = "Bearer \(token.secret.revealed)"
        }
        let begun = clock.uptime
        let response = try await transport.send(request)
        return Answer(status: response.status, body: response.body, latency: clock.uptime - begun)
    }
}
