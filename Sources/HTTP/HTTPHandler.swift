/// Answers requests: what `HTTPServer` serves over a socket and `HandlerTransport` calls in process.
public protocol HTTPHandler: Sendable {
    /// Answers one request; every failure is a reply too. The request's URL carries the Host header as its origin.
    func respond(to request: HTTPRequest) async -> HTTPReply
}

/// A reply of a handler: complete, or written piece by piece.
public struct HTTPReply: Sendable {
    /// How the body comes.
    public enum Body: Sendable {
        case bytes([UInt8])
        /// Called once; writes until it returns. A write fails with `.cancelled` when the client has gone.
        case stream(@Sendable (any HTTPBodyWriter) async throws(APIError) -> Void)
    }

    public var status: Int
    public var headers: HTTPHeaders
    public var body: Body

    public init(status: Int, headers: HTTPHeaders = HTTPHeaders(), body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    public init(status: Int, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []) {
        self.init(status: status, headers: headers, body: .bytes(body))
    }

    /// No reply at all: the connection is closed, and the client sees `.unavailable`. For fault injection.
    public static let disconnect = HTTPReply(status: 0, body: [])

    /// Whether this is `disconnect`.
    public var isDisconnect: Bool { status == 0 }
}

/// Where a streaming reply is written.
public protocol HTTPBodyWriter: Sendable {
    /// Sends bytes; returns when there is room for more.
    ///
    /// - Throws: `.cancelled` when the client has gone or the server stops.
    func write(_ bytes: [UInt8]) async throws(APIError)
}
