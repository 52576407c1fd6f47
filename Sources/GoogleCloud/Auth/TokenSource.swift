public import HTTP
public import Telemetry

/// Where access tokens come from.
public protocol TokenSource: Sendable {
    /// A token that is valid now, or nil when requests go without one (emulators).
    ///
    /// - Throws: `.unauthorized` when the credentials are no good, `.unavailable` or `.timeout` when the source cannot
    ///   be reached.
    func token() async throws(APIError) -> AccessToken?

    /// An API refused this token: the next `token()` fetches another one.
    func discard(_ token: AccessToken) async
}

/// No credentials: for emulators on the loopback interface.
public struct NoTokens: TokenSource {
    public init() {}
    public func token() async throws(APIError) -> AccessToken? { nil }
    public func discard(_ token: AccessToken) async {}
}

/// How this process gets its credentials, decided from its environment.
public enum Credentials {
    /// The metadata server's tokens (workload identity on GKE).
    ///
    /// - Parameter environment: `GCE_METADATA_HOST` moves the metadata server.
    /// - Throws: `.unauthorized` when `GOOGLE_APPLICATION_CREDENTIALS` names a credential file: only the metadata
    ///   server is supported, and falling back silently would act under another identity.
    public static func tokenSource(
        environment: [String: String], transport: any HTTPTransport, clock: any WallClock
    ) throws(APIError) -> any TokenSource {
        if let file = environment["GOOGLE_APPLICATION_CREDENTIALS"], !file.isEmpty {
            throw APIError(
                .unauthorized, operation: "credentials",
                message: "GOOGLE_APPLICATION_CREDENTIALS is set, but credential files are not supported: "
                    + "run with workload identity (the GKE metadata server) and unset the variable")
        }
        let host = environment["GCE_METADATA_HOST"].flatMap { $0.isEmpty ? nil : $0 }
        return try MetadataServerTokens(
            host: host ?? MetadataServerTokens.defaultHost, transport: transport, clock: clock)
    }
}
