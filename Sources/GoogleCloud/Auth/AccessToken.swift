public import Encoding

/// An OAuth 2.0 bearer token. Every textual form of it is `***`; only the Authorization header gets its bytes.
public struct AccessToken: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    let secret: String
    /// From when on a new token should be fetched: 80 % of the lifetime.
    public let refreshAt: Timestamp
    public let expiresAt: Timestamp

    /// - Parameter lifetime: from `issuedAt` to the end of its validity.
    public init(_ secret: String, issuedAt: Timestamp, lifetime: Duration) {
        self.secret = secret
        self.refreshAt = issuedAt + lifetime * 4 / 5
        self.expiresAt = issuedAt + lifetime
    }

    public var description: String { "***" }
    public var debugDescription: String { "***" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
