import CloudChecks
import Encoding
import HTTP
import Sandbox
import Testing

/// The APIs beside GKE and Cloud Storage, on a virtual clock, spoken to in plain requests.
struct APIFixture {
    let clock = VirtualClock()
    let cloud: SimulatedCloud
    /// Between the requests and the cloud.
    let faults: FaultInjector

    /// - Parameter isWrong: the test sends on purpose what Google's API descriptions do not allow.
    init(
        _ script: CloudScript = CloudScript(), checksTokens: Bool = false, isWrong: Bool = false,
        change: (inout APIScript) -> Void = { _ in }
    ) {
        var script = script
        change(&script.apis)
        cloud = SimulatedCloud(
            CloudConfiguration(
                project: "p1", projectNumber: 42, zones: ["us-central1-a", "us-central1-b"], clusterName: "c1",
                clock: clock, script: script, inspection: isWrong ? nil : .ofTests, checksTokens: checksTokens,
                tpuZones: ["us-east5-b"]))
        faults = FaultInjector(cloud, script: FaultScript(), clock: clock)
    }

    typealias Reply = CloudFixture.Reply

    func send(
        _ method: HTTPMethod, _ url: String, headers: HTTPHeaders = [:], body: [UInt8] = []
    ) async throws -> HTTPResponse {
        try await HandlerTransport(faults).send(
            HTTPRequest(method, try #require(HTTPURL(url)), headers: headers, body: body))
    }

    func call(
        _ method: HTTPMethod, _ url: String, _ body: JSONValue? = nil, token: String? = nil
    ) async throws -> Reply {
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if let token { headers["Authorization"] = "Bearer \(token)" }
        let response = try await send(method, url, headers: headers, body: body?.serialized() ?? [])
        return Reply(status: response.status, json: (try? JSONValue(parsing: response.body)) ?? .null)
    }

    func form(_ url: String, _ fields: [String: String]) async throws -> Reply {
        let body = fields.map { "\(HTTPURL.encoded($0.key))=\(HTTPURL.encoded($0.value))" }.joined(separator: "&")
        let response = try await send(
            .post, url, headers: ["Content-Type": "application/x-www-form-urlencoded"], body: Array(body.utf8))
        return Reply(status: response.status, json: (try? JSONValue(parsing: response.body)) ?? .null)
    }

    // MARK: Cloud Run

    static let services = "https://run.googleapis.com/v2/projects/p1/locations/us-central1/services"

    /// A service with one container.
    static func service(_ image: String = "image:1", _ more: JSONValue = [:]) -> JSONValue {
        var service: JSONValue = ["template": ["containers": [["image": .string(image)]]]]
        for (key, value) in more.objectValue ?? [:] { service[key] = value }
        return service
    }

    func createService(_ id: String = "web", _ body: JSONValue = service()) async throws -> Reply {
        try await call(.post, "\(Self.services)?serviceId=\(id)", body)
    }

    func service(_ id: String = "web") async throws -> JSONValue {
        try await call(.get, "\(Self.services)/\(id)").json
    }

    /// A service that is ready.
    func readyService(_ id: String = "web", _ body: JSONValue = service()) async throws -> JSONValue {
        _ = try await createService(id, body)
        clock.advance(by: .seconds(3))
        return try await service(id)
    }

    /// What the owner of the project calls a service with.
    func identity(for audience: String) -> HTTPHeaders {
        let token = cloud.issueIdentityToken(to: "sandbox@p1.iam.gserviceaccount.com", audience: audience)
        return ["Authorization": "Bearer \(token)"]
    }

    func operation(_ host: String, _ reply: Reply) async throws -> JSONValue {
        let name = try #require(reply.json["name"]?.stringValue)
        return try await call(.get, "https://\(host)/v2/\(name)").json
    }
}

extension CloudFixture.Reply {
    /// `ErrorInfo.reason` of the first detail.
    var detail: String? { json["error"]?["details"]?[0]?["reason"]?.stringValue }

    /// The field of the first violation.
    var field: String? {
        json["error"]?["details"]?.arrayValue?.last?["fieldViolations"]?[0]?["field"]?.stringValue
    }
}

extension JSONValue {
    /// The last segment of a resource's name.
    var lastSegment: String? { stringValue?.split(separator: "/").last.map(String.init) }
}
