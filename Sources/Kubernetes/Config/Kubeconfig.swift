import Encoding
import HTTP
public import Telemetry
import YAML

/// Kubeconfig files: which cluster, and as whom. Read as client-go reads them.
public struct Kubeconfig: Sendable {
    /// In the order of their precedence.
    private let files: [KubeconfigField]
    /// For errors about all of them.
    private let source: String

    /// Reads a file.
    ///
    /// - Throws: `.unreadable`, `.invalid` with line and column.
    public init(contentsOf path: String) throws(ConfigurationError) {
        files = try Kubeconfig.file(path).map { [$0] } ?? []
        source = path
    }

    /// Reads several files as one, as `$KUBECONFIG` names them: the first that has a context, cluster or user of a name
    /// wins, and the first that has a current context. Files that are not there are left out.
    ///
    /// - Throws: `.unreadable` when none is there, `.invalid` with line and column.
    public init(merging paths: [String]) throws(ConfigurationError) {
        var files: [KubeconfigField] = []
        var isAnyThere = false
        for path in paths where !ConfigurationFile.isAbsent(path) {
            isAnyThere = true
            if let file = try Kubeconfig.file(path) { files.append(file) }
        }
        guard isAnyThere else {
            throw ConfigurationError(
                .unreadable,
                paths.count == 1
                    ? "\(paths[0]), which KUBECONFIG names, is not there"
                    : "none of the files that KUBECONFIG names is there: \(paths.joined(separator: ", "))")
        }
        self.files = files
        self.source = paths.joined(separator: ":")
    }

    /// Reads a text.
    ///
    /// - Parameters:
    ///   - directory: where relative file names begin.
    ///   - source: names the text in errors.
    public init(
        text: String, directory: String = ".", source: String = "kubeconfig"
    ) throws(ConfigurationError) {
        let place = KubeconfigField.Source(name: source, directory: directory)
        files = try KubeconfigField.file(text, source: place).map { [$0] } ?? []
        self.source = source
    }

    private static func file(_ path: String) throws(ConfigurationError) -> KubeconfigField? {
        let text = try ConfigurationFile.text(path)
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        return try KubeconfigField.file(text, source: .init(name: path, directory: directory))
    }

    /// The connection of a context; nil means the current one.
    ///
    /// - Parameters:
    ///   - environment: what a credential plugin gets, and where it is looked up.
    ///   - log: told when a credential plugin fails while its last credentials still hold.
    ///   - clock: for the expiry of credentials.
    /// - Throws: `.invalid` when something named is not there or is not what it should be, `.unsupported` for
    ///   credentials of another kind.
    public func connection(
        context name: String? = nil, environment: [String: String] = [:], log: Log = .silent,
        clock: any WallClock = SystemClock()
    ) throws(ConfigurationError) -> ClusterConnection {
        let context = try entry("contexts", try contextName(name), "context")
        guard let clusterName = try context.text("cluster") else { throw context.error("it names no cluster") }
        let cluster = try entry("clusters", clusterName, "cluster")
        let user = try context.text("user").map { name throws(ConfigurationError) in
            try entry("users", name, "user")
        }
        let reader = KubeconfigUser(
            cluster: KubeconfigCluster(cluster), environment: environment, log: log, clock: clock)
        var tls = try reader.cluster.tls()
        tls.identity = try user.map { user throws(ConfigurationError) in try reader.identity(user) } ?? nil
        return ClusterConnection(
            server: try reader.cluster.server(), tls: tls, proxy: try reader.cluster.proxy(),
            credentials: try user.map { user throws(ConfigurationError) in try reader.credentials(user) }
                ?? FixedCredentials(origin: "a request without credentials: the context has no user"),
            impersonation: try user.map { user throws(ConfigurationError) in try reader.impersonation(user) } ?? nil,
            namespace: try context.text("namespace"))
    }

    private func contextName(_ name: String?) throws(ConfigurationError) -> String {
        if let name { return name }
        for file in files {
            if let current = try file.text("current-context") { return current }
        }
        let known = try names("contexts")
        throw ConfigurationError(
            .invalid,
            "\(source) has no current-context"
                + (known.isEmpty ? "" : ": choose one with --context; there are \(known.joined(separator: ", "))"))
    }

    /// The member `kind` of the first entry with that name.
    private func entry(
        _ list: String, _ name: String, _ kind: String
    ) throws(ConfigurationError) -> KubeconfigField {
        for file in files {
            let found = try file.elements(list).filter { $0.node["name"]?.json.stringValue == name }
            guard let first = found.first else { continue }
            if found.count > 1 { throw found[1].error("a second entry of this name") }
            guard let member = first.member(kind) else { throw first.error("it has no \(kind)") }
            try member.checkMapping()
            return member
        }
        let known = try names(list)
        throw ConfigurationError(
            .invalid,
            "\(source) has no \(kind) named \"\(name)\""
                + (known.isEmpty ? "" : "; there are \(known.joined(separator: ", "))"))
    }

    /// The first names of a list, for a sentence.
    private func names(_ list: String) throws(ConfigurationError) -> [String] {
        var names: [String] = []
        for file in files { names += try file.elements(list).compactMap { $0.node["name"]?.json.stringValue } }
        return names.count <= 10 ? names : names.prefix(10) + ["…"]
    }
}
