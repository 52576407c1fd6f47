/// Decides whether an address stays on this machine.
public enum Loopback {
    /// Whether `host[:port]` is 127.0.0.0/8, ::1 or localhost.
    public static func contains(authority: String) -> Bool {
        let host = host(of: authority)
        if host == "localhost" || host == "[::1]" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil && $0.utf8.count <= 3 }
    }

    /// The host of `host[:port]`; an IPv6 address keeps its brackets.
    static func host(of authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") { return String(authority[...end]) }
        return String(authority.prefix { $0 != ":" })
    }
}

/// Sends the requests for some hosts to a server on this machine instead, over plain http and with their real Host
/// header: how clients reach an emulator.
public struct EndpointOverride: Sendable, Hashable {
    /// Exact host names, or `*.suffix` for any host below it.
    public let hosts: [String]
    /// `127.0.0.1:port` or the like.
    public let address: String

    /// - Throws: `.insecure` unless `endpoint` (`http://127.0.0.1:port` or `127.0.0.1:port`) is on this machine.
    public init(hosts: [String], endpoint: String) throws(APIError) {
        let address = HTTPURL(endpoint)?.authority ?? endpoint
        guard !endpoint.hasPrefix("https://"), Loopback.contains(authority: address) else {
            throw APIError(
                .insecure, operation: "endpoint override",
                message: "an emulator's address must be on this machine, such as http://127.0.0.1:8080")
        }
        self.hosts = hosts
        self.address = address
    }

    /// Whether a request for this `host[:port]` goes to the emulator.
    public func covers(authority: String) -> Bool {
        let host = Loopback.host(of: authority).lowercased()
        return hosts.contains { pattern in
            pattern.hasPrefix("*.") ? host.hasSuffix(pattern.dropFirst()) : host == pattern.lowercased()
        }
    }
}
