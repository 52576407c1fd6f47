import HTTP

extension ClusterConnection {
    /// Where the kubelet puts a pod's service account.
    public static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// The connection of a pod: the API server from the environment, the token from a file that the kubelet renews.
    ///
    /// - Throws: `.missing` outside a pod, `.unreadable` without a mounted service account.
    public static func inCluster(
        environment: [String: String], directory: String = ClusterConnection.serviceAccountDirectory
    ) throws(ConfigurationError) -> ClusterConnection {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"], UInt16(port) != nil
        else {
            throw ConfigurationError(
                .missing, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is not a pod")
        }
        let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        guard let server = HTTPURL("https://\(address)") else {
            throw ConfigurationError(.invalid, "KUBERNETES_SERVICE_HOST is not an address")
        }
        let tokenFile = directory + "/token"
        _ = try SmallFile.text(tokenFile)
        let authority = directory + "/ca.crt"
        guard SmallFile.exists(authority) else {
            throw ConfigurationError(.unreadable, "\(authority) is not there")
        }
        // The namespace is only a default.
        let namespace = try? SmallFile.text(directory + "/namespace")
        return ClusterConnection(
            server: server, tls: CurlOptions.TLS(authority: .file(authority)),
            credentials: tokenCredentials(file: tokenFile), namespace: namespace)
    }

    /// Reads the token for every request: it is renewed under us, and reading a small file costs microseconds.
    static func tokenCredentials(file: String) -> KubernetesClient.Credentials {
        { () throws(APIError) in
            do throws(ConfigurationError) {
                return try SmallFile.text(file)
            } catch {
                throw APIError(.unauthorized, operation: "read the token", message: error.message)
            }
        }
    }
}
