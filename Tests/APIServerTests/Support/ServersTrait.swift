import Encoding
import HTTP
import Synchronization
import Testing

/// Starts one real API server for the whole suite and ends it with the suite.
struct RealServerTrait: SuiteTrait, TestScoping {
    /// Whether custom resources are those of a newer Kubernetes.
    var isNewer = false

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let extensions = isNewer ? Assets.extensions : nil
        guard let programs = Assets.folder, !isNewer || extensions != nil else { return try await function() }
        let processes = try await RealAPIServer.start(programs: programs, extensions: extensions)
        do {
            let server = try await APIServer.real(processes)
            try await APIServer.$shared.withValue(server) { try await function() }
        } catch {
            await processes.stop()
            throw error
        }
        if let failure = processes.failure { Issue.record("\(failure)") }
        await processes.stop()
    }
}

extension APIServer {
    /// The real server of this suite.
    @TaskLocal static var shared: APIServer?

    /// A running kube-apiserver with the widgets' definition and the limited user's role.
    static func real(_ processes: RealAPIServer) async throws -> APIServer {
        var server = APIServer(
            version: "", minor: 0, coreMinor: 0, isReal: true, transport: try processes.transport(),
            origin: processes.origin,
            advance: { _ in }, compact: { try await processes.compact() })
        let version = try await server.arrange(.get, "/version")
        server.version = version["gitVersion"]?.stringValue ?? ""
        server.minor = number(version["minor"])
        let core = try await processes.coreVersion()
        server.coreMinor = number(core["minor"])
        let others = core["gitVersion"]?.stringValue ?? ""
        print("real API server: \(server.version)\(others == server.version ? "" : ", built-in kinds of \(others)")")
        let definitions = server.minor < 30 ? [WidgetDefinition.json] : [WidgetDefinition.json, GaugeDefinition.json]
        for definition in definitions { try await server.arrange(.post, Paths.definitions, definition) }
        try await server.arrange(
            .post, "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": ["name": "limited"],
                "rules": .array(limitedRules),
            ])
        try await server.arrange(
            .post, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": ["name": "limited"],
                "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"],
                "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"]],
            ])
        try await server.waitForWidgets()
        return server
    }

    private static func number(_ text: JSONValue?) -> Int {
        Int((text?.stringValue ?? "").prefix(while: \.isNumber)) ?? 0
    }

    /// A definition is served a moment after it is accepted, and the namespace `default` is made after the start.
    private func waitForWidgets() async throws {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(30)
        while clock.now < deadline {
            var paths = ["/apis/example.dev/v1/widgets", "/api/v1/namespaces/default"]
            if minor >= 30 { paths.append("/apis/rules.example.dev/v1/gauges") }
            let replies = try await paths.asyncMap { path in try await transport.send(request(.get, path)).status }
            if replies.allSatisfy({ $0 == 200 }) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ArrangementFailure("widgets were not served within 30 s")
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
