import HTTP
public import Telemetry

extension ClusterConnection {
    /// Where the kubelet puts a pod's service account.
    public static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// The connection of a pod: the API server from the environment, the token from a file that the kubelet renews.
    ///
    /// - Throws: `.missing` outside a pod, `.unreadable` without a mounted service account.
    public static func inCluster(
        environment: [String: String], directory: String = ClusterConnection.serviceAccountDirectory,
        clock: any WallClock = SystemClock()
    ) throws(ConfigurationError) -> ClusterConnection {
        let host = environment["KUBERNETES_SERVICE_HOST"] ?? ""
        let port = environment["KUBERNETES_SERVICE_PORT"] ?? ""
        if host.isEmpty || port.isEmpty {
            let absent = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)].filter(\.1.isEmpty)
            throw ConfigurationError(
                .missing,
                "\(absent.map(\.0).joined(separator: " and ")) not set: this is not a pod, or its service links are off"
            )
        }
        let address = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]:\(port)" : "\(host):\(port)"
        guard UInt16(port) != nil, let server = HTTPURL("https://\(address)") else {
            throw ConfigurationError(
                .invalid, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address: \(host), \(port)")
        }
        let tokenFile = directory + "/token"
        let authority = directory + "/ca.crt"
        for file in [tokenFile, authority] where !ConfigurationFile.exists(file) {
            throw ConfigurationError(
                .unreadable,
                "\(file) cannot be read: the pod needs a service account with automountServiceAccountToken")
        }
        // The namespace is only a default.
        let namespace = try? ConfigurationFile.text(directory + "/namespace")
        return ClusterConnection(
            server: server, tls: CurlOptions.TLS(authority: .file(authority)),
            credentials: TokenFile(tokenFile, clock: clock), namespace: namespace)
    }
}
