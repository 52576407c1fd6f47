public import HTTP

/// The Cloud Storage server on this machine that the simulated cloud's pods are given.
public enum StorageEmulator {
    /// The variable that all of Google's clients know.
    public static let variable = "STORAGE_EMULATOR_HOST"

    /// Where requests for Cloud Storage go instead; nil when the variable is unset or empty. With an emulator no
    /// credentials are sent (`NoTokens`).
    ///
    /// - Throws: `.insecure` when the variable names another machine.
    public static func endpointOverride(environment: [String: String]) throws(APIError) -> EndpointOverride? {
        guard let endpoint = environment[variable], !endpoint.isEmpty else { return nil }
        return try EndpointOverride(hosts: ["storage.googleapis.com"], endpoint: endpoint)
    }
}
