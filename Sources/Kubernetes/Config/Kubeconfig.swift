import Encoding
import HTTP
import YAML

/// A kubeconfig file: which cluster, and as whom.
public struct Kubeconfig: Sendable {
    private let content: JSONValue
    /// Relative file names begin here.
    private let directory: String
    private let source: String

    /// Reads a file.
    ///
    /// - Throws: `.unreadable`, `.invalid` with line and column.
    public init(contentsOf path: String) throws(ConfigurationError) {
        let text = try SmallFile.text(path)
        let slash = path.lastIndex(of: "/")
        try self.init(text: text, directory: slash.map { String(path[..<$0]) } ?? ".", source: path)
    }

    /// Reads a text.
    ///
    /// - Parameters:
    ///   - directory: where relative file names begin.
    ///   - source: names the text in errors.
    public init(
        text: String, directory: String = ".", source: String = "kubeconfig"
    ) throws(ConfigurationError) {
        let documents: [YAMLNode]
        do throws(YAMLError) {
            documents = try YAML.documents(text)
        } catch {
            throw ConfigurationError(.invalid, "\(source):\(error.line):\(error.column): \(error.message)")
        }
        guard documents.count == 1, let content = documents.first?.json, case .object = content else {
            throw ConfigurationError(.invalid, "\(source) is not a kubeconfig")
        }
        self.content = content
        self.directory = directory
        self.source = source
    }

    /// The connection of a context; nil means the current one.
    ///
    /// - Throws: `.invalid` when something named is not there, `.unsupported` for credentials of another kind.
    public func connection(context name: String? = nil) throws(ConfigurationError) -> ClusterConnection {
        let current = content["current-context"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        guard let contextName = name ?? current else {
            throw ConfigurationError(.invalid, "\(source) has no current-context")
        }
        let context = try entry("contexts", contextName, "context")
        let cluster = try entry("clusters", text(context, "cluster") ?? "", "cluster")
        let user = try text(context, "user").map { name throws(ConfigurationError) in
            try entry("users", name, "user")
        }
        guard let address = text(cluster, "server"), let server = HTTPURL(address), server.query.isEmpty else {
            throw ConfigurationError(.invalid, "\(source): the cluster's server is not an http or https URL")
        }
        for key in ["proxy-url", "tls-server-name"] where cluster[key] != nil {
            throw ConfigurationError(.unsupported, "\(source): \(key) is not supported")
        }
        return ClusterConnection(
            server: server, tls: try tls(cluster: cluster, user: user ?? [:]),
            credentials: try credentials(user ?? [:]),
            namespace: text(context, "namespace"))
    }

    private func tls(cluster: JSONValue, user: JSONValue) throws(ConfigurationError) -> CurlOptions.TLS {
        let certificate = try pem(user, "client-certificate")
        let key = try pem(user, "client-key")
        guard (certificate == nil) == (key == nil) else {
            throw ConfigurationError(.invalid, "\(source): client-certificate and client-key belong together")
        }
        return CurlOptions.TLS(
            authority: try pem(cluster, "certificate-authority"), clientCertificate: certificate, clientKey: key,
            insecureSkipVerify: cluster["insecure-skip-tls-verify"]?.boolValue ?? false)
    }

    private func credentials(_ user: JSONValue) throws(ConfigurationError) -> KubernetesClient.Credentials {
        for key in ["exec", "auth-provider", "username", "as"] where user[key] != nil {
            throw ConfigurationError(
                .unsupported,
                "\(source): users with \(key) are not supported; use a token, a tokenFile or a certificate")
        }
        // As in client-go, the file wins: it is renewed, the text is not.
        if let file = text(user, "tokenFile") { return ClusterConnection.tokenCredentials(file: absolute(file)) }
        let token = text(user, "token")
        return { () throws(APIError) in token }
    }

    /// `<key>-data` (base64) or `<key>` (a file); the data win, as in client-go.
    private func pem(_ entry: JSONValue, _ key: String) throws(ConfigurationError) -> CurlOptions.PEM? {
        if let data = text(entry, key + "-data") {
            guard let bytes = Base64.decode(data.filter { !$0.isWhitespace }) else {
                throw ConfigurationError(.invalid, "\(source): \(key)-data is not base64")
            }
            return .bytes(bytes)
        }
        guard let path = text(entry, key).map(absolute) else { return nil }
        guard SmallFile.exists(path) else {
            throw ConfigurationError(.unreadable, "\(source): \(key): \(path) cannot be read")
        }
        return .file(path)
    }

    /// The member `kind` of the entry with that name in one of the file's lists.
    private func entry(_ list: String, _ name: String, _ kind: String) throws(ConfigurationError) -> JSONValue {
        let entries = content[list]?.arrayValue ?? []
        guard let found = entries.first(where: { $0["name"]?.stringValue == name })?[kind] else {
            throw ConfigurationError(.invalid, "\(source) has no \(kind) named \"\(name)\"")
        }
        return found
    }

    private func text(_ entry: JSONValue, _ key: String) -> String? {
        entry[key]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    }

    private func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : directory + "/" + path }
}
