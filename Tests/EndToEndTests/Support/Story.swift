import CloudChecks
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
    /// Its pods only say that they have trained.
    static let scriptedImage = "registry.sandbox/scripted:e2e"
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
    private let processes = Mutex<[String: TestProcess]>([:])
    /// One for each operator that has a name, so that it can be told who sent what.
    private let servers = Mutex<[String: HTTPServer]>([:])

    /// Marks requests with their sender.
    private struct Sender: HTTPHandler {
        let name: String
        let world: SandboxWorld

        func respond(to request: HTTPRequest) async -> HTTPReply {
            var request = request
            request.headers[Traffic.senderHeader] = name
            return await world.respond(to: request)
        }
    }

    /// Runs `body` in a world of its own, whose operator is started unless told otherwise, and ends everything afterwards.
    ///
    /// - Parameter prices: what the operator's price file holds; nil: it has none.
    static func run(
        stockouts: Set<String> = [], hasKinds: Bool = true, startsOperator: Bool = true, prices: String? = nil,
        _ body: (Story) async throws -> Void
    ) async throws {
        let story = try Story(stockouts: stockouts, hasKinds: hasKinds)
        if let prices { try FileText.write(Array(prices.utf8), to: story.priceFile) }
        let ticking = Task { await story.world.run() }
        do {
            await story.world.setStorageEndpoint(story.server.origin)
            if startsOperator { try story.startOperator() }
            try await body(story)
        } catch {
            await story.end(ticking)
            throw error
        }
        await story.end(ticking)
        FileText.removeTree(story.directory)  // A failed story's folder stays, for a look at its logs.
    }

    private func end(_ ticking: Task<Void, Never>) async {
        processes.withLock { processes in
            for process in processes.values { process.kill() }
            processes = [:]
        }
        ticking.cancel()
        await ticking.value
        await world.stop()
        await server.stop(grace: .milliseconds(100))
        for server in servers.withLock({ Array($0.values) }) { await server.stop(grace: .milliseconds(100)) }
    }

    private init(stockouts: Set<String>, hasKinds: Bool) throws {
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
            timings: timings, script: CloudScript(stockouts: stockouts), inspection: .ofTests)
        let crds = hasKinds ? try Story.definitions() : []
        let rules = try BuiltProducts.documents("charts/trainyard/files/clusterrole-rules.yaml").first
        let user = SimulatedUser(
            name: Story.operatorName,
            groups: ["system:serviceaccounts", "system:authenticated"],
            rules: rules?["rules"]?.arrayValue ?? rules?.arrayValue ?? [])
        let trainer = try BuiltProducts.path("trainyard-trainer")
        var configuration = WorldConfiguration(
            crds: crds, adminToken: Story.adminToken, users: [Story.operatorToken: user], clock: clock,
            cloud: cloud,
            images: [
                Story.image: .process(argv: [trainer]), Story.scriptedImage: .scripted(Story.scriptedTraining),
            ], stateDirectory: directory)
        var front = FrontConfiguration(
            images: [Story.image: .process(argv: [trainer])], stateDirectory: directory,
            environment: ["ML_LISTEN_ADDRESS": "127.0.0.1"])
        front.sampling = .seconds(1)
        configuration.front = front
        world = try SandboxWorld(configuration)
        world.setHook(traffic.hook)
        server = try HTTPServer(handler: world)
    }

    /// Rank 0 leaves a model.
    private static let scriptedTraining: @Sendable (PodContext) async -> PodResult = { context in
        guard context.environment["TPU_WORKER_ID"] ?? context.environment["ML_RANK"] ?? "0" == "0" else {
            return PodResult(after: .seconds(1))
        }
        let model = PodResult.Step(after: .milliseconds(500)) {
            do {
                try context.putObject((context.environment["ML_OUTPUT_URI"] ?? "") + "model.safetensors", [1, 2, 3])
            } catch {
                Issue.record("\(error)")
            }
        }
        return PodResult(after: .seconds(1), steps: [model])
    }

    private var priceFile: String { "\(directory)/prices.json" }

    static func definitions() throws -> [JSONValue] {
        try ["trainingjobs", "gcsartifacts", "modelendpoints"].flatMap {
            try BuiltProducts.documents("crds/\($0).yaml")
        }
    }

    private func writeKubeconfig(_ name: String, origin: String) throws {
        let text = """
            apiVersion: v1
            kind: Config
            current-context: e2e
            contexts: [{name: e2e, context: {cluster: e2e, user: operator}}]
            clusters: [{name: e2e, cluster: {server: "\(origin)"}}]
            users: [{name: operator, user: {token: \(Story.operatorToken)}}]
            """
        try FileText.write(Array(text.utf8), to: "\(directory)/kubeconfig-\(name)")
    }

    /// A folder below the story's own.
    func makeFolder(_ name: String) throws -> String {
        let path = "\(directory)/\(name)"
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw MissingPart("cannot make \(path)") }
        return path
    }

    // MARK: The operator

    static let firstOperator = "a"

    func operatorLog(_ name: String = Story.firstOperator) -> String { "\(directory)/operator-\(name).log" }

    /// - Parameter descriptorLimit: as `ulimit -n` sets it.
    func startOperator(_ name: String = Story.firstOperator, descriptorLimit: Int? = nil) throws {
        let origin = try origin(of: name)
        try writeKubeconfig(name, origin: origin)
        let arguments =
            [
                "--kubeconfig", "\(directory)/kubeconfig-\(name)", "--google-endpoint", origin,
                "--cluster", Story.cluster, "--trainer-image", Story.image, "--health-address", "127.0.0.1:0",
                "--lease-duration", "8", "--renew-deadline", "6", "--retry-period", "0.5",
                "--progress-interval-seconds", "1",
            ] + (access(priceFile, R_OK) == 0 ? ["--price-file", priceFile] : [])
        let process =
            if let descriptorLimit {
                try TestProcess(
                    "/bin/sh",
                    ["-c", "ulimit -n \(descriptorLimit) && exec \"$0\" \"$@\"", operatorPath] + arguments,
                    log: operatorLog(name))
            } else {
                try TestProcess(operatorPath, arguments, log: operatorLog(name))
            }
        processes.withLock { $0[name] = process }
    }

    /// The server that an operator of this name talks to; the same over its restarts.
    private func origin(of name: String) throws -> String {
        try servers.withLock { servers in
            if let server = servers[name] { return server.origin }
            let server = try HTTPServer(handler: Sender(name: name, world: world))
            servers[name] = server
            return server.origin
        }
    }

    /// `kill -9`; returns when it is gone.
    func killOperator(_ name: String = Story.firstOperator) {
        let process = processes.withLock { $0.removeValue(forKey: name) }
        process?.kill()
    }

    /// Sends a signal; SIGCONT lets one that was stopped go on.
    func signalOperator(_ signal: Int32, _ name: String = Story.firstOperator) {
        processes.withLock { $0[name] }?.send(signal)
    }

    /// Waits until an operator has ended by itself; it is not started again.
    func waitForExit(_ name: String = Story.firstOperator, atMost limit: Duration) async throws -> Int32 {
        guard let process = processes.withLock({ $0.removeValue(forKey: name) }) else {
            throw MissingPart("operator \(name) does not run")
        }
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let status = process.exitStatus() {
                process.kill()
                return status
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        process.kill()
        throw MissingPart("operator \(name) does not end: \(FileText.tail(operatorLog(name), lines: 30))")
    }

    /// What readiness says now; nil while nobody answers.
    func readiness(_ name: String = Story.firstOperator) async -> (isReady: Bool, text: String)? {
        let lines = (FileText.read(operatorLog(name)) ?? "").split(separator: "\n")
        guard let line = lines.last(where: { $0.contains("serving health") }),
            let match = line.firstMatch(of: /http:\/\/127\.0\.0\.1:[0-9]+/),
            let transport = try? CurlTransport()
        else { return nil }
        let request = HTTPRequest(.get, HTTPURL(origin: String(match.output), path: "/readyz"))
        guard let response = try? await transport.send(request) else { return nil }
        return (response.isSuccess, String(decoding: response.body, as: UTF8.self))
    }

    /// Waits for what readiness should say.
    func waitForReadiness(
        _ what: String, atMost limit: Duration = .seconds(60), until isReached: (Bool, String) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        var last: (isReady: Bool, text: String)?
        while ContinuousClock.now < deadline {
            last = await readiness()
            if let last, isReached(last.isReady, last.text) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw MissingPart(
            "readiness: \(what) does not come: \(last?.text ?? "no answer") \(FileText.tail(operatorLog(), lines: 20))")
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

    func job(_ name: String = "train") async throws -> JSONValue {
        try await call(.get, Story.collection("TrainingJob") + "/" + name).body
    }

    /// Waits until the TrainingJob is as wanted; a failure shows its status and the end of the operator's log.
    @discardableResult
    func waitForJob(
        _ what: String, named name: String = "train", atMost limit: Duration = .seconds(60),
        until isReached: (JSONValue) async throws -> Bool
    ) async throws -> JSONValue {
        let deadline = ContinuousClock.now + limit
        while true {
            let job = try await job(name)
            if try await isReached(job) { return job }
            let exit = processes.withLock { $0.values.lazy.compactMap { $0.exitStatus() }.first }
            if ContinuousClock.now >= deadline || exit != nil {
                let why = exit.map { "the operator ended with \($0)" } ?? "it took more than \(limit)"
                throw MissingPart(
                    """
                    waiting for \(what): \(why)
                    status: \((job["status"] ?? .null).prettyPrinted())
                    node pools: \(world.cloud.nodePools())
                    folder: \(directory)
                    operator: \(FileText.tail(operatorLog(), lines: 30))
                    """)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Waits until something has happened, whatever became of the operator.
    func waitForEvent(atMost limit: Duration = .seconds(60), until isReached: () -> Bool) async throws {
        let deadline = ContinuousClock.now + limit
        while !isReached() {
            if ContinuousClock.now >= deadline { throw MissingPart("it does not happen within \(limit)") }
            try await Task.sleep(for: .milliseconds(20))
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
