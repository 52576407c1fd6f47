import Encoding
import HTTP

/// The way of the simulated nodes' components to the cluster: its REST API with an admin's token.
struct ClusterAccess: Sendable {
    let handler: any HTTPHandler
    let token: String

    /// Every object of a collection, e.g. `["api", "v1", "pods"]`; nil when the server does not answer 200.
    func list(_ path: [String]) async -> [JSONValue]? {
        let reply = await send(ClusterWrite(.get, path))
        guard reply.status == 200 else { return nil }
        return reply.body["items"]?.arrayValue ?? []
    }

    /// One object; nil when the server does not answer 200.
    func get(_ path: [String]) async -> JSONValue? {
        let reply = await send(ClusterWrite(.get, path))
        return reply.status == 200 ? reply.body : nil
    }

    /// Sends one request; the body is null where the reply is no JSON.
    @discardableResult
    func send(_ write: ClusterWrite) async -> (status: Int, body: JSONValue) {
        var headers: HTTPHeaders = ["Authorization": "Bearer \(token)", "Accept": "application/json"]
        var body: [UInt8] = []
        if !write.body.isNull {
            headers["Content-Type"] = write.contentType
            body = write.body.serialized()
        }
        let url = HTTPURL(origin: "http://cluster.sandbox.invalid", segments: write.path, query: write.query)
        let reply = await handler.respond(to: HTTPRequest(write.method, url, headers: headers, body: body))
        guard case .bytes(let bytes) = reply.body, let value = try? JSONValue(parsing: bytes) else {
            return (reply.status, .null)  // An empty body or a text: the status says enough.
        }
        return (reply.status, value)
    }
}

/// One request to the API server as a value: what the simulated controllers decide.
struct ClusterWrite: Sendable, Hashable {
    var method: HTTPMethod
    var path: [String]
    var query: [HTTPURL.QueryItem]
    var body: JSONValue
    var contentType: String

    init(
        _ method: HTTPMethod, _ path: [String], query: [HTTPURL.QueryItem] = [], body: JSONValue = .null,
        contentType: String = "application/json"
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.contentType = contentType
    }

    static func create(_ collection: [String], _ object: JSONValue) -> ClusterWrite {
        ClusterWrite(.post, collection, body: object)
    }

    static func merge(_ path: [String], _ patch: JSONValue) -> ClusterWrite {
        ClusterWrite(.patch, path, body: patch, contentType: "application/merge-patch+json")
    }

    /// Deletes an object if it is still the one with `uid`; a nil grace leaves it to the object.
    static func delete(
        _ path: [String], uid: String, graceSeconds: Int64? = nil, propagation: String? = nil
    ) -> ClusterWrite {
        var options: JSONValue = [
            "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": ["uid": .string(uid)],
        ]
        if let graceSeconds { options["gracePeriodSeconds"] = .integer(graceSeconds) }
        if let propagation { options["propagationPolicy"] = .string(propagation) }
        return ClusterWrite(.delete, path, body: options)
    }
}

/// Where the API serves what the nodes' components use.
enum ClusterPath {
    static let pods = ["api", "v1", "pods"]
    static let nodes = ["api", "v1", "nodes"]
    static let jobs = ["apis", "batch", "v1", "jobs"]

    static func pods(_ namespace: String) -> [String] { ["api", "v1", "namespaces", namespace, "pods"] }
    static func pod(_ pod: PodView) -> [String] { pods(pod.namespace) + [pod.name] }
    static func node(_ name: String) -> [String] { nodes + [name] }
    static func events(_ namespace: String) -> [String] { ["api", "v1", "namespaces", namespace, "events"] }

    static func job(_ job: JobView) -> [String] {
        ["apis", "batch", "v1", "namespaces", job.namespace, "jobs", job.name]
    }
}

/// What one look at the cluster decided: requests in order, and events to tell.
struct ClusterChanges: Sendable, Hashable {
    var writes: [ClusterWrite] = []
    var events: [ClusterEvent] = []

    var isEmpty: Bool { writes.isEmpty && events.isEmpty }

    mutating func append(_ other: ClusterChanges) {
        writes += other.writes
        events += other.events
    }
}
