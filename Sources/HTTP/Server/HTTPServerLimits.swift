/// What a server accepts and how long it waits.
public struct HTTPServerLimits: Sendable, Hashable {
    /// Request line and headers together.
    public var headerBytes: Int
    public var bodyBytes: Int
    /// More connections wait in the kernel's queue.
    public var connectionCount: Int
    /// From the first byte of a request's head to its last.
    public var headerTimeout: Duration
    /// From the first byte of a request's head to the last of its body: a body that drips must not hold a connection.
    public var requestTimeout: Duration
    /// The longest silence in a request's body, or of a client that does not read its reply.
    public var stallTimeout: Duration
    /// How long an idle connection is kept open.
    public var idleTimeout: Duration
    /// How many bytes of a streamed reply wait for a slow client before its writer waits too.
    public var streamBufferBytes: Int

    public init(
        headerBytes: Int = 64 << 10, bodyBytes: Int = 256 << 20, connectionCount: Int = 4096,
        headerTimeout: Duration = .seconds(10), requestTimeout: Duration = .seconds(600),
        stallTimeout: Duration = .seconds(60), idleTimeout: Duration = .seconds(120),
        streamBufferBytes: Int = 256 << 10
    ) {
        self.headerBytes = headerBytes
        self.bodyBytes = bodyBytes
        self.connectionCount = connectionCount
        self.headerTimeout = headerTimeout
        self.requestTimeout = requestTimeout
        self.stallTimeout = stallTimeout
        self.idleTimeout = idleTimeout
        self.streamBufferBytes = streamBufferBytes
    }
}
