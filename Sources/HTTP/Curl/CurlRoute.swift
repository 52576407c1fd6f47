import Glibc

/// Where the requests of one transport really go: overrides, proxies, and the name that TLS checks.
struct CurlRoute: Sendable {
    /// The route of one request.
    struct Target: Sendable, Equatable {
        /// As libcurl gets it; its host is the one that TLS checks.
        var url: String
        /// The Host header, where it differs from the URL.
        var host: String?
        /// libcurl's `::HOST:PORT`: connects there instead of to the URL's host.
        var connectTo: String?
        var isEncrypted: Bool
        var proxy: ProxyAddress?
    }

    private let overrides: [EndpointOverride]
    private let explicitProxy: ProxyAddress?
    private let environment: ProxyRules?
    private let serverName: String?

    /// - Throws: `.invalid` when the environment names a proxy that is none.
    init(_ options: CurlOptions) throws(APIError) {
        overrides = options.overrides
        serverName = options.tls.serverName
        switch options.proxy {
        case .environment:
            explicitProxy = nil
            environment = try ProxyRules { getenv($0).map { String(cString: $0) } }
        case .address(let address):
            explicitProxy = address
            environment = nil
        }
    }

    func target(of url: HTTPURL) -> Target {
        if let override = overrides.first(where: { $0.covers(authority: url.authority) }) {
            return Target(
                url: "http://\(override.address)\(url.target)", host: url.authority, connectTo: nil,
                isEncrypted: false, proxy: nil)
        }
        guard url.origin.hasPrefix("https://") else {
            return Target(url: url.text, host: nil, connectTo: nil, isEncrypted: false, proxy: explicitProxy)
        }
        let proxy = explicitProxy ?? environment?.proxy(forAuthority: url.authority)
        guard let serverName else {
            return Target(url: url.text, host: nil, connectTo: nil, isEncrypted: true, proxy: proxy)
        }
        let host = Loopback.host(of: url.authority)
        let port = url.authority.dropFirst(host.count)
        let name = serverName.contains(":") ? "[\(serverName)]" : serverName
        return Target(
            url: "https://\(name)\(port)\(url.target)", host: url.authority,
            connectTo: "::\(host)\(port.isEmpty ? ":443" : String(port))", isEncrypted: true, proxy: proxy)
    }
}
