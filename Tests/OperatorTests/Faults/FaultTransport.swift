import Encoding
import HTTP
import Sandbox
import Synchronization

/// What happens to one request of the operator.
enum RequestFault: Sendable, Hashable, CustomStringConvertible {
    /// The process dies before the request leaves.
    case crashBeforeSend
    /// The request is handled, and the process dies before the reply comes.
    case crashBeforeReply
    /// The reply comes, and the process dies before it does anything more.
    case crashAfterReply
    case loseRequest
    case loseReply
    /// A proxy sends it twice.
    case duplicate
    /// Nothing else in the operator goes on meanwhile.
    case delay(seconds: Int)
    /// An error instead of the handling.
    case fail(status: Int)
    /// From the reply on, watches tell nothing for a while; what happened in between is seen as one change.
    case holdWatches(seconds: Int)
    /// The process dies after the reply, and the next one begins from lists that are so many changes old, for a while.
    case restartStale(changes: Int)
    /// Every watch event is told again.
    case repeatEvents

    var isCrash: Bool {
        switch self {
        case .crashBeforeSend, .crashBeforeReply, .crashAfterReply: true
        default: false
        }
    }

    /// For the counts that are printed.
    var pattern: String {
        switch self {
        case .crashBeforeSend, .crashBeforeReply, .crashAfterReply: "crash"
        case .loseRequest, .loseReply, .duplicate: "lost or doubled"
        case .delay: "delay"
        case .fail: "error"
        case .holdWatches, .repeatEvents: "unobserved"
        case .restartStale: "stale"
        }
    }

    var description: String {
        switch self {
        case .delay(let seconds): "delay\(seconds)s"
        case .fail(let status): "fail\(status)"
        case .holdWatches(let seconds): "hold\(seconds)s"
        case .restartStale(let changes): "stale\(changes)"
        case .crashBeforeSend: "crashBeforeSend"
        case .crashBeforeReply: "crashBeforeReply"
        case .crashAfterReply: "crashAfterReply"
        case .loseRequest: "loseRequest"
        case .loseReply: "loseReply"
        case .duplicate: "duplicate"
        case .repeatEvents: "repeatEvents"
        }
    }
}

/// One request as it left the operator.
struct TracedRequest: Sendable, Hashable {
    var method: HTTPMethod
    var side: SandboxSide
    var path: String

    init(_ request: HTTPRequest) {
        method = request.method
        side = SandboxWorld.side(of: request)
        path = request.url.path
    }

    var isChange: Bool { method != .get && method != .head }
    /// Losing an event is nothing that must be made good.
    var isEvent: Bool { path.contains("/apis/events.k8s.io/") }
    var line: String { "\(method.rawValue) \(path)" }
}

/// Between the operator and the world: counts requests, lets one of them go wrong, and shows each to an oracle.
final class FaultTransport: HTTPTransport {
    /// Sees each request before and each reply after the handling; what the world does meanwhile is theirs.
    struct Observer: Sendable {
        var before: @Sendable (HTTPRequest) async -> Void
        var after: @Sendable (HTTPRequest, HTTPResponse) async -> Void
        /// Lets time pass in the world.
        var pass: @Sendable (Int) async -> Void
        /// The process is dead, or its view of the world has changed.
        var happened: @Sendable (RequestFault) -> Void
    }

    private struct State {
        var trace: [TracedRequest] = []
        /// What happens to the request of that index.
        var rule: (@Sendable (Int, TracedRequest) -> RequestFault?)?
        var fired: TracedRequest?
        var isDead = false
        var observer: Observer?
    }

    private let base: any HTTPTransport
    private let state = Mutex(State())

    init(_ base: any HTTPTransport) { self.base = base }

    var trace: [TracedRequest] { state.withLock(\.trace) }
    var changeCount: Int { state.withLock { state in state.trace.count { $0.isChange && !$0.isEvent } } }
    /// The request that the fault happened to.
    var fired: TracedRequest? { state.withLock(\.fired) }
    var isDead: Bool { state.withLock(\.isDead) }

