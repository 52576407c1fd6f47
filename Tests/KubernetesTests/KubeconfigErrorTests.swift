import Encoding
import Kubernetes
import Testing

private typealias Text = KubeconfigText

/// Every way in which a kubeconfig can be wrong, and the sentence for it.
@Suite struct KubeconfigErrorTests {
    struct Wrong: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        let code: ConfigurationError.Code
        let message: String

        init(_ name: String, _ text: String, _ message: String, code: ConfigurationError.Code = .invalid) {
            (testDescription, self.text, self.code, self.message) = (name, text, code, message)
        }

        init(user: String, _ message: String, code: ConfigurationError.Code = .invalid) {
            self.init(
                "user: \(user)", Text.config(user: user), "kubeconfig:15: users[me].user\(message)", code: code)
        }

        init(cluster: String, _ message: String, code: ConfigurationError.Code = .invalid) {
            self.init(
                "cluster: \(cluster)", Text.config(user: "", cluster: ", " + cluster),
                "kubeconfig:12: clusters[one].cluster\(message)", code: code)
        }

        init(exec: String, _ message: String, code: ConfigurationError.Code = .invalid) {
            self.init(user: "exec: {\(exec)}", ".exec\(message)", code: code)
        }
    }

    static let files: [Wrong] = [
        Wrong("a list", "- a", "kubeconfig:1: this is not a kubeconfig"),
        Wrong("another kind", "kind: Pod", "kubeconfig:1: this is a Pod, not a kubeconfig (kind: Config)"),
        Wrong(
            "another version", "apiVersion: v2", "kubeconfig:1: expected apiVersion v1, found v2", code: .unsupported),
        Wrong("two documents", "a: b\n---\nc: d", "kubeconfig:1: expected one YAML document, found 2"),
        Wrong("nothing", "", "kubeconfig has no current-context"),
        Wrong(
            "no current context", Text.config(user: "", current: "''"),
            "kubeconfig has no current-context: choose one with --context; there are dev, anonymous, broken"),
        Wrong(
            "no such context", Text.config(user: "", current: "prod"),
            "kubeconfig has no context named \"prod\"; there are dev, anonymous, broken"),
        Wrong(
            "no such cluster", Text.config(user: "", current: "broken"),
            "kubeconfig has no cluster named \"two\"; there are one"),
        Wrong(
            "a context without a cluster", "current-context: a\ncontexts:\n- {name: a, context: {user: b}}",
            "kubeconfig:3: contexts[a].context: it names no cluster"),
        Wrong(
            "an entry without its part", "current-context: a\ncontexts:\n- {name: a}",
            "kubeconfig:3: contexts[a]: it has no context"),
        Wrong(
            "a name twice", Text.config(user: "") + "\n- {name: me, user: {}}",
            "kubeconfig:16: users[me]: a second entry of this name"),
        Wrong(
            "a context that is text", "current-context: a\ncontexts:\n- {name: a, context: b}",
            "kubeconfig:3: contexts[a].context: expected fields below it"),
        Wrong(
            "contexts that are no list", "current-context: a\ncontexts: {a: b}",
            "kubeconfig:2: contexts: expected a list"),
        Wrong(
            "a number as current-context", "current-context: 7",
            "kubeconfig:1: current-context: expected text (numbers and words such as yes need quotes)"),
    ]

    static let clusters: [Wrong] = [
        Wrong(
            "no server",
            "current-context: a\ncontexts:\n- {name: a, context: {cluster: c}}\nclusters:\n- {name: c, cluster: {}}",
            "kubeconfig:5: clusters[c].cluster: it has no server"),
        Wrong(
            "a server without a scheme",
            Text.config(user: "").replacing("https://10.0.0.1:6443", with: "10.0.0.1"),
            "kubeconfig:12: clusters[one].cluster.server: expected https://HOST:PORT, found 10.0.0.1"),
        Wrong(cluster: "certificate-authority-data: '%%%'", ".certificate-authority-data: not base64"),
        Wrong(
            cluster: "certificate-authority-data: \(Text.base64("no certificate"))",
            ".certificate-authority-data: the decoded text has no -----BEGIN … CERTIFICATE-----"),
        Wrong(
            cluster: "certificate-authority: /none/ca.crt",
            ".certificate-authority: /none/ca.crt: No such file or directory", code: .unreadable),
        Wrong(
            cluster: "insecure-skip-tls-verify: true, certificate-authority-data: \(Text.base64(Text.certificate))",
            ": insecure-skip-tls-verify and certificate-authority contradict each other: remove one"),
        Wrong(cluster: "insecure-skip-tls-verify: 'true'", ".insecure-skip-tls-verify: expected true or false"),
        Wrong(
            cluster: "proxy-url: 'ftp://me:s3cret@p'", ".proxy-url: expected http://, https:// or socks5://HOST:PORT"),
        Wrong(cluster: "proxy-url: 'p:80'", ".proxy-url: expected http://, https:// or socks5://HOST:PORT"),
    ]

    static let users: [Wrong] = [
        Wrong(user: "token: 12345", ".token: expected text (numbers and words such as yes need quotes)"),
        Wrong(
            user: "token: 'two words'", ": the token has a space, a line break or another character that no token has"),
        Wrong(
            user: "client-certificate-data: \(Text.base64(Text.certificate))",
            ": client-certificate and client-key belong together: one is missing"),
        Wrong(
            user: "client-key-data: \(Text.base64(Text.certificate))",
            ".client-key-data: the decoded text has no -----BEGIN … PRIVATE KEY-----"),
        Wrong(
            user: "username: admin, password: s3cret",
            ".username: API servers take no user name and password since Kubernetes 1.19; use a token, a client "
                + "certificate or exec", code: .unsupported),
        Wrong(
            user: "auth-provider: {name: gcp}",
            ".auth-provider: auth providers were removed in Kubernetes 1.26; for GKE, install gke-gcloud-auth-plugin "
                + "and run gcloud container clusters get-credentials again", code: .unsupported),
        Wrong(user: "as-groups: [a]", ": as-uid, as-groups and as-user-extra need as, the user to act as"),
        Wrong(user: "as: b, as-groups: [1]", ".as-groups[0]: expected text"),
        Wrong(user: "as: b, as-user-extra: [a]", ".as-user-extra: expected fields below it"),
        Wrong(exec: "command: c", ": it has no apiVersion"),
        Wrong(
            exec: "command: c, apiVersion: client.authentication.k8s.io/v1alpha1",
            ".apiVersion: expected client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1, found "
                + "client.authentication.k8s.io/v1alpha1: update the plugin", code: .unsupported),
        Wrong(exec: "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never", ": it has no command"),
        Wrong(
            exec: "apiVersion: client.authentication.k8s.io/v1, command: c",
            ": it has no interactiveMode, which v1 requires: Never, IfAvailable or Always"),
        Wrong(
            exec: "apiVersion: client.authentication.k8s.io/v1, command: c, interactiveMode: Always",
            ": interactiveMode is Always, but nobody sits at this program's terminal: use a plugin that needs none",
            code: .unsupported),
        Wrong(
            exec: "apiVersion: client.authentication.k8s.io/v1beta1, command: c, interactiveMode: Sometimes",
            ": interactiveMode: expected Never, IfAvailable or Always, found Sometimes"),
        Wrong(
            exec: "apiVersion: client.authentication.k8s.io/v1beta1, command: c, env: [{value: a}]",
            ".env[0]: it has no name"),
        Wrong(
            exec: "apiVersion: client.authentication.k8s.io/v1beta1, command: c, args: [1]", ".args[0]: expected text"),
    ]

    @Test(arguments: files + clusters + users)
    func `what is wrong is said with its line and field`(_ wrong: Wrong) {
        #expect(throws: ConfigurationError(wrong.code, wrong.message)) {
            try Kubeconfig(text: wrong.text).connection()
        }
    }

    @Test func `a YAML error has its line and column`() {
        #expect {
            try Kubeconfig(text: "a: 1\nb: [")
        } throws: { error in
            guard let error = error as? ConfigurationError, error.code == .invalid else { return false }
            let parts = error.message.split(separator: ":")
            return parts.first == "kubeconfig" && Int(parts[1]) != nil && Int(parts[2]) != nil
        }
    }

    @Test func `a context that is asked for and not there is said`() {
        #expect(
            throws: ConfigurationError(
                .invalid, "kubeconfig has no context named \"x\"; there are dev, anonymous, broken")
        ) {
            try Kubeconfig(text: Text.config(user: "")).connection(context: "x")
        }
    }
}
