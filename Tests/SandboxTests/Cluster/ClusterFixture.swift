import Encoding
import HTTP
import Sandbox
import Telemetry
import YAML

/// A simulated cluster on a virtual clock, called as a client would.
struct ClusterFixture {
    let cluster: SimulatedCluster
    let clock: VirtualClock

    init(
        crds: [JSONValue] = [ClusterFixture.widgets], users: [String: SimulatedUser] = [:],
        change: (inout ClusterConfiguration) -> Void = { _ in }
    ) throws {
        clock = VirtualClock(start: Timestamp(seconds: 1_700_000_000))
        var all = users
        all["admin"] = SimulatedUser(name: "admin", groups: ["system:masters"])
        var configuration = ClusterConfiguration(crds: crds, users: all, clock: clock)
        configuration.seed = 7
        change(&configuration)
        cluster = try SimulatedCluster(configuration)
    }

    struct Reply {
        var status: Int
        var json: JSONValue
        var headers: HTTPHeaders
        var message: String { json["message"]?.stringValue ?? "" }
    }

    func request(
        _ method: HTTPMethod, _ target: String, _ body: JSONValue? = nil, type: String = "application/json",
        accept: String = "application/json", token: String = "admin"
    ) -> HTTPRequest {
        let parsed = HTTPURL.parseTarget(target) ?? (path: target, query: [])
        var request = HTTPRequest(
            method, HTTPURL(origin: "http://cluster", path: parsed.path, query: parsed.query),
            headers: ["Accept": accept, "Content-Type": type, "User-Agent": "test/1"])
        if !token.isEmpty { request.headers["Authorization"] = "Bearer \(token)" }
        if let body { request.body = body.serialized() }
        return request
    }

    @discardableResult
    func call(
        _ method: HTTPMethod, _ target: String, _ body: JSONValue? = nil, type: String = "application/json",
        accept: String = "application/json", token: String = "admin"
    ) async throws -> Reply {
        try await send(request(method, target, body, type: type, accept: accept, token: token))
    }

    func send(_ request: HTTPRequest) async throws -> Reply {
        let response = try await HandlerTransport(cluster).send(request)
        let json = response.body.first == UInt8(ascii: "{") ? try JSONValue(parsing: response.body) : .null
        return Reply(status: response.status, json: json, headers: response.headers)
    }

    /// Opens a watch; events are read one by one.
    func watch(_ target: String, accept: String = "application/json") async throws -> WatchReader {
        let transport = HandlerTransport(cluster)
        return WatchReader(stream: try await transport.open(request(.get, target, accept: accept)))
    }

    static let path = "/apis/example.dev/v1/namespaces/default/widgets"

    /// A small CustomResourceDefinition with something of everything.
    static let widgets: JSONValue = {
        do {
            return try YAML.document(widgetsText).json
        } catch {
            return .null
        }
    }()

    static func widget(_ name: String, _ spec: JSONValue = ["size": 1]) -> JSONValue {
        [
            "apiVersion": "example.dev/v1", "kind": "Widget", "metadata": ["name": .string(name)], "spec": spec,
        ]
    }

    private static let widgetsText = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: widgets.example.dev}
        spec:
          group: example.dev
          scope: Namespaced
          names: {kind: Widget, plural: widgets, singular: widget, shortNames: [wg], categories: [all]}
          versions:
          - name: v1
            served: true
            storage: true
            subresources:
              status: {}
              scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
            additionalPrinterColumns:
            - {name: Size, type: integer, jsonPath: .spec.size}
            - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
            - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
            selectableFields:
            - jsonPath: .spec.color
            schema:
              openAPIV3Schema:
                type: object
                description: Widget is a thing.
                required: [spec]
                x-kubernetes-validations:
                - {rule: "self.metadata.name != 'forbidden'", message: that name is forbidden}
                properties:
                  spec:
                    type: object
                    description: What the widget should be.
                    required: [size]
                    x-kubernetes-validations:
                    - {rule: "!has(self.parts) || self.parts.all(p, p.name != 'bad')", message: no bad parts}
                    properties:
                      size: {type: integer, format: int32, minimum: 1, maximum: 10}
                      color: {type: string, enum: [Red, Blue], default: Red}
                      code: {type: string, maxLength: 5, pattern: '^[a-z]+$'}
                      replicas: {type: integer, format: int32, default: 1}
                      fixed:
                        type: string
                        x-kubernetes-validations: [{rule: self == oldSelf, message: fixed is immutable}]
                      port: {x-kubernetes-int-or-string: true}
                      note: {type: string, nullable: true}
                      options: {type: object, additionalProperties: {type: string}, maxProperties: 2}
                      tags: {type: array, items: {type: string}, x-kubernetes-list-type: set}
                      steps: {type: array, items: {type: integer}}
                      free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                      parts:
                        type: array
                        maxItems: 3
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [name]
                        items:
                          type: object
                          required: [name]
                          properties:
                            name: {type: string}
                            weight: {type: number, default: 0.5}
                            when: {type: string, format: date-time}
                  status:
                    type: object
                    default: {observedGeneration: -1}
                    properties:
                      observedGeneration: {type: integer, format: int64, default: -1}
                      replicas: {type: integer}
                      message: {type: string}
                      conditions:
                        type: array
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [type]
                        items:
                          type: object
                          required: [type, status]
                          properties: {type: {type: string}, status: {type: string}}
        """
}

/// Splits a watch's bytes into its events.
final class WatchReader {
    private let stream: HTTPStream
    private var buffer: [UInt8] = []

    init(stream: HTTPStream) { self.stream = stream }

    /// The next event, nil at the end.
    func next() async throws -> JSONValue? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = buffer[..<end]
                buffer.removeFirst(end + 1)
                return try JSONValue(parsing: Array(line))
            }
            guard let chunk = try await stream.next() else { return nil }
            buffer += chunk
        }
    }

    /// The next events as "TYPE name".
    func next(_ count: Int) async throws -> [String] {
        var events: [String] = []
        while events.count < count, let event = try await next() {
            let name = event.value(at: ["object", "metadata", "name"])?.stringValue ?? ""
            events.append("\(event["type"]?.stringValue ?? "") \(name)")
        }
        return events
    }

    func cancel() { stream.cancel() }
}
