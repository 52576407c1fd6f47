import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import Operator

/// Namespaces that have a Google service account of their own, over the simulated cluster and cloud, which check tokens.
@Suite(.timeLimit(.minutes(1))) struct TenantAccountTests {
    private static let tenant = "team-a@sandbox-project.iam.gserviceaccount.com"
    private static let other = "team-b@sandbox-project.iam.gserviceaccount.com"
    private static let namespaces = ResourceType(
        group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false)

    /// The operator's own token, or another one.
    private struct FixedToken: TokenSource {
        let text: String

        func token() async throws(APIError) -> AccessToken? { AccessToken(text, lifetime: .seconds(3600)) }
        func discard(_ token: AccessToken) async {}
    }

    /// Whose token each request to Cloud Storage carried, and how often tokens were asked for.
    private final class Witness: HTTPTransport {
        private let base: any HTTPTransport
        private let state = Mutex<(bearers: Set<String>, tokenCount: Int)>(([], 0))

        init(_ base: any HTTPTransport) { self.base = base }

        var bearers: Set<String> { state.withLock { $0.bearers } }
        var tokenCount: Int { state.withLock { $0.tokenCount } }

        func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
            state.withLock { state in
                if request.url.path.hasSuffix(":generateAccessToken") { state.tokenCount += 1 }
                if request.url.path.hasPrefix("/storage/") {
                    state.bearers.insert(request.headers["Authorization"] ?? "none")
                }
            }
            return try await base.send(request)
        }

        func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream { try await base.open(request) }
    }

    private struct Setting {
        let clock = VirtualClock()
        let cluster: SimulatedCluster
        let cloud: SimulatedCloud
        let admin: KubernetesClient
        let witness: Witness
        let ownBearer: String
        let loop: ControllerLoop<GCSArtifactController>
        let cache = ObjectCache()

        /// - Parameter account: what the namespace `ml` asks for.
        init(account: String?, allowed: [String: Set<String>]) async throws {
            let (crds, _) = try FaultWorld.files.get()
            cluster = try SimulatedCluster(
                ClusterConfiguration(crds: crds, users: ["admin": SimulatedUser(name: "admin")], clock: clock))
            cloud = SimulatedCloud(CloudConfiguration(clock: clock, checksTokens: true))
            cloud.addServiceAccount(TenantAccountTests.tenant)
            let server = HTTPURL(origin: "http://127.0.0.1:1", path: "/")
            admin = KubernetesClient(
                transport: HandlerTransport(cluster), server: server, credentials: { () throws(APIError) in "admin" })
            witness = Witness(HandlerTransport(cloud))
            let own = cloud.issueToken(to: "operator@sandbox-project.iam.gserviceaccount.com")
            ownBearer = "Bearer \(own)"
            let client = GoogleCloudClient(transport: witness, tokens: FixedToken(text: own), clock: clock)
            let tenants = TenantAccounts(allowed: allowed, kubernetes: admin, clock: clock)
            let tokens = TenantTokens(own: client.tokens, accounts: ImpersonatedTokens(client)) {
                namespace async throws(APIError) in try await tenants.account(of: namespace)
            }
            let controller = GCSArtifactController(
                configuration: Artifacts.configuration, kubernetes: admin,
                storage: StorageClient(client.with(tokens: tokens)), cache: cache, clock: clock)
            let environment = RuntimeEnvironment(client: admin, clock: .virtual(clock), random: { 0.5 })
            loop = ControllerLoop(
                controller, cache: cache, environment: environment,
                gate: MutationGate(clock: environment.clock, isOpen: true))
            var metadata: JSONValue = ["name": "ml"]
            if let account { metadata["annotations"] = [TenantAccounts.annotation: .string(account)] }
            try await admin.create(TenantAccountTests.namespaces, ["metadata": metadata])
            try await admin.create(
                GCSArtifact.resourceType,
                [
                    "apiVersion": "trainyard.dev/v1alpha1", "kind": "GCSArtifact",
                    "metadata": ["name": "runs", "namespace": "ml"],
                    "spec": ["bucket": ["name": "runs-bucket", "location": "us-central1"]],
                ])
        }

        /// Lets the operator act as the tenant; a binding needs some seconds.
        func grant() async throws {
            let url = try #require(
                HTTPURL(
                    "https://iam.googleapis.com/v1/projects/sandbox-project/serviceAccounts/"
                        + "\(TenantAccountTests.tenant):setIamPolicy"))
            let body: JSONValue = [
                "policy": [
                    "bindings": [
                        [
                            "role": "roles/iam.serviceAccountTokenCreator",
                            "members": ["serviceAccount:operator@sandbox-project.iam.gserviceaccount.com"],
                        ]
                    ]
                ]
            ]
            let request = HTTPRequest(
                .post, url, headers: ["Authorization": ownBearer], body: body.serialized())
            #expect(try await HandlerTransport(cloud).send(request).isSuccess)
            clock.advance(by: .seconds(10))
        }

        /// Rounds for so long; the conditions then.
        func conditions(after duration: Duration) async throws -> [Condition] {
            let end = clock.now + duration
            while clock.now < end {
                let list = try await admin.list(GCSArtifact.self)
                cache.store(GCSArtifact.self).replace(with: list.items, resourceVersion: list.resourceVersion)
                while await loop.reconcileNext() != nil {}
                clock.advance(by: .seconds(1))
            }
            return try await admin.get(GCSArtifact.self, namespace: "ml", name: "runs").status?.conditions ?? []
        }
    }

    @Test func `a namespace with an account has its bucket made with that account's token, fetched once`()
        async throws
    {
        let setting = try await Setting(account: Self.tenant, allowed: ["ml": [Self.tenant]])
        try await setting.grant()
        #expect(try await setting.conditions(after: .seconds(30)).isTrue("Ready"))
        #expect(!setting.witness.bearers.contains(setting.ownBearer))
        #expect(setting.witness.bearers.count == 1)
        #expect(setting.witness.tokenCount == 1)
    }

    @Test func `a namespace without one is served with the operator's own identity`() async throws {
        let setting = try await Setting(account: nil, allowed: ["other": [Self.tenant]])
        #expect(try await setting.conditions(after: .seconds(30)).isTrue("Ready"))
        #expect(setting.witness.bearers == [setting.ownBearer])
        #expect(setting.witness.tokenCount == 0)
    }

    @Test(
        arguments: [
            (TenantAccountTests.other, ["ml": [TenantAccountTests.tenant]], "add ml=\(TenantAccountTests.other) there"),
            (
                TenantAccountTests.tenant, ["other": [TenantAccountTests.tenant]],
                "add ml=\(TenantAccountTests.tenant) there"
            ),
            (TenantAccountTests.tenant, [:], "add ml=\(TenantAccountTests.tenant) there"),
            ("somebody@example.com", ["ml": [TenantAccountTests.tenant]], "is no service account's address"),
        ] as [(String, [String: Set<String>], String)])
    func `an account that the installation does not allow is refused, and nothing is asked of Google`(
        account: String, allowed: [String: Set<String>], says: String
    ) async throws {
        let setting = try await Setting(account: account, allowed: allowed)
        let stalled = try #require(try await setting.conditions(after: .seconds(30)).first(ofType: "Stalled"))
        #expect(stalled.reason == "PermissionDenied")
        #expect(stalled.message.contains(says), "\(stalled.message)")
        #expect(setting.witness.bearers == [])
        #expect(setting.witness.tokenCount == 0)
    }

    @Test func `a refused impersonation names the role that is missing, and heals when it is granted`() async throws {
        let setting = try await Setting(account: Self.tenant, allowed: ["ml": [Self.tenant]])
        let stalled = try #require(try await setting.conditions(after: .seconds(30)).first(ofType: "Stalled"))
        #expect(stalled.reason == "PermissionDenied")
        #expect(stalled.message.contains("cannot act as \(Self.tenant)"), "\(stalled.message)")
        #expect(stalled.message.contains("roles/iam.serviceAccountTokenCreator"), "\(stalled.message)")
        #expect(!setting.cloud.bucketExists("runs-bucket"))
        try await setting.grant()
        #expect(try await setting.conditions(after: .seconds(1500)).isTrue("Ready"))
        #expect(!setting.witness.bearers.contains(setting.ownBearer))
    }
}
