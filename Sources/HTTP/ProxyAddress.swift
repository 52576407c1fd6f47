/// The address of a proxy: `http://`, `https://` or `socks5://`, with a user name and a password if need be.
public struct ProxyAddress: Sendable, Hashable, CustomStringConvertible {
    /// As libcurl takes it; may hold a password.
    let url: Secret
    /// `scheme://host:port`, without the user.
    public let description: String

    /// - Parameter text: without a scheme it is an http proxy, as Go's clients read it. nil for anything else, a path
    ///   other than "/" included.
    public init?(_ text: String) {
        var scheme = "http"
        var rest = text[...]
        if let end = text.firstRange(of: "://") {
            scheme = text[..<end.lowerBound].lowercased()
            rest = text[end.upperBound...]
        }
        guard let port = ProxyAddress.ports[scheme] else { return nil }
        if rest.hasSuffix("/") { rest.removeLast() }
        var user: Substring?
        if let at = rest.lastIndex(of: "@") {
            user = rest[..<at]
            rest = rest[rest.index(after: at)...]
        }
        guard let base = HTTPURL("http://\(rest)"), base.path == "/", base.query.isEmpty,
            user.map({ $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") } }) ?? true
        else { return nil }
        let host = Loopback.host(of: base.authority)
        let suffix = base.authority.dropFirst(host.count)
        guard !host.isEmpty, suffix.isEmpty || suffix.first == ":" && UInt16(suffix.dropFirst()) != nil else {
            return nil
        }
        let authority = suffix.isEmpty ? "\(host):\(port)" : base.authority
        description = "\(scheme)://\(authority)"
        // The proxy resolves names, as it does for Go's clients.
        let curlScheme = scheme == "socks5" ? "socks5h" : scheme
        url = Secret("\(curlScheme)://\(user.map { $0 + "@" } ?? "")\(authority)")
    }

    /// The schemes and their usual ports.
    private static let ports = ["http": 80, "https": 443, "socks5": 1080, "socks5h": 1080]
}

/// Which requests go through a proxy by the environment: HTTPS_PROXY and NO_PROXY, read as Go's clients read them.
///
/// Addresses of this machine never do. Plain http does not either: it is spoken to this machine and to the metadata
/// server only.
struct ProxyRules: Sendable, Hashable {
    private struct Exception: Hashable {
        /// Lower-case; begins with "." when only names below it count.
        var host: String
        var network: Network?
        var port: String?
    }

    private let proxy: ProxyAddress?
    private let isOff: Bool
    private let exceptions: [Exception]

    /// - Parameter variable: the value of an environment variable.
    /// - Throws: `.invalid` when HTTPS_PROXY is no address of a proxy.
    init(_ variable: (String) -> String?) throws(APIError) {
        func value(_ name: String) -> String? {
            let text = variable(name) ?? variable(name.lowercased())
            return text.flatMap { $0.isEmpty ? nil : $0 }
        }
        proxy = try value("HTTPS_PROXY").map { text throws(APIError) in
            guard let address = ProxyAddress(text) else {
                throw APIError(
                    .invalid, operation: "starting the HTTP client",
                    message:
                        "HTTPS_PROXY is not the address of a proxy: expected http://, https:// or socks5://HOST:PORT"
                )
            }
            return address
        }
        let entries = (value("NO_PROXY") ?? "").split(separator: ",").map {
            $0.trimming { $0 == " " || $0 == "\t" }.lowercased()
        }
        isOff = entries.contains("*")
        exceptions = entries.filter { !$0.isEmpty }.map(ProxyRules.exception)
    }

    /// The proxy for an https request to `host[:port]`; nil: straight.
    func proxy(forAuthority authority: String) -> ProxyAddress? {
        guard let proxy, !isOff, !Loopback.contains(authority: authority) else { return nil }
        let bracketed = Loopback.host(of: authority).lowercased()
        let suffix = authority.dropFirst(bracketed.count)
        let port = suffix.isEmpty ? "443" : String(suffix.dropFirst())
        let host = bracketed.hasPrefix("[") ? String(bracketed.dropFirst().dropLast()) : bracketed
        let isExcepted = exceptions.contains { exception in
            if let wanted = exception.port, wanted != port { return false }
            if let network = exception.network { return network.contains(host) }
            if exception.host.hasPrefix(".") { return host.hasSuffix(exception.host) }
            return host == exception.host || host.hasSuffix("." + exception.host)
        }
        return isExcepted ? nil : proxy
    }

    private static func exception(_ entry: String) -> Exception {
        if let network = Network(entry) { return Exception(host: entry, network: network, port: nil) }
        var host = entry
        var port: String?
        if let colon = entry.lastIndex(of: ":"), UInt16(entry[entry.index(after: colon)...]) != nil {
            host = String(entry[..<colon])
            port = String(entry[entry.index(after: colon)...])
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        if host.hasPrefix("*.") { host.removeFirst() }
        return Exception(host: host, network: Network(host), port: port)
    }
}

extension Substring {
    fileprivate func trimming(_ isRemoved: (Character) -> Bool) -> Substring {
        var text = drop(while: isRemoved)
        while let last = text.last, isRemoved(last) { text.removeLast() }
        return text
    }
}
