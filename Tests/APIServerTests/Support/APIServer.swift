import Encoding
import HTTP
import Sandbox
import Telemetry

/// A server of the Kubernetes API that the scenarios run on.
struct APIServer: Sendable {
    /// `gitVersion`, e.g. v1.20.2.
    var version: String
    /// The minor version: 20 of v1.20.2.
    var minor: Int
    /// That of what serves the built-in kinds: less than `minor` where a newer server has the custom resources alone.
    var coreMinor: Int
    var isReal: Bool
    var transport: any HTTPTransport
    var origin: String
    /// Lets the time of a simulated server pass; a real one has its own.
    var advance: @Sendable (Duration) async -> Void
    /// Forgets the history of changes, as etcd's compaction does every few minutes.
    var compact: @Sendable () async throws -> Void

    static let adminToken = "admin-token"
    /// A user who may only read widgets and their status, and do everything with the one config map "mine".
    static let limitedToken = "limited-token"

    static let limitedRules: [JSONValue] = [
        [
            "apiGroups": ["example.dev"], "resources": ["widgets", "widgets/status"],
            "verbs": ["get", "list", "watch"],
        ],
        ["apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["*"]],
        ["nonResourceURLs": ["/metrics"], "verbs": ["get"]],
    ]

    /// The simulated cluster in process, with nothing that works beside the API: as a kube-apiserver alone.
    static func simulated() throws -> APIServer {
        // Real time, so that masks know what is recent; moved by hand.
        let clock = VirtualClock(start: SystemClock().now)
        var configuration = ClusterConfiguration(
            crds: [WidgetDefinition.json, GaugeDefinition.json],
            users: [
                adminToken: SimulatedUser(name: "admin", groups: ["system:masters", "system:authenticated"]),
                limitedToken: SimulatedUser(name: "limited", groups: ["system:authenticated"], rules: limitedRules),
            ], clock: clock)
        configuration.snapshot = ["revision": 7_000_000, "objects": []]
        let cluster = try SimulatedCluster(configuration)
        let numbers = configuration.version.drop { !$0.isNumber }.split(separator: ".")
        let minor = Int(numbers[1]) ?? 0
        return APIServer(
            version: configuration.version, minor: minor, coreMinor: minor, isReal: false,
            transport: HandlerTransport(cluster), origin: "https://127.0.0.1:6443",
            advance: { duration in
                clock.advance(by: duration)
                await cluster.tick()
            }, compact: { cluster.compact() })
    }

    /// The minor version of what answers a path.
    func minor(of path: String) -> Int {
        let own = [
            "/apis/example.dev", "/apis/rules.example.dev", "/apis/apiextensions.k8s.io", "/openapi", "/version",
        ]
        return own.contains(where: path.hasPrefix) || path == "/apis" ? minor : coreMinor
    }

    static func kubeconfig(_ origin: String, authority: String) -> String {
        """
        apiVersion: v1
        kind: Config
        clusters:
        - name: real
          cluster: {server: "\(origin)", certificate-authority: "\(authority)"}
        users:
        - name: admin
          user: {token: "\(adminToken)"}
        contexts:
        - name: real
          context: {cluster: real, user: admin}
        current-context: real

        """
    }

    func request(
        _ method: HTTPMethod, _ target: String, body: [UInt8] = [], headers: HTTPHeaders = HTTPHeaders(),
        token: String = APIServer.adminToken
    ) -> HTTPRequest {
        let parsed = HTTPURL.parseTarget(target) ?? (path: target, query: [])
        var request = HTTPRequest(
            method, HTTPURL(origin: origin, path: parsed.path, query: parsed.query), headers: headers, body: body)
        if !token.isEmpty { request.headers["Authorization"] = "Bearer \(token)" }
        if request.headers["User-Agent"] == nil { request.headers["User-Agent"] = "suite/1.0 (linux)" }
        return request
    }

    /// Sends JSON to what must succeed: arrangements outside the scenarios.
    @discardableResult
    func arrange(
        _ method: HTTPMethod, _ target: String, _ body: JSONValue? = nil, type: String = "application/json"
    ) async throws -> JSONValue {
        let headers: HTTPHeaders = ["Accept": "application/json", "Content-Type": type]
        let response = try await transport.send(
            request(method, target, body: body?.serialized() ?? [], headers: headers))
        guard response.isSuccess else {
            throw ArrangementFailure(
                "\(method.rawValue) \(target): \(response.status) \(String(decoding: response.body, as: UTF8.self))")
        }
        return try JSONValue(parsing: response.body)
    }
}

/// What could not be arranged for a test.
struct ArrangementFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
