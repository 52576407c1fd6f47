import Encoding
import HTTP
import Kubernetes
import Synchronization
import Telemetry
import Testing

/// Answers from a list, and keeps what it was asked.
final class ScriptedServer: HTTPHandler {
    private let script: Mutex<[HTTPReply]>
    private let log = Mutex<[HTTPRequest]>([])

    init(_ script: [HTTPReply]) { self.script = Mutex(script) }

    var requests: [HTTPRequest] { log.withLock { $0 } }

    func respond(to request: HTTPRequest) async -> HTTPReply {
        log.withLock { $0.append(request) }
        return script.withLock { $0.isEmpty ? HTTPReply(status: 500) : $0.removeFirst() }
    }

    var client: KubernetesClient {
        KubernetesClient(
            transport: HandlerTransport(self), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            fieldManager: "me", credentials: { () throws(APIError) in "token-1" })
    }

    func client(
        _ credentials: any CredentialSource, impersonation: Impersonation? = nil, rateLimiter: RateLimiter? = nil,
        log: Log? = nil
    ) -> KubernetesClient {
        KubernetesClient(
            transport: HandlerTransport(self), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            credentials: credentials, impersonation: impersonation, rateLimiter: rateLimiter, log: log)
    }
}

func reply(_ body: JSONValue, _ status: Int = 200) -> HTTPReply {
    HTTPReply(status: status, body: body.serialized())
}

private func page(_ names: [String], version: String, next: String? = nil) -> HTTPReply {
    var metadata: JSONValue = ["resourceVersion": .string(version)]
    metadata["continue"] = next.map { .string($0) }
    return reply(["metadata": metadata, "items": .array(names.map { ["metadata": ["name": .string($0)]] })])
}

private let gone = reply(["kind": "Status", "reason": "Expired", "message": "too old"], 410)

@Suite struct ClientTests {
    @Test func `a list reads all pages`() async throws {
        let server = ScriptedServer([page(["a", "b"], version: "5", next: "t"), page(["c"], version: "5")])
        let list = try await server.client.list(Pod.self)
        #expect(list.items.map(\.metadata.name) == ["a", "b", "c"])
        #expect(list.resourceVersion == "5")
        #expect(server.requests.map(\.url.target) == ["/api/v1/pods?limit=500", "/api/v1/pods?limit=500&continue=t"])
        #expect(server.requests[0].headers["Authorization"] == "Bearer token-1")
    }

    @Test func `a list whose token expires begins again, but not for ever`() async throws {
        let first = page(["a"], version: "5", next: "t")
        let lucky = ScriptedServer([first, gone, page(["b"], version: "6")])
        #expect(try await lucky.client.list(Pod.self).items.map(\.metadata.name) == ["b"])
        let unlucky = ScriptedServer([first, gone, first, gone, first, gone, first])
        await #expect { try await unlucky.client.list(Pod.self) } throws: { ($0 as? APIError)?.code == .expired }
        #expect(unlucky.requests.count == 6)
    }

    @Test func `what is not there is nil for find and an error for get`() async throws {
        let missing = reply(["kind": "Status", "reason": "NotFound", "message": "no"], 404)
        let server = ScriptedServer([missing, missing])
        #expect(try await server.client.find(Pod.self, namespace: "n", name: "a") == nil)
        await #expect(
            throws: APIError(.notFound, operation: "GET pods", message: "no", reason: "NotFound", httpStatus: 404)
        ) { try await server.client.get(Pod.self, namespace: "n", name: "a") }
    }

    @Test func `an object that does not decode names the member`() async throws {
        let server = ScriptedServer([reply(["metadata": ["name": "a"], "status": ["startTime": "yesterday"]])])
        await #expect { try await server.client.get(Pod.self, namespace: "n", name: "a") } throws: { error in
            (error as? APIError)?.message == "Pod a: status.startTime: not an RFC 3339 time"
        }
    }

    @Test func `a reply that is no JSON is a malformed reply`() async throws {
        let server = ScriptedServer([HTTPReply(status: 200, body: Array("<html>".utf8))])
        await #expect { try await server.client.get(pods, namespace: "n", name: "a") } throws: { error in
            (error as? APIError)?.code == .malformedResponse
        }
    }

    private let pods = Pod.resourceType

    @Test func `a watch delivers events until the server ends it`() async throws {
        let chunks = [
            #"{"type":"ADDED","object":{"metadata":{"na"#, #"me":"a"}}}"# + "\n" + #"{"type":"BOOKMARK","#,
            #""object":{"metadata":{"resourceVersion":"8"}}}"# + "\n",
        ]
        let server = ScriptedServer([
            HTTPReply(
                status: 200,
                body: .stream { writer throws(APIError) in
                    for chunk in chunks { try await writer.write(Array(chunk.utf8)) }
                })
        ])
        var stream = try await server.client.watch(pods, from: "5")
        var events: [WatchEvent] = []
        while let event = try await stream.next() { events.append(event) }
        let added = JSONText(indexing: ["metadata": ["name": "a"]]).root
        #expect(events == [.added(added), .bookmark(resourceVersion: "8", endsInitialEvents: false)])
    }

    @Test func `a watch that is refused is an error with the server's words`() async throws {
        let server = ScriptedServer([gone])
        await #expect(
            throws: APIError(
                .expired, operation: "WATCH pods", message: "too old", reason: "Expired", httpStatus: 410)
        ) { try await server.client.watch(pods, from: "5") }
    }

    @Test func `a lease keeps six digits in its times`() throws {
        let spec = Lease.Spec(holderIdentity: "me", renewTime: MicroTime(Timestamp(seconds: 0, nanoseconds: 5000)))
        let json = try JSONValue(encoding: Lease(metadata: ObjectMeta(name: "l"), spec: spec))
        #expect(json.value(at: ["spec", "renewTime"]) == "1970-01-01T00:00:00.000005Z")
        #expect(try json.decode(Lease.self).spec == spec)
    }
}
