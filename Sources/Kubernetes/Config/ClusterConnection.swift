public import HTTP

/// How to reach an API server, and as whom.
public struct ClusterConnection: Sendable {
    public var server: HTTPURL
    public var tls: CurlOptions.TLS
    public var credentials: KubernetesClient.Credentials
    /// The namespace of the context or of this pod.
    public var namespace: String?

    public init(
        server: HTTPURL, tls: CurlOptions.TLS, credentials: @escaping KubernetesClient.Credentials,
        namespace: String? = nil
    ) {
        self.server = server
        self.tls = tls
        self.credentials = credentials
        self.namespace = namespace
    }

    /// The first that is there: the named kubeconfig, `$KUBECONFIG`, the pod's service account, `~/.kube/config`.
    ///
    /// - Throws: `.missing` when there is none of them, and what reading the one that counts throws.
    public static func find(
        kubeconfig: String?, environment: [String: String]
    ) throws(ConfigurationError) -> ClusterConnection {
        if let kubeconfig { return try Kubeconfig(contentsOf: kubeconfig).connection() }
        if let list = environment["KUBECONFIG"], !list.isEmpty {
            guard !list.contains(":") else {
                throw ConfigurationError(
                    .unsupported, "KUBECONFIG names several files: merging them is not supported, name one")
            }
            return try Kubeconfig(contentsOf: list).connection()
        }
        if environment["KUBERNETES_SERVICE_HOST"] != nil { return try inCluster(environment: environment) }
        if let home = environment["HOME"], case let path = home + "/.kube/config", SmallFile.exists(path) {
            return try Kubeconfig(contentsOf: path).connection()
        }
        throw ConfigurationError(
            .missing, "no cluster: give --kubeconfig FILE, set KUBECONFIG, or run in a pod with a service account")
    }

    /// The client over a transport of its own.
    ///
    /// - Throws: as `CurlTransport.init`.
    public func client(userAgent: String) throws(APIError) -> KubernetesClient {
        let transport = try CurlTransport(options: CurlOptions(tls: tls, userAgent: userAgent))
        return KubernetesClient(
            transport: transport, server: server, userAgent: userAgent, credentials: credentials)
    }
}
