/// Sends requests: libcurl in production, a simulated world or a fault injector in tests.
///
/// A transport returns every reply, whatever its status; it throws only when there is none. It follows no redirect
/// and adds no credentials.
public protocol HTTPTransport: Sendable {
    /// Sends a request and collects the reply.
    ///
    /// - Throws: `.unavailable`, `.timeout`, `.cancelled`, `.tooLarge`, `.insecure`.
    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse

    /// Sends a request and returns as soon as the reply's head is there.
    ///
    /// - Throws: as `send`.
    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream
}
