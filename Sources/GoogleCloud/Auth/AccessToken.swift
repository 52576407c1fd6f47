internal import HTTP

/// An OAuth 2.0 bearer token. Every textual form of it is `***`, and it cannot be encoded; only the Authorization
/// header gets its text.
public struct AccessToken: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    let secret: Secret
    /// How long it was valid when it was asked for. Counted by uptime from there: a time of day that is wrong here or at
    /// the source changes nothing.
    public let lifetime: Duration
    /// The project that pays and whose quotas count, where the credentials name one (`X-Goog-User-Project`).
    public let quotaProject: String?

    /// - Parameter lifetime: from when it was asked for to the end of its validity.
    public init(_ secret: String, lifetime: Duration, quotaProject: String? = nil) {
        self.secret = Secret(secret)
        self.lifetime = lifetime
        self.quotaProject = quotaProject
    }

    public var description: String { "***" }
    public var debugDescription: String { "***" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
