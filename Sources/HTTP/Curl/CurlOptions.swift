/// How `CurlTransport` connects.
public struct CurlOptions: Sendable {
    /// What TLS trusts and shows. The default trusts the system's authorities and verifies everything.
    public struct TLS: Sendable, Hashable {
        /// Trusted instead of the system's authorities. A file is read again after a minute.
        public var authority: PEM?
        /// Shown where a request brings none of its own. Files are read for each new connection.
        public var identity: TLSIdentity?
        /// The name that the server's certificate must have and that the handshake asks for, where it is not the URL's.
        public var serverName: String?
        /// Accepts any certificate: only on a user's explicit demand (kubeconfig's `insecure-skip-tls-verify`).
        public var insecureSkipVerify: Bool

        public init(
            authority: PEM? = nil, identity: TLSIdentity? = nil, serverName: String? = nil,
            insecureSkipVerify: Bool = false
        ) {
            self.authority = authority
            self.identity = identity
            self.serverName = serverName
            self.insecureSkipVerify = insecureSkipVerify
        }
    }

    /// Which way requests go.
    public enum Proxy: Sendable, Hashable {
        /// https to other machines by HTTPS_PROXY and NO_PROXY, everything else straight.
        case environment
        /// All requests through this one.
        case address(ProxyAddress)
    }

    public var tls: TLS
    public var proxy: Proxy
    public var overrides: [EndpointOverride]
    /// For name resolution, TCP and TLS together.
    public var connectTimeout: Duration
    /// A connection that was unused for longer is not used again, in whole seconds. API servers end theirs after 90 s: a
    /// request sent in that moment would be lost, and nobody could know whether it was carried out.
    public var idleTimeout: Duration
    public var userAgent: String
    /// How many bytes of a streamed reply wait for a slow reader before the sender is held back.
    public var streamBufferBytes: Int

    public init(
        tls: TLS = TLS(), proxy: Proxy = .environment, overrides: [EndpointOverride] = [],
        connectTimeout: Duration = .seconds(10), idleTimeout: Duration = .seconds(60),
        userAgent: String = "trainyard", streamBufferBytes: Int = 256 << 10
    ) {
        self.tls = tls
        self.proxy = proxy
        self.overrides = overrides
        self.connectTimeout = connectTimeout
        self.idleTimeout = idleTimeout
        self.userAgent = userAgent
        self.streamBufferBytes = streamBufferBytes
    }
}

extension Duration {
    /// Whole milliseconds, at least 1, at most what a C `long` and `int` hold.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        if seconds >= 2_000_000 { return 2_000_000_000 }
        return max(1, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
    }
}
