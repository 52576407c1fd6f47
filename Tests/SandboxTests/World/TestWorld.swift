import CloudChecks
import Encoding
import HTTP
import Sandbox
import Testing

/// A whole world on a virtual clock.
struct TestWorld {
    static let image = "trainer:test"
    private static let token = "admin"

    let clock = VirtualClock()
    let world: SandboxWorld
    private let temporary: TemporaryDirectory

    var directory: String { temporary.path }

    init(
        crds: [JSONValue] = [], stockouts: Set<String> = [],
        program: PodProgram = .scripted { _ in PodResult() }
    ) throws {
        temporary = try TemporaryDirectory()
        var configuration = WorldConfiguration(
            crds: crds, adminToken: TestWorld.token, clock: clock, images: [TestWorld.image: program],
            stateDirectory: temporary.path, seed: 7)
        configuration.cloud.script.stockouts = stockouts
        configuration.cloud.inspection = .ofTests
        world = try SandboxWorld(configuration)
    }

    // MARK: Requests

    @discardableResult
    func call(
        _ method: HTTPMethod, _ path: String, _ body: JSONValue = .null, query: [HTTPURL.QueryItem] = []
    ) async -> (status: Int, body: JSONValue) {
        let isGoogle = path.hasPrefix("/v1/") || path.hasPrefix("/storage/")
        let service = path.hasPrefix("/v1/") ? "container" : "storage"
        let url = HTTPURL(
            origin: isGoogle ? "https://\(service).googleapis.com" : "http://127.0.0.1", path: path, query: query)
        let headers: HTTPHeaders = [
            "Authorization": "Bearer \(TestWorld.token)", "Accept": "application/json",
            "Content-Type": method == .patch && !isGoogle ? "application/merge-patch+json" : "application/json",
        ]
        let request = HTTPRequest(method, url, headers: headers, body: body.isNull ? [] : body.serialized())
        guard let response = try? await HandlerTransport(world).send(request) else { return (0, .null) }
        let value = try? JSONValue(parsing: response.body)
        return (response.status, value ?? .string(String(decoding: response.body, as: UTF8.self)))
    }

    func get(_ path: String) async -> JSONValue { await call(.get, path).body }

    func list(_ path: String) async -> [JSONValue] { await get(path)["items"]?.arrayValue ?? [] }

    func create(_ path: String, _ object: JSONValue) async throws {
        let reply = await call(.post, path, object)
        try #require((200..<300).contains(reply.status), "\(reply.body.serializedText())")
    }

    /// Moves time forward in steps of one second, with a tick after each.
    func advance(seconds: Int) async {
        for _ in 0..<seconds {
            clock.advance(by: .seconds(1))
            await world.tick()
        }
    }

    // MARK: Objects

    static let pools = "/v1/projects/sandbox-project/locations/us-central1/clusters/sandbox/nodePools"
    static let pods = "/api/v1/namespaces/default/pods"
    static let jobs = "/apis/batch/v1/namespaces/default/jobs"

    /// Creates a pool of machines with one L4 each and waits until they are nodes.
    func makePool(_ name: String = "pool-1", nodes: Int = 1, spot: Bool = true) async throws {
        try await requestPool(name, nodes: nodes, spot: spot)
        try #require(await list("/api/v1/nodes").count >= nodes)
    }

    /// As `makePool`, without a look at what came of it.
    func requestPool(_ name: String = "pool-1", nodes: Int = 1, spot: Bool = true) async throws {
        let pool: JSONValue = [
            "nodePool": [
                "name": .string(name), "initialNodeCount": 0, "locations": ["us-central1-b"],
                "config": [
                    "machineType": "g2-standard-4", "spot": .bool(spot),
                    "accelerators": [["acceleratorType": "nvidia-l4", "acceleratorCount": "1"]],
                    "labels": ["team": "ml"],
                ],
            ]
        ]
        try await create(TestWorld.pools, pool)
        await advance(seconds: 4)
        try await create("\(TestWorld.pools)/\(name):setSize", ["nodeCount": .integer(Int64(nodes))])
        await advance(seconds: 4)
    }

    func deletePool(_ name: String = "pool-1") async {
        await call(.delete, "\(TestWorld.pools)/\(name)")
        await advance(seconds: 4)
    }

    /// A pod's spec with one container that needs a GPU.
    static func podSpec(_ container: JSONValue = [:], image: String = TestWorld.image) -> JSONValue {
        var full: JSONValue = [
            "name": "trainer", "image": .string(image), "resources": ["limits": ["nvidia.com/gpu": "1"]],
        ]
        for (key, value) in container.objectValue ?? [:] { full[key] = value }
        return ["restartPolicy": "Never", "containers": [full], "terminationGracePeriodSeconds": 5]
    }

    func createJob(_ name: String = "train", spec: JSONValue = [:], pod: JSONValue = podSpec()) async throws {
        var full = spec
        full["template"] = ["spec": pod]
        try await create(
            TestWorld.jobs,
            [
                "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": .string(name), "namespace": "default"],
                "spec": full,
            ])
        await world.tick()
    }

    func createPod(_ name: String, _ spec: JSONValue, labels: JSONValue = [:]) async throws {
        let metadata: JSONValue = ["name": .string(name), "namespace": "default", "labels": labels]
        try await create(
            TestWorld.pods, ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec])
        await world.tick()
    }

    func job(_ name: String = "train") async -> JSONValue { await get("\(TestWorld.jobs)/\(name)") }

    /// The reasons of all events about an object, in order of their first time and name.
    func eventReasons(kind: String) async -> [String] {
        await list("/api/v1/namespaces/default/events").filter { $0["involvedObject"]?["kind"]?.stringValue == kind }
            .sorted {
                ($0.value(at: ["metadata", "name"])?.stringValue ?? "")
                    < ($1.value(at: ["metadata", "name"])?.stringValue ?? "")
            }
            .compactMap { $0["reason"]?.stringValue }
    }
}

extension JSONValue {
    /// The condition of a type in `status.conditions`.
    func condition(_ type: String) -> JSONValue? {
        value(at: ["status", "conditions"])?.arrayValue?.first { $0["type"]?.stringValue == type }
    }

    /// The state of the first container.
    var containerState: JSONValue? { self["status"]?["containerStatuses"]?[0]?["state"] }

    var phase: String? { value(at: ["status", "phase"])?.stringValue }
}
