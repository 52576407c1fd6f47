/// How `CurlTransport` connects.
public struct CurlOptions: Sendable {
    /// A PEM text in a file or in memory.
    public enum PEM: Sendable, Hashable {
        case file(String)
        case bytes([UInt8])
    }

    /// What TLS trusts and shows. The default trusts the system's authorities and verifies everything.
    public struct TLS: Sendable, Hashable {
        /// Trusted instead of the system's authorities.
        public var authority: PEM?
        /// The client's own certificate and its key; both or none.
        public var clientCertificate: PEM?
        public var clientKey: PEM?
        /// Accepts any certificate: only on a user's explicit demand (kubeconfig's `insecure-skip-tls-verify`).
        public var insecureSkipVerify: Bool

        public init(
            authority: PEM? = nil, clientCertificate: PEM? = nil, clientKey: PEM? = nil,
            insecureSkipVerify: Bool = false
        ) {
            self.authority = authority
            self.clientCertificate = clientCertificate
            self.clientKey = clientKey
            self.insecureSkipVerify = insecureSkipVerify
        }
    }

    public var tls: TLS
    public var overrides: [EndpointOverride]
    /// For name resolution, TCP and TLS together.
    public var connectTimeout: Duration
    public var userAgent: String
    /// How many bytes of a streamed reply wait for a slow reader before the sender is held back.
    public var streamBufferBytes: Int

    public init(
        tls: TLS = TLS(), overrides: [EndpointOverride] = [], connectTimeout: Duration = .seconds(10),
        userAgent: String = "trainyard", streamBufferBytes: Int = 256 << 10
    ) {
        self.tls = tls
        self.overrides = overrides
        self.connectTimeout = connectTimeout
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