    func observe(_ observer: Observer) { state.withLock { $0.observer = observer } }
    func plan(_ fault: RequestFault, at index: Int) { plan { number, _ in number == index ? fault : nil } }
    func plan(_ rule: @escaping @Sendable (Int, TracedRequest) -> RequestFault?) { state.withLock { $0.rule = rule } }
    /// Lets time pass in the world.
    func letPass(seconds: Int) async { await state.withLock(\.observer)?.pass(seconds) }
    /// A new process.
    func revive() { state.withLock { $0.isDead = false } }

    private static let dead = APIError(.cancelled, operation: "crash", message: "the process is dead")

    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        let (fault, observer) = try begin(request)
        switch fault {
        case .crashBeforeSend:
            kill(.crashBeforeSend, observer)
            throw Self.dead
        case .loseRequest: throw APIError(.unavailable, operation: request.operation, message: "connection reset")
        case .fail(let status): return try await fail(request, status)
        case .delay(let seconds): await observer?.pass(seconds)
        case .duplicate: _ = try await handle(request, observer)
        default: break
        }
        let response = try await handle(request, observer)
        switch fault {
        case .crashBeforeReply:
            kill(.crashBeforeReply, observer)
            throw Self.dead
        case .crashAfterReply: kill(.crashAfterReply, observer)
        case .loseReply: throw APIError(.timeout, operation: request.operation, message: "no reply within 30 s")
        case .restartStale(let changes):
            kill(.restartStale(changes: changes), observer)
            throw Self.dead
        case .holdWatches, .repeatEvents:
            if let fault { observer?.happened(fault) }
        default: break
        }
        return response
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        let response = try await send(request)
        let rest = Mutex<[UInt8]?>(response.body)
        return HTTPStream(
            status: response.status, headers: response.headers,
            next: { () throws(APIError) in
                rest.withLock { rest in
                    defer { rest = nil }
                    return rest
                }
            }, cancel: {})
    }

    private func begin(_ request: HTTPRequest) throws(APIError) -> (RequestFault?, Observer?) {
        let (isDead, fault, observer) = state.withLock { state -> (Bool, RequestFault?, Observer?) in
            if state.isDead { return (true, nil, nil) }
            let index = state.trace.count
            let traced = TracedRequest(request)
            state.trace.append(traced)
            guard let fault = state.rule?(index, traced) else { return (false, nil, state.observer) }
            state.fired = traced
            return (false, fault, state.observer)
        }
        if isDead { throw Self.dead }
        return (fault, observer)
    }

    private func kill(_ fault: RequestFault, _ observer: Observer?) {
        state.withLock { $0.isDead = true }
        observer?.happened(fault)
    }

    private func handle(_ request: HTTPRequest, _ observer: Observer?) async throws(APIError) -> HTTPResponse {
        await observer?.before(request)
        let response = try await base.send(request)
        await observer?.after(request, response)
        return response
    }

    /// An error as that API writes it.
    private func fail(_ request: HTTPRequest, _ status: Int) async throws(APIError) -> HTTPResponse {
        let message = "injected"
        let words = [
            403: ("Forbidden", "PERMISSION_DENIED", "forbidden"), 409: ("Conflict", "ABORTED", "conflict"),
            410: ("Expired", "ABORTED", "gone"), 422: ("Invalid", "INVALID_ARGUMENT", "invalid"),
            429: ("TooManyRequests", "RESOURCE_EXHAUSTED", "rateLimitExceeded"),
            500: ("InternalError", "INTERNAL", "internalError"),
            503: ("ServiceUnavailable", "UNAVAILABLE", "backendError"),
            504: ("Timeout", "DEADLINE_EXCEEDED", "timeout"),
        ]
        let word = words[status] ?? ("Unknown", "UNKNOWN", "unknown")
        var body: JSONValue
        if SandboxWorld.side(of: request) == .cluster {
            body = [
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": .string(message),
                "reason": .string(word.0), "code": .integer(Int64(status)),
            ]
        } else if request.url.path.contains("/storage/v1/") {
            let detail: JSONValue = [
                "domain": "global", "reason": .string(word.2), "message": .string(message),
            ]
            body = ["error": ["code": .integer(Int64(status)), "message": .string(message), "errors": [detail]]]
        } else {
            body = [
                "error": [
                    "code": .integer(Int64(status)), "message": .string(message), "status": .string(word.1),
                ]
            ]
        }
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if status == 429 { headers["Retry-After"] = "5" }
        return HTTPResponse(status: status, headers: headers, body: body.serialized())
    }
}
