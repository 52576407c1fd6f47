public import HTTP
public import Telemetry

/// How to reach an API server, and as whom.
public struct ClusterConnection: Sendable {
    public var server: HTTPURL
    public var tls: CurlOptions.TLS
    public var proxy: CurlOptions.Proxy
    public var credentials: any CredentialSource
    public var impersonation: Impersonation?
    /// The namespace of the context or of this pod.
    public var namespace: String?

    public init(
        server: HTTPURL, tls: CurlOptions.TLS, proxy: CurlOptions.Proxy = .environment,
        credentials: any CredentialSource, impersonation: Impersonation? = nil, namespace: String? = nil
    ) {
        self.server = server
        self.tls = tls
        self.proxy = proxy
        self.credentials = credentials
        self.impersonation = impersonation
        self.namespace = namespace
    }

    /// The first that is there: the named kubeconfig, the files in `$KUBECONFIG`, the pod's service account,
    /// `~/.kube/config`.
    ///
    /// - Parameters:
    ///   - context: of the kubeconfig; nil: its current one.
    ///   - log: for what goes on while the connection is used, such as a plugin that fails.
    /// - Throws: `.missing` when there is none of them, and what reading the one that counts throws.
    public static func find(
        kubeconfig: String?, context: String? = nil, environment: [String: String], log: Log = .silent
    ) throws(ConfigurationError) -> ClusterConnection {
        func connection(_ config: Kubeconfig) throws(ConfigurationError) -> ClusterConnection {
            try config.connection(context: context, environment: environment, log: log)
        }
        if let kubeconfig { return try connection(Kubeconfig(contentsOf: kubeconfig)) }
        let files = (environment["KUBECONFIG"] ?? "").split(separator: ":").map(String.init)
        if !files.isEmpty { return try connection(Kubeconfig(merging: files)) }
        let home = environment["HOME"].map { $0 + "/.kube/config" }
        // A pod has no contexts: whoever names one means a file.
        if context == nil, environment["KUBERNETES_SERVICE_HOST"] != nil {
            return try inCluster(environment: environment)
        }
        if let home, ConfigurationFile.exists(home) { return try connection(Kubeconfig(contentsOf: home)) }
        throw ConfigurationError(
            .missing, "no cluster: give --kubeconfig FILE, set KUBECONFIG, or run in a pod with a service account")
    }

    /// The client over a transport of its own.
    ///
    /// - Parameter log: gets the API server's warnings, and one of ours when certificates are not verified.
    /// - Throws: as `CurlTransport.init`.
    public func client(
        userAgent: String, rateLimiter: RateLimiter? = nil, log: Log = .silent
    ) throws(APIError) -> KubernetesClient {
        let transport = try CurlTransport(options: CurlOptions(tls: tls, proxy: proxy, userAgent: userAgent))
        if tls.insecureSkipVerify {
            log.warning(
                "insecure-skip-tls-verify is set: whoever sits on the way can read the credentials",
                [.address: .string(server.origin)])
        }
        return KubernetesClient(
            transport: transport, server: server, userAgent: userAgent, credentials: credentials,
            impersonation: impersonation, rateLimiter: rateLimiter, log: log)
    }
}
