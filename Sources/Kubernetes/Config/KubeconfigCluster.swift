import Encoding
import HTTP
import YAML

/// A cluster of a kubeconfig.
struct KubeconfigCluster {
    private let field: KubeconfigField

    init(_ field: KubeconfigField) { self.field = field }

    func server() throws(ConfigurationError) -> HTTPURL {
        guard let address = try field.text("server") else { throw field.error("it has no server") }
        guard let server = HTTPURL(address), server.query.isEmpty else {
            throw field.member("server")?.error("expected https://HOST:PORT, found \(address)")
                ?? field.error("no server")
        }
        return server
    }

    func tls() throws(ConfigurationError) -> CurlOptions.TLS {
        let authority = try field.pem("certificate-authority", holds: "CERTIFICATE")
        let isInsecure = try field.flag("insecure-skip-tls-verify")
        if isInsecure, authority != nil {
            throw field.error("insecure-skip-tls-verify and certificate-authority contradict each other: remove one")
        }
        return CurlOptions.TLS(
            authority: authority, serverName: try field.text("tls-server-name"), insecureSkipVerify: isInsecure)
    }

    func proxy() throws(ConfigurationError) -> CurlOptions.Proxy {
        guard let text = try field.text("proxy-url") else { return .environment }
        // The address may hold a password: it is not repeated.
        guard text.contains("://"), let address = ProxyAddress(text) else {
            throw field.member("proxy-url")?.error("expected http://, https:// or socks5://HOST:PORT")
                ?? field.error("no proxy-url")
        }
        return .address(address)
    }

    /// What a credential plugin is told about the cluster.
    func pluginInfo() throws(ConfigurationError) -> JSONValue {
        var info: JSONValue = ["server": .string(try field.text("server") ?? "")]
        for key in ["tls-server-name", "proxy-url"] {
            if let text = try field.text(key) { info[key] = .string(text) }
        }
        if try field.flag("insecure-skip-tls-verify") { info["insecure-skip-tls-verify"] = .bool(true) }
        if try field.flag("disable-compression") { info["disable-compression"] = .bool(true) }
        switch try field.pem("certificate-authority", holds: "CERTIFICATE") {
        case .bytes(let bytes)?: info["certificate-authority-data"] = .string(Base64.encode(bytes))
        case .file(let path)?:
            info["certificate-authority-data"] = .string(Base64.encode(try ConfigurationFile.bytes(path)))
        case nil: break
        }
        let extensions = try field.elements("extensions")
        let own = extensions.first { $0.node["name"]?.json.stringValue == "client.authentication.k8s.io/exec" }
        if let own, let config = own.member("extension") { info["config"] = config.node.json }
        return info
    }
}

extension KubeconfigField {
    /// `<key>-data` (base64) or `<key>` (a file); the data win, as in client-go.
    ///
    /// - Parameter holds: the word after BEGIN that must be in it.
    func pem(_ key: String, holds word: String) throws(ConfigurationError) -> PEM? {
        if let data = try text(key + "-data"), let member = member(key + "-data") {
            guard let bytes = Base64.decode(data.filter { !$0.isWhitespace }) else { throw member.error("not base64") }
            guard KubeconfigField.holds(bytes, word) else {
                throw member.error("the decoded text has no -----BEGIN … \(word)-----")
            }
            return .bytes(bytes)
        }
        guard let path = try path(key), let member = member(key) else { return nil }
        do throws(ConfigurationError) {
            guard KubeconfigField.holds(try ConfigurationFile.bytes(path), word) else {
                throw ConfigurationError(.invalid, "\(path) has no -----BEGIN … \(word)-----")
            }
        } catch {
            throw member.error(error.message, error.code)
        }
        return .file(path)
    }

    private static func holds(_ bytes: [UInt8], _ word: String) -> Bool {
        String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).contains {
            $0.hasPrefix("-----BEGIN ") && $0.contains("\(word)-----")
        }
    }
}
