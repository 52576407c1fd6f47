public import HTTP
public import Telemetry

/// How this process gets its credentials, decided from its environment: Application Default Credentials in Google's
/// order, without private keys.
///
/// 1. the file that `GOOGLE_APPLICATION_CREDENTIALS` names,
/// 2. `application_default_credentials.json` in `$CLOUDSDK_CONFIG`, else in `~/.config/gcloud`,
/// 3. the metadata server (workload identity on GKE); `GCE_METADATA_HOST` moves it.
public struct Credentials: Sendable {
    public let tokens: any TokenSource
    /// Where they come from, for a log line: `the metadata server`, or the file's path.
    public let origin: String

    /// Finds the credentials; nothing is asked for yet. A file that is named but not there is waited for: then the first
    /// token says so.
    ///
    /// - Throws: `.unauthorized` with a sentence when the file holds what cannot be used, a private key for example;
    ///   `.invalid` when `GCE_METADATA_HOST` is no host.
    public static func find(
        environment: [String: String], transport: any HTTPTransport, clock: any WallClock
    ) throws(APIError) -> Credentials {
        if let path = file(environment) {
            return Credentials(tokens: try FileTokens(path, transport: transport, clock: clock), origin: path)
        }
        let host = environment["GCE_METADATA_HOST"].flatMap { $0.isEmpty ? nil : $0 }
        return Credentials(
            tokens: try MetadataServerTokens(
                host: host ?? MetadataServerTokens.defaultHost, transport: transport, clock: clock),
            origin: "the metadata server")
    }

    private static func file(_ environment: [String: String]) -> String? {
        let environment = environment.filter { !$0.value.isEmpty }
        if let named = environment["GOOGLE_APPLICATION_CREDENTIALS"] { return named }
        let folder = environment["CLOUDSDK_CONFIG"] ?? environment["HOME"].map { $0 + "/.config/gcloud" }
        let path = folder.map { $0 + "/application_default_credentials.json" }
        return path.flatMap { CredentialBytes.exists($0) ? $0 : nil }
    }
}
