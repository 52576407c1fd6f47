import Encoding
import HTTP
import Telemetry
import YAML

/// Reads users of a kubeconfig.
struct KubeconfigUser {
    let cluster: KubeconfigCluster
    let environment: [String: String]
    let log: Log
    let clock: any WallClock

    /// The client certificate and its key.
    func identity(_ user: KubeconfigField) throws(ConfigurationError) -> TLSIdentity? {
        let certificate = try user.pem("client-certificate", holds: "CERTIFICATE")
        let key = try user.pem("client-key", holds: "PRIVATE KEY")
        if certificate == nil, key == nil { return nil }
        guard let certificate, let key else {
            throw user.error("client-certificate and client-key belong together: one is missing")
        }
        return TLSIdentity(certificate: certificate, key: key)
    }

    /// A token, a token file or a plugin; a token comes before a plugin, as in client-go.
    func credentials(_ user: KubeconfigField) throws(ConfigurationError) -> any CredentialSource {
        try refuseOldKinds(user)
        let token = try user.text("token")
        if let token { try checkToken(token, user) }
        if let file = try user.path("tokenFile") {
            return TokenFile(file, fallback: token.map { Credential(token: $0) }, clock: clock)
        }
        if let token { return FixedCredentials(Credential(token: token), origin: "the token of \(user.origin)") }
        if let exec = user.member("exec") { return try plugin(exec) }
        let hasCertificate = try identity(user) != nil
        return FixedCredentials(
            origin: hasCertificate
                ? "the client certificate of \(user.origin)" : "a request without credentials: \(user.origin) has none")
    }

    func impersonation(_ user: KubeconfigField) throws(ConfigurationError) -> Impersonation? {
        let name = try user.text("as")
        let uid = try user.text("as-uid")
        let groups = try user.texts("as-groups")
        var extra: [String: [String]] = [:]
        if let member = user.member("as-user-extra") {
            guard case .mapping(let entries) = member.node.content else {
                throw member.error("expected fields below it")
            }
            for entry in entries { extra[entry.name.lowercased()] = try member.texts(entry.name) }
        }
        guard let name else {
            if uid == nil, groups.isEmpty, extra.isEmpty { return nil }
            throw user.error("as-uid, as-groups and as-user-extra need as, the user to act as")
        }
        return Impersonation(user: name, uid: uid, groups: groups, extra: extra)
    }

    private func refuseOldKinds(_ user: KubeconfigField) throws(ConfigurationError) {
        if let provider = user.member("auth-provider") {
            throw provider.error(
                "auth providers were removed in Kubernetes 1.26; for GKE, install gke-gcloud-auth-plugin and run "
                    + "gcloud container clusters get-credentials again", .unsupported)
        }
        if let name = user.member("username") ?? user.member("password") {
            throw name.error(
                "API servers take no user name and password since Kubernetes 1.19; use a token, a client certificate "
                    + "or exec", .unsupported)
        }
    }

    private func checkToken(_ token: String, _ user: KubeconfigField) throws(ConfigurationError) {
        guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw user.error("the token has a space, a line break or another character that no token has")
        }
    }

    private func plugin(_ exec: KubeconfigField) throws(ConfigurationError) -> any CredentialSource {
        try exec.checkMapping()
        guard let version = try exec.text("apiVersion") else { throw exec.error("it has no apiVersion") }
        guard ExecPlugin.versions.contains(version) else {
            throw exec.member("apiVersion")?.error(
                "expected \(ExecPlugin.versions.joined(separator: " or ")), found \(version): update the plugin",
                .unsupported) ?? exec.error("no apiVersion")
        }
        guard let command = try exec.text("command") else { throw exec.error("it has no command") }
        try checkInteractiveMode(exec, version: version)
        var variables: [String: String] = [:]
        for entry in try exec.elements("env") {
            guard let name = try entry.text("name") else { throw entry.error("it has no name") }
            variables[name] = try entry.text("value") ?? ""
        }
        // Not `? … : nil`: JSON's null is a nil literal too.
        var info: JSONValue?
        if try exec.flag("provideClusterInfo") { info = try cluster.pluginInfo() }
        let plugin = ExecPlugin(
            apiVersion: version, command: command.contains("/") ? exec.source.absolute(command) : command,
            arguments: try exec.texts("args"), environment: environment.merging(variables) { $1 },
            searchPath: environment["PATH"] ?? "",
            installHint: try exec.text("installHint").map {
                $0.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            },
            cluster: info,
            place: "\(exec.source.name): \(exec.name)")
        return ExecCredentials(plugin, clock: clock, log: log)
    }

    private func checkInteractiveMode(_ exec: KubeconfigField, version: String) throws(ConfigurationError) {
        let mode = try exec.text("interactiveMode")
        switch mode {
        case "Never", "IfAvailable": return
        case nil where version.hasSuffix("/v1beta1"): return
        case nil: throw exec.error("it has no interactiveMode, which v1 requires: Never, IfAvailable or Always")
        case "Always":
            throw exec.error(
                "interactiveMode is Always, but nobody sits at this program's terminal: use a plugin that needs none",
                .unsupported)
        default: throw exec.error("interactiveMode: expected Never, IfAvailable or Always, found \(mode ?? "")")
        }
    }
}

extension KubeconfigField {
    /// For a sentence: the field and its file.
    var origin: String { "\(name.hasSuffix(".user") ? String(name.dropLast(5)) : name) in \(source.name)" }
}
