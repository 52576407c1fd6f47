import Encoding
import Glibc
import HTTP
import Sandbox
import Synchronization
import Telemetry
import Testing

/// One world over loopback with the real operator beside it.
final class Story: Sendable {
    static let image = "registry.sandbox/trainyard-trainer:e2e"
    static let project = "e2e-project"
    static let cluster = "projects/e2e-project/locations/us-central1/clusters/e2e"
    private static let adminToken = "e2e-admin-token"
    private static let operatorToken = "e2e-operator-token"
    static let operatorName = "system:serviceaccount:trainyard-system:trainyard-operator"

    let directory: String
    let world: SandboxWorld
    let traffic = Traffic()
    private let server: HTTPServer
    private let operatorPath: String
    private let operatorProcess = Mutex<TestProcess?>(nil)

    /// Runs `body` in a world of its own, whose operator is started, and ends everything afterwards.
    static func run(
        stockouts: Set<String> = [], _ body: (Story) async throws -> Void
    ) async throws {
        let story = try Story(stockouts: stockouts)
        let ticking = Task { await story.world.run() }
        do {
            await story.world.setStorageEndpoint(story.server.origin)
            try story.startOperator()
            try await body(story)
        } catch {
            await story.end(ticking)
            throw error
        }
        await story.end(ticking)
        FileText.removeTree(story.directory)  // A failed story's folder stays, for a look at its logs.
    }

    private func end(_ ticking: Task<Void, Never>) async {
        killOperator()
        ticking.cancel()
        await ticking.value
        await world.stop()
        await server.stop(grace: .milliseconds(100))
    }

    private init(stockouts: Set<String>) throws {
        var template = Array("/tmp/trainyard-e2e-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw MissingPart("cannot make a temporary folder") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        operatorPath = try BuiltProducts.path("trainyard-operator")
        let clock = SystemClock()
        var timings = CloudTimings()
        timings.pending = .milliseconds(50)
        timings.createNodePool = .milliseconds(300)
        timings.setSize = .milliseconds(300)
        timings.deleteNodePool = .milliseconds(300)
        timings.stockout = .milliseconds(300)
        timings.preemptionNotice = .seconds(3)
        let cloud = CloudConfiguration(
            project: Story.project, clusterName: "e2e", clock: clock, stateDirectory: directory + "/buckets",
            timings: timings, script: CloudScript(stockouts: stockouts))
        let crds = try ["trainingjobs", "gcsartifacts"].flatMap { try BuiltProducts.documents("crds/\($0).yaml") }
        let rules = try BuiltProducts.documents("charts/trainyard/files/clusterrole-rules.yaml").first
        let user = SimulatedUser(
            name: Story.operatorName,
            groups: ["system:serviceaccounts", "system:authenticated"],
            rules: rules?["rules"]?.arrayValue ?? rules?.arrayValue ?? [])
        let trainer = try BuiltProducts.path("trainyard-trainer")
        world = try SandboxWorld(
            WorldConfiguration(
                crds: crds, adminToken: Story.adminToken, users: [Story.operatorToken: user], clock: clock,
                cloud: cloud, images: [Story.image: .process(argv: [trainer])], stateDirectory: directory))
        world.setHook(traffic.hook)
        server = try HTTPServer(handler: world)
        try writeKubeconfig()
    }

    private func writeKubeconfig() throws {
        let text = """
            apiVersion: v1
            kind: Config
            current-context: e2e
            contexts: [{name: e2e, context: {cluster: e2e, user: operator}}]
            clusters: [{name: e2e, cluster: {server: "\(server.origin)"}}]
            users: [{name: operator, user: {token: \(Story.operatorToken)}}]
            """
        try FileText.write(Array(text.utf8), to: directory + "/kubeconfig")
    }

    /// A folder below the story's own.
    func makeFolder(_ name: String) throws -> String {
        let path = "\(directory)/\(name)"
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw MissingPart("cannot make \(path)") }
        return path
    }

    // MARK: The operator

    var operatorLog: String { directory + "/operator.log" }

