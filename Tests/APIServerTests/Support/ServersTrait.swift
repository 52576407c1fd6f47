import Encoding
import HTTP
import Synchronization
import Testing

/// Starts one real API server for the whole suite and ends it with the suite.
struct RealServerTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        guard let programs = Assets.folder else { return try await function() }
        let processes = try await RealAPIServer.start(programs: programs)
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
            version: "", minor: 0, isReal: true, transport: try processes.transport(), origin: processes.origin,
            advance: { _ in }, compact: { try await processes.compact() })
        let version = try await server.arrange(.get, "/version")
        server.version = version["gitVersion"]?.stringValue ?? ""
        server.minor = Int((version["minor"]?.stringValue ?? "").prefix(while: \.isNumber)) ?? 0
        print("real API server: \(server.version)")
        try await server.arrange(
            .post, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WidgetDefinition.json)
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

    /// A definition is served a moment after it is accepted, and the namespace `default` is made after the start.
    private func waitForWidgets() async throws {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(30)
        while clock.now < deadline {
            let replies = try await [
                "/apis/example.dev/v1/widgets", "/api/v1/namespaces/default",
            ].asyncMap { path in try await transport.send(request(.get, path)).status }
            if replies == [200, 200] { return }
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
