import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization

@testable import ControllerRuntime

/// An API server that answers as written down, one step a request, and then is silent.
final class WatchScript: HTTPTransport {
    enum Step: Sendable {
        case page([JSONValue], version: Int, next: String? = nil)
        case failure(Int, String)
        /// The chunks, then the end: nil hangs up as servers do, else the connection breaks with this.
        case watch([[UInt8]], APIError.Code? = nil)
        /// The chunks, then nothing, until the reader cancels.
        case silence([[UInt8]])
    }

    private struct State {
        var steps: [Step]
        var log: [String] = []
        var reports: [String] = []
        var heardCount = 0
    }

    private let state: Mutex<State>
    private let exhausted = WakeSignal()
    let clock = VirtualClock()

    init(_ steps: [Step]) { state = Mutex(State(steps: steps)) }

    /// What was asked: `STREAM`, `LIST`, `LIST token`, `WATCH version`.
    var log: [String] { state.withLock(\.log) }
    /// What was reported: `listed 3`, `failed unavailable`, `undecodable ns/a`.
    var reports: [String] { state.withLock(\.reports) }
    var heardCount: Int { state.withLock(\.heardCount) }

    /// Runs a watch over the script until it has asked for more than is written.
    func run<Object: KubernetesResource>(_ store: ObjectStore<Object>, isOptional: Bool = false) async {
        let watch = Task { await self.watch(store, isOptional: isOptional).run() }
        await exhausted.wait()
        watch.cancel()
        await watch.value
    }

    func watch<Object: KubernetesResource>(
        _ store: ObjectStore<Object>, isOptional: Bool = false
    ) -> ObjectWatch<Object> {
        let client = KubernetesClient(
            transport: self, server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"))
        // No jitter: every wait is over at once.
        let environment = RuntimeEnvironment(
            client: client, clock: .virtual(clock), random: { 0 }, report: { self.note($0) })
        return ObjectWatch(
            store: store, selection: ObjectSelection(), environment: environment, isOptional: isOptional)
    }

    private func note(_ report: RuntimeReport) {
        state.withLock { state in
            switch report {
            case .listed(_, let count): state.reports.append("listed \(count)")
            case .watchFailed(_, let error): state.reports.append("failed \(error.code)")
            case .undecodable(_, let key, _): state.reports.append("undecodable \(key)")
            case .heard: state.heardCount += 1
            default: break
            }
        }
    }

    private func next(_ request: HTTPRequest) -> Step? {
        let url = request.url
        let line =
            if url.queryValue("watch") != "true" {
                "LIST" + (url.queryValue("continue").map { " " + $0 } ?? "")
            } else if url.queryValue("sendInitialEvents") == "true" {
                "STREAM"
            } else {
                "WATCH " + (url.queryValue("resourceVersion") ?? "")
            }
        return state.withLock { state in
            guard !state.steps.isEmpty else { return nil }
            state.log.append(line)
            return state.steps.removeFirst()
        }
    }

    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        switch next(request) {
        case .page(let items, let version, let token):
            var metadata: JSONValue = ["resourceVersion": .string(String(version))]
            metadata["continue"] = token.map { .string($0) }
            let page: JSONValue = ["metadata": metadata, "items": .array(items)]
            return HTTPResponse(status: 200, body: page.serialized())
        case .failure(let status, let reason): return Self.failure(status, reason)
        case .watch, .silence: throw APIError(.malformedResponse, operation: "", message: "the script has a watch here")
        case nil: throw await hang()
        }
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        switch next(request) {
        case .watch(let chunks, let code):
            return stream(chunks) { () throws(APIError) in
                if let code { throw APIError(code, operation: "", message: "broken") }
            }
        case .silence(let chunks):
            let ended = WakeSignal()
            return stream(chunks, cancel: { ended.raise() }) { () async throws(APIError) in
                await ended.wait()
                throw APIError(.cancelled, operation: "", message: "cancelled")
            }
        case .failure(let status, let reason):
            let response = Self.failure(status, reason)
            return HandlerStream.of(response)
        case .page: throw APIError(.malformedResponse, operation: "", message: "the script has a page here")
        case nil: throw await hang()
        }
    }

    private func hang() async -> APIError {
        exhausted.raise()
        await WakeSignal().wait()
        return APIError(.cancelled, operation: "", message: "cancelled")
    }

    private func stream(
        _ chunks: [[UInt8]], cancel: @escaping @Sendable () -> Void = {},
        then end: @escaping @Sendable () async throws(APIError) -> Void
    ) -> HTTPStream {
        let rest = SharedList(chunks)
        return HTTPStream(
            status: 200, headers: HTTPHeaders(),
            next: { () async throws(APIError) -> [UInt8]? in
                if let chunk = rest.popFirst() { return chunk }
                try await end()
                return nil
            }, cancel: cancel)
    }

    static func failure(_ status: Int, _ reason: String) -> HTTPResponse {
        let body: JSONValue = ["kind": "Status", "code": .integer(Int64(status)), "reason": .string(reason)]
        return HTTPResponse(status: status, body: body.serialized())
    }
}

private enum HandlerStream {
    static func of(_ response: HTTPResponse) -> HTTPStream {
        let rest = SharedList([response.body])
        return HTTPStream(
            status: response.status, headers: response.headers,
            next: { () async throws(APIError) -> [UInt8]? in rest.popFirst() }, cancel: {})
    }
}

private final class SharedList: Sendable {
    private let rest: Mutex<ArraySlice<[UInt8]>>
    init(_ chunks: [[UInt8]]) { rest = Mutex(chunks[...]) }
    func popFirst() -> [UInt8]? { rest.withLock { $0.popFirst() } }
}

/// A widget as the API server writes it; `uid` names the life of the name.
func widgetJSON(_ name: String, _ version: Int, uid: String = "u", size: JSONValue = 1) -> JSONValue {
    [
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": [
            "name": .string(name), "namespace": "ns", "uid": .string(uid), "resourceVersion": .string(String(version)),
            "managedFields": [["manager": "größe", "fieldsV1": ["f:spec": ["f:size": [:]]]]],
        ],
        "spec": ["size": size],
    ]
}

/// One line of a watch.
func line(_ type: String, _ object: JSONValue) -> [UInt8] {
    (["type": .string(type), "object": object] as JSONValue).serialized() + [0x0A]
}

func bookmark(_ version: Int, endsInitialEvents: Bool = false) -> [UInt8] {
    var metadata: JSONValue = ["resourceVersion": .string(String(version))]
    if endsInitialEvents { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
    return line("BOOKMARK", ["kind": "Widget", "metadata": metadata])
}

/// A watch that begins with everything.
func initial(_ objects: [JSONValue], at version: Int) -> [[UInt8]] {
    objects.map { line("ADDED", $0) } + [bookmark(version, endsInitialEvents: true)]
}