    func startOperator() throws {
        let process = try TestProcess(
            operatorPath,
            [
                "--kubeconfig", directory + "/kubeconfig", "--google-endpoint", server.origin,
                "--cluster", Story.cluster, "--trainer-image", Story.image, "--health-address", "127.0.0.1:0",
                "--lease-duration", "8", "--renew-deadline", "6", "--retry-period", "0.5",
                "--progress-interval-seconds", "1",
            ], log: operatorLog)
        operatorProcess.withLock { $0 = process }
    }

    /// `kill -9`; returns when it is gone.
    func killOperator() {
        operatorProcess.withLock { process in
            process?.kill()
            process = nil
        }
    }

    // MARK: Objects

    /// Sends a request to the API server as an administrator.
    @discardableResult
    func call(
        _ method: HTTPMethod, _ path: String, _ body: JSONValue = .null
    ) async throws -> (status: Int, body: JSONValue) {
        let url = HTTPURL(origin: server.origin, path: path)
        let headers: HTTPHeaders = [
            "Authorization": "Bearer \(Story.adminToken)", "Accept": "application/json",
            "Content-Type": method == .patch ? "application/merge-patch+json" : "application/json",
        ]
        let request = HTTPRequest(method, url, headers: headers, body: body.isNull ? [] : body.serialized())
        let response = try await HandlerTransport(world).send(request)
        return (response.status, (try? JSONValue(parsing: response.body)) ?? .null)
    }

    func create(_ object: JSONValue) async throws {
        let reply = try await call(.post, Story.collection(object["kind"]?.stringValue ?? ""), object)
        try #require(reply.status == 201, "\(reply.body.serializedText())")
    }

    /// The data, in a folder that the sandbox puts into the bucket, and the place for outputs.
    func createArtifacts() async throws {
        try TinyDataset.write(to: try makeFolder("seed"))
        try await create(Manifests.dataset(folder: directory + "/seed"))
        try await create(Manifests.runs)
    }

    static func collection(_ kind: String) -> String {
        "/apis/trainyard.dev/v1alpha1/namespaces/default/\(kind.lowercased())s"
    }

    /// The latest version that an artifact has.
    func published(in artifact: String) async throws -> JSONValue? {
        try await call(.get, Story.collection("GCSArtifact") + "/" + artifact).body
            .value(at: ["status", "latestVersion"])
    }

    func job() async throws -> JSONValue { try await call(.get, Story.collection("TrainingJob") + "/train").body }

    /// Waits until the TrainingJob is as wanted; a failure shows its status and the end of the operator's log.
    @discardableResult
    func waitForJob(
        _ what: String, atMost limit: Duration = .seconds(60), until isReached: (JSONValue) async throws -> Bool
    ) async throws -> JSONValue {
        let deadline = ContinuousClock.now + limit
        while true {
            let job = try await job()
            if try await isReached(job) { return job }
            let exit = operatorProcess.withLock { $0?.exitStatus() }
            if ContinuousClock.now >= deadline || exit != nil {
                let why = exit.map { "the operator ended with \($0)" } ?? "it took more than \(limit)"
                throw MissingPart(
                    """
                    waiting for \(what): \(why)
                    status: \((job["status"] ?? .null).prettyPrinted())
                    node pools: \(world.cloud.nodePools())
                    folder: \(directory)
                    operator: \(FileText.tail(operatorLog, lines: 30))
                    """)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Waits until nothing of the job is left in the API and in the cloud.
    func waitForDeletion(atMost limit: Duration = .seconds(60)) async throws {
        try await waitForJob("its deletion", atMost: limit) { $0["kind"]?.stringValue == "Status" }
        #expect(world.computeResources() == [])
    }
}

extension JSONValue {
    /// The status of a condition in `status.conditions`.
    func condition(_ type: String) -> JSONValue? {
        value(at: ["status", "conditions"])?.arrayValue?.first { $0["type"]?.stringValue == type }
    }

    func isTrue(_ type: String) -> Bool { condition(type)?["status"]?.stringValue == "True" }

    /// Complete and released: the end of a good run.
    var isDone: Bool { isTrue("Complete") && isTrue("ComputeReleased") }

    /// Failed and released: the end of a bad one.
    var hasFailed: Bool { isTrue("Failed") && isTrue("ComputeReleased") }
}
