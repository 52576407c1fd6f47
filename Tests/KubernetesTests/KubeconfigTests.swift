import Encoding
import Glibc
import HTTP
import Telemetry
import Testing

@testable import Kubernetes

enum KubeconfigText {
    static let certificate = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
    static let key = "-----BEGIN EC PRIVATE KEY-----\nMA==\n-----END EC PRIVATE KEY-----\n"

    static func base64(_ text: String) -> String { Base64.encode(Array(text.utf8)) }

    /// The user and the cluster are on lines 15 and 12.
    static func config(user: String, cluster: String = "", current: String = "dev") -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: \(current)
        contexts:
        - name: dev
          context: {cluster: one, user: me, namespace: ml}
        - name: anonymous
          context: {cluster: one}
        - name: broken
          context: {cluster: two, user: me}
        clusters:
        - {name: one, cluster: {server: "https://10.0.0.1:6443"\(cluster)}}
        users:
        - name: me
          user: {\(user)}
        """
    }
}

private typealias Text = KubeconfigText

private func connection(_ text: String, context: String? = nil) throws -> ClusterConnection {
    try Kubeconfig(text: text).connection(context: context)
}

private func token(_ connection: ClusterConnection) async throws -> String? {
    try await connection.credentials.credential().token?.revealed
}

@Suite struct KubeconfigTests {
    @Test func `the current context gives server, token and namespace`() async throws {
        let connection = try connection(Text.config(user: "token: secret"))
        #expect(connection.server.description == "https://10.0.0.1:6443/")
        #expect(connection.namespace == "ml")
        #expect(connection.tls == CurlOptions.TLS())
        #expect(connection.proxy == .environment)
        #expect(connection.impersonation == nil)
        #expect(try await token(connection) == "secret")
    }

    @Test func `another context may have no user`() async throws {
        let connection = try connection(Text.config(user: "token: secret"), context: "anonymous")
        #expect(try await token(connection) == nil)
        #expect(connection.namespace == nil)
        #expect(connection.credentials.origin == "a request without credentials: the context has no user")
    }

    @Test func `certificates come from data or files, and the data win`() throws {
        let folder = try Folder()
        let authority = try folder.write("ca.crt", Text.certificate)
        let certificate = try folder.write("me.crt", Text.certificate)
        let key = try folder.write("me.key", Text.key)
        let fromFiles = Text.config(
            user: "client-certificate: me.crt, client-key: me.key", cluster: ", certificate-authority: ca.crt")
        let identity = TLSIdentity(certificate: .file(certificate), key: .file(key))
        #expect(
            try Kubeconfig(text: fromFiles, directory: folder.path).connection().tls
                == CurlOptions.TLS(authority: .file(authority), identity: identity))
        let data = Text.base64(Text.certificate)
        let fromData = Text.config(
            user:
                "client-certificate: none, client-certificate-data: \(data), client-key: none, client-key-data: \(Text.base64(Text.key))",
            cluster: ", certificate-authority: none, certificate-authority-data: \(data)")
        let bytes = PEM.bytes(Array(Text.certificate.utf8))
        #expect(
            try connection(fromData).tls
                == CurlOptions.TLS(
                    authority: bytes, identity: TLSIdentity(certificate: bytes, key: .bytes(Array(Text.key.utf8)))))
    }

    @Test func `the server's name for TLS, skipped verification and a proxy come from the cluster`() throws {
        let named = try connection(
            Text.config(user: "", cluster: ", tls-server-name: inner, proxy-url: 'socks5://me:pw@p:1'"))
        #expect(named.tls == CurlOptions.TLS(serverName: "inner"))
        #expect(named.proxy == ProxyAddress("socks5://me:pw@p:1").map { .address($0) })
        let open = try connection(Text.config(user: "", cluster: ", insecure-skip-tls-verify: true"))
        #expect(open.tls == CurlOptions.TLS(insecureSkipVerify: true))
    }

    @Test func `skipped verification is a warning in the log`() throws {
        let book = LogBook()
        let open = try connection(Text.config(user: "", cluster: ", insecure-skip-tls-verify: true"))
        _ = try open.client(userAgent: "test", log: book.log)
        _ = try connection(Text.config(user: "")).client(userAgent: "test", log: book.log)
        #expect(book.lines.map(\.level) == [.warning])
        #expect(book.lines.first?.message.hasPrefix("insecure-skip-tls-verify is set") == true)
    }

    @Test func `acting as somebody else needs a user and takes groups and more`() throws {
        let user = "token: t, as: bob, as-uid: u1, as-groups: [dev, ops], as-user-extra: {Scopes: [a, b]}"
        #expect(
            try connection(Text.config(user: user)).impersonation
                == Impersonation(user: "bob", uid: "u1", groups: ["dev", "ops"], extra: ["scopes": ["a", "b"]]))
    }

    @Test func `a token file comes before a token, which holds until the file is there`() async throws {
        let folder = try Folder()
        let text = Text.config(user: "tokenFile: token, token: fallback")
        let connection = try Kubeconfig(text: text, directory: folder.path).connection()
        #expect(try await token(connection) == "fallback")
        try folder.write("token", " first\n")
        #expect(try await token(connection) == "first")
    }

    // MARK: Several files

    private func file(_ folder: Folder, _ name: String, current: String?, token: String) throws -> String {
        try folder.write(
            name,
            """
            \(current.map { "current-context: \($0)" } ?? "kind: Config")
            contexts:
            - {name: shared, context: {cluster: shared, user: shared}}
            - {name: \(name), context: {cluster: shared, user: \(name)}}
            clusters:
            - {name: shared, cluster: {server: "https://\(name):1"}}
            users:
            - {name: shared, user: {token: \(token)}}
            - {name: \(name), user: {tokenFile: \(token)}}
            """)
    }

    @Test func `several files are one: the first wins by name, and relative files lie beside their own`() async throws {
        let (near, far) = (try Folder(), try Folder())
        let first = try file(near, "first", current: nil, token: "one")
        let second = try file(far, "second", current: "shared", token: "two")
        try far.write("two", "from the second folder")
        let merged = try Kubeconfig(merging: ["\(near.path)/absent", first, second])
        let shared = try merged.connection()
        #expect(shared.server.description == "https://first:1/")
        #expect(try await token(shared) == "one")
        #expect(try await token(try merged.connection(context: "second")) == "from the second folder")
    }

    @Test func `KUBECONFIG may name several files, and an empty file is as good as none`() async throws {
        let folder = try Folder()
        let empty = try folder.write("empty", "# nothing\n")
        let path = try folder.write("config", Text.config(user: "token: t"))
        let environment = ["KUBECONFIG": ":\(empty)::\(path):"]
        #expect(try await token(try ClusterConnection.find(kubeconfig: nil, environment: environment)) == "t")
        let anonymous = try ClusterConnection.find(kubeconfig: nil, context: "anonymous", environment: environment)
        #expect(try await token(anonymous) == nil)
    }

    @Test func `no file of several there is said with their names`() {
        #expect(
            throws: ConfigurationError(
                .unreadable, "none of the files that KUBECONFIG names is there: /none/a, /none/b")
        ) { try Kubeconfig(merging: ["/none/a", "/none/b"]) }
        #expect(throws: ConfigurationError(.unreadable, "/none/a, which KUBECONFIG names, is not there")) {
            try Kubeconfig(merging: ["/none/a"])
        }
    }

    @Test func `a wrong second file is named with its line`() throws {
        let folder = try Folder()
        let good = try folder.write("good", Text.config(user: ""))
        let bad = try folder.write("bad", "kind: Config\ncontexts: 7\n")
        #expect(throws: ConfigurationError(.invalid, "\(bad):2: contexts: expected a list")) {
            try Kubeconfig(merging: [good, bad]).connection(context: "none")
        }
    }

    @Test func `the named file comes before the environment, the environment before the pod, the pod before home`()
        throws
    {
        let folder = try Folder()
        let path = try folder.write("config", Text.config(user: "token: t"))
        #expect(throws: ConfigurationError(.unreadable, "/none: No such file or directory")) {
            try ClusterConnection.find(kubeconfig: "/none", environment: ["KUBECONFIG": path])
        }
        #expect(try ClusterConnection.find(kubeconfig: nil, environment: ["KUBECONFIG": path]).namespace == "ml")
        #expect {
            try ClusterConnection.find(kubeconfig: nil, environment: ["KUBERNETES_SERVICE_HOST": "a", "HOME": "/none"])
        } throws: { ($0 as? ConfigurationError)?.message.contains("KUBERNETES_SERVICE_PORT not set") == true }
        #expect {
            try ClusterConnection.find(kubeconfig: nil, environment: ["HOME": folder.path])
        } throws: { ($0 as? ConfigurationError)?.code == .missing }
    }
}
