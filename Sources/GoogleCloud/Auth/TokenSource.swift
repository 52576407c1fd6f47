public import HTTP

/// Where access tokens come from.
public protocol TokenSource: Sendable {
    /// A token that is valid now, or nil when requests go without one (emulators).
    ///
    /// - Throws: `.unauthorized` when the credentials are no good, `.forbidden` when they may not have the token,
    ///   `.unavailable` or `.timeout` when the source cannot be reached, `.cancelled`.
    func token() async throws(APIError) -> AccessToken?

    /// An API refused this token: the next `token()` fetches another one, unless that was done too often lately.
    func discard(_ token: AccessToken) async
}

/// No credentials: for emulators on the loopback interface.
public struct NoTokens: TokenSource {
    public init() {}
    public func token() async throws(APIError) -> AccessToken? { nil }
    public func discard(_ token: AccessToken) async {}
}

/// One way to get a fresh token; each call asks for one.
protocol TokenFetcher: Sendable {
    /// - Throws: as `TokenSource.token`.
    func fetch() async throws(APIError) -> AccessToken
}
