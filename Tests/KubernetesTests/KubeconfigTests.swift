import Encoding
import Glibc
import HTTP
import Kubernetes
import Testing

/// A folder of its own, removed with the value.
private final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/trainyard-kubeconfig-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit {
        for name in ["config", "token", "ca.crt", "namespace"] { unlink(path + "/" + name) }
        rmdir(path)
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = try #require(fopen(path + "/" + name, "w"))
        defer { fclose(file) }
        #expect(fputs(text, file) >= 0)
        return path + "/" + name
    }
}

private func config(user: String, cluster: String = "", current: String = "dev") -> String {
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
    - name: one
      cluster: {server: "https://10.0.0.1:6443"\(cluster)}
    users:
    - name: me
      user: {\(user)}
    """
}

private func connection(_ text: String, context: String? = nil) throws -> ClusterConnection {
    try Kubeconfig(text: text).connection(context: context)
}

@Suite struct KubeconfigTests {
    @Test func `the current context gives server, token and namespace`() async throws {
        let connection = try connection(config(user: "token: secret"))
        #expect(connection.server.description == "https://10.0.0.1:6443/")
        #expect(connection.namespace == "ml")
        #expect(connection.tls == CurlOptions.TLS())
        #expect(try await connection.credentials() == "secret")
    }

    @Test func `another context may have no user`() async throws {
        let connection = try connection(config(user: "token: secret"), context: "anonymous")
        #expect(try await connection.credentials() == nil)
        #expect(connection.namespace == nil)
    }

    @Test func `certificates come from data or files, and verification is skipped only when asked`() throws {
        let data = Base64.encode(Array("PEM".utf8))
        let text = config(
            user: "client-certificate-data: \(data), client-key-data: \(data)",
            cluster: ", certificate-authority-data: \(data), insecure-skip-tls-verify: true")
        #expect(
            try connection(text).tls
                == CurlOptions.TLS(
                    authority: .bytes(Array("PEM".utf8)), clientCertificate: .bytes(Array("PEM".utf8)),
                    clientKey: .bytes(Array("PEM".utf8)), insecureSkipVerify: true))
    }

    @Test func `relative files lie beside the kubeconfig, and a token file is read again each time`() async throws {
        let folder = try Folder()
        try folder.write("token", "first\n")
        let authority = try folder.write("ca.crt", "PEM")
        let path = try folder.write(
            "config", config(user: "tokenFile: token, token: old", cluster: ", certificate-authority: ca.crt"))
        let connection = try Kubeconfig(contentsOf: path).connection()
        #expect(connection.tls.authority == .file(authority))
        #expect(try await connection.credentials() == "first")
        try folder.write("token", "second\n")
        #expect(try await connection.credentials() == "second")
        unlink(folder.path + "/token")
        await #expect { try await connection.credentials() } throws: { ($0 as? APIError)?.code == .unauthorized }
    }

    static let wrong: [(String, String, ConfigurationError)] = [
        (
            "no such context", config(user: "", current: "prod"),
            ConfigurationError(.invalid, "kubeconfig has no context named \"prod\"")
        ),
        (
            "no current context", config(user: "", current: "''"),
            ConfigurationError(.invalid, "kubeconfig has no current-context")
        ),
        (
            "no such cluster", config(user: "", current: "broken"),
            ConfigurationError(.invalid, "kubeconfig has no cluster named \"two\"")
        ),
        (
            "an exec plugin", config(user: "exec: {command: gke-gcloud-auth-plugin}"),
            ConfigurationError(
                .unsupported,
                "kubeconfig: users with exec are not supported; use a token, a tokenFile or a certificate")
        ),
        (
            "a certificate without its key", config(user: "client-certificate-data: UEVN"),
            ConfigurationError(.invalid, "kubeconfig: client-certificate and client-key belong together")
        ),
        (
            "no base64", config(user: "", cluster: ", certificate-authority-data: '%%%'"),
            ConfigurationError(.invalid, "kubeconfig: certificate-authority-data is not base64")
        ),
        (
            "a file that is not there", config(user: "", cluster: ", certificate-authority: /none/ca.crt"),
            ConfigurationError(.unreadable, "kubeconfig: certificate-authority: /none/ca.crt cannot be read")
        ),
        ("a list", "- a", ConfigurationError(.invalid, "kubeconfig is not a kubeconfig")),
        ("nothing", "", ConfigurationError(.invalid, "kubeconfig is not a kubeconfig")),
    ]

    @Test(arguments: wrong)
    func `what is wrong is said`(name: String, text: String, expected: ConfigurationError) {
        #expect(throws: expected) { try connection(text) }
    }

    @Test func `a YAML error has its place`() {
        #expect { try connection("a: 1\nb: [") } throws: { error in
            (error as? ConfigurationError)?.message.hasPrefix("kubeconfig:") == true
                && (error as? ConfigurationError)?.code == .invalid
        }
    }

    @Test func `a pod's connection comes from its environment and service account`() async throws {
        let folder = try Folder()
        let authority = try folder.write("ca.crt", "PEM")
        try folder.write("token", "pod-token")
        try folder.write("namespace", "trainyard-system")
        let environment = ["KUBERNETES_SERVICE_HOST": "10.1.0.1", "KUBERNETES_SERVICE_PORT": "443"]
        let connection = try ClusterConnection.inCluster(environment: environment, directory: folder.path)
        #expect(connection.server.description == "https://10.1.0.1:443/")
        #expect(connection.tls == CurlOptions.TLS(authority: .file(authority)))
        #expect(connection.namespace == "trainyard-system")
        #expect(try await connection.credentials() == "pod-token")
    }

    @Test func `the named file comes before the environment, the environment before home`() throws {
        let folder = try Folder()
        let path = try folder.write("config", config(user: "token: t"))
        #expect(throws: ConfigurationError(.unreadable, "/none: No such file or directory")) {
            try ClusterConnection.find(kubeconfig: "/none", environment: ["KUBECONFIG": path])
        }
        #expect(try ClusterConnection.find(kubeconfig: nil, environment: ["KUBECONFIG": path]).namespace == "ml")
        #expect { try ClusterConnection.find(kubeconfig: nil, environment: ["HOME": folder.path]) } throws: {
            ($0 as? ConfigurationError)?.code == .missing
        }
    }
}
