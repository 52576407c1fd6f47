import CloudChecks
import Encoding
import HTTP
import Sandbox
import Testing

/// A simulated cloud on a virtual clock, spoken to in plain requests.
struct CloudFixture {
    let clock = VirtualClock()
    let cloud: SimulatedCloud
    /// Between the requests and the cloud.
    let faults: FaultInjector

    /// - Parameter isWrong: the test sends on purpose what Google's API descriptions do not allow.
    init(
        script: CloudScript = CloudScript(), stateDirectory: String? = nil, maximumStorageBytes: Int64 = 1 << 30,
        isWrong: Bool = false
    ) {
        cloud = SimulatedCloud(
            CloudConfiguration(
                project: "p1", projectNumber: 42, zones: ["us-central1-a", "us-central1-b"], clusterName: "c1",
                clock: clock, stateDirectory: stateDirectory, script: script,
                maximumStorageBytes: maximumStorageBytes, inspection: isWrong ? nil : .ofTests))
        faults = FaultInjector(cloud, script: FaultScript(), clock: clock)
    }

    struct Reply: Equatable {
        var status: Int
        var json: JSONValue
    }

    func send(
        _ method: HTTPMethod, _ url: String, headers: HTTPHeaders = [:], body: [UInt8] = []
    ) async throws -> HTTPResponse {
        let url = try #require(HTTPURL(url))
        return try await HandlerTransport(faults).send(HTTPRequest(method, url, headers: headers, body: body))
    }

    /// A JSON call; a body that is no JSON reads as null.
    func call(_ method: HTTPMethod, _ url: String, _ body: JSONValue? = nil) async throws -> Reply {
        let response = try await send(
            method, url, headers: ["Content-Type": "application/json"], body: body?.serialized() ?? [])
        return Reply(status: response.status, json: (try? JSONValue(parsing: response.body)) ?? .null)
    }

    /// Changes what goes wrong with requests; counts begin again.
    func setFaults(_ change: (inout FaultScript) -> Void) {
        var script = FaultScript()
        change(&script)
        faults.setScript(script)
    }

    // MARK: GKE

    static let cluster = "https://container.googleapis.com/v1/projects/p1/locations/us-central1/clusters/c1"
    static let operations = "https://container.googleapis.com/v1/projects/p1/locations/us-central1/operations"

    func createPool(_ name: String, zone: String = "us-central1-a", config: JSONValue = ["spot": true]) async throws
        -> Reply
    {
        try await call(
            .post, "\(Self.cluster)/nodePools",
            ["nodePool": ["name": .string(name), "locations": [.string(zone)], "config": config]])
    }

    func setSize(_ name: String, _ count: Int64) async throws -> Reply {
        try await call(.post, "\(Self.cluster)/nodePools/\(name):setSize", ["nodeCount": .integer(count)])
    }

    func deletePool(_ name: String) async throws -> Reply {
        try await call(.delete, "\(Self.cluster)/nodePools/\(name)")
    }

    func pool(_ name: String) async throws -> Reply { try await call(.get, "\(Self.cluster)/nodePools/\(name)") }

    /// The operation that a change answered with, as it is now.
    func operation(_ reply: Reply) async throws -> JSONValue {
        let name = try #require(reply.json["name"]?.stringValue)
        return try await call(.get, "\(Self.operations)/\(name)").json
    }

    /// A pool with one machine.
    func runningPool(_ name: String, config: JSONValue = ["spot": true]) async throws -> SimulatedInstance {
        _ = try await createPool(name, config: config)
        clock.advance(by: .seconds(2))
        _ = try await setSize(name, 1)
        clock.advance(by: .seconds(2))
        cloud.tick()
        return try #require(cloud.nodePools().first { $0.name == name }?.instances.first)
    }

    // MARK: Cloud Storage

    static let storage = "https://storage.googleapis.com/storage/v1"
    static let uploads = "https://storage.googleapis.com/upload/storage/v1"

    func createBucket(_ name: String = "bucket", _ settings: JSONValue = [:]) async throws {
        var body = settings
        body["name"] = .string(name)
        let reply = try await call(.post, "\(Self.storage)/b?project=p1", body)
        try #require(reply.status == 200)
    }

    func upload(
        _ name: String, _ text: String, bucket: String = "bucket", query: String = ""
    ) async throws -> Reply {
        let response = try await send(
            .post, "\(Self.uploads)/b/\(bucket)/o?uploadType=media&name=\(HTTPURL.encoded(name))\(query)",
            headers: ["Content-Type": "text/plain"], body: Array(text.utf8))
        return Reply(status: response.status, json: (try? JSONValue(parsing: response.body)) ?? .null)
    }

    func read(_ name: String, bucket: String = "bucket", query: String = "") async throws -> String {
        let response = try await send(
            .get, "\(Self.storage)/b/\(bucket)/o/\(HTTPURL.encodedSegment(name))?alt=media\(query)")
        return String(decoding: response.body, as: UTF8.self)
    }

    /// `name` or, with versions, `name#live|old` of a list.
    func list(_ query: String = "", bucket: String = "bucket") async throws -> [String] {
        let reply = try await call(.get, "\(Self.storage)/b/\(bucket)/o?\(query)")
        let objects = (reply.json["items"]?.arrayValue ?? []).map { item in
            (item["name"]?.stringValue ?? "") + (item["timeDeleted"] == nil ? "" : "#old")
        }
        return objects + (reply.json["prefixes"]?.arrayValue ?? []).compactMap(\.stringValue)
    }
}

extension CloudFixture.Reply {
    /// Storage's `reason` or ESF's `status`.
    var reason: String? {
        json["error"]?["errors"]?[0]?["reason"]?.stringValue ?? json["error"]?["status"]?.stringValue
    }
    var message: String { json["error"]?["message"]?.stringValue ?? "" }
    var generation: String { json["generation"]?.stringValue ?? "" }
}
