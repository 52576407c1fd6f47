import CloudChecks
import Encoding
import GoogleCloud
import HTTP
import Sandbox
import Synchronization
import Telemetry

/// A clock whose sleepers wake at once, at their moment: retries take no time, and their pauses are known.
final class ImpatientClock: WallClock {
    private struct State {
        var now = Timestamp(seconds: 1_795_255_200)
        var pauses: [Duration] = []
    }
    private let state = Mutex(State())

    var now: Timestamp { state.withLock(\.now) }
    /// How long was slept, time after time.
    var pauses: [Duration] { state.withLock(\.pauses) }

    func sleep(until moment: Timestamp) async throws(CancellationError) {
        if Task.isCancelled { throw CancellationError() }
        state.withLock { state in
            state.pauses.append(moment - state.now)
            state.now = max(state.now, moment)
        }
    }

    func advance(by duration: Duration) {
        state.withLock { $0.now = $0.now + duration }
    }
}

/// Passes requests to another transport, remembers them, and does to each what the script says.
final class ScriptedTransport: HTTPTransport {
    enum Step: Sendable {
        case pass
        /// The request never arrives.
        case loseRequest
        /// It arrives, and the reply is lost.
        case loseReply
        case reply(HTTPResponse)
        /// The body of a streamed reply breaks after so many bytes.
        case cutAfter(Int)
        /// A byte of the body changes on the way.
        case corrupt
    }

    private let next: any HTTPTransport
    private let script: @Sendable (_ number: Int, _ request: HTTPRequest) -> Step
    private let log = Mutex<[HTTPRequest]>([])

    /// - Parameter script: for each request, numbered from 1.
    init(
        _ next: any HTTPTransport = NoTransport(),
        script: @escaping @Sendable (_ number: Int, _ request: HTTPRequest) -> Step = { _, _ in .pass }
    ) {
        self.next = next
        self.script = script
    }

    var requests: [HTTPRequest] { log.withLock { $0 } }

    /// `METHOD target` of each request, without the query's values of no interest.
    var lines: [String] { requests.map { "\($0.method.rawValue) \($0.url.target)" } }

    private func step(_ request: HTTPRequest) -> Step {
        RequestLog.append(request)
        let number = log.withLock { log in
            log.append(request)
            return log.count
        }
        return script(number, request)
    }

    private static let lost = APIError(.unavailable, operation: "test", message: "the connection was cut")

    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        switch step(request) {
        case .pass, .cutAfter: return try await next.send(request)
        case .loseRequest: throw Self.lost
        case .loseReply:
            _ = try await next.send(request)
            throw Self.lost
        case .reply(let response): return response
        case .corrupt:
            var response = try await next.send(request)
            if !response.body.isEmpty { response.body[0] ^= 1 }
            return response
        }
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        let step = step(request)
        switch step {
        case .pass: return try await next.open(request)
        case .loseRequest, .loseReply: throw Self.lost
        case .reply(let response): return Self.stream(response, cutAfter: nil)
        case .cutAfter(let count): return Self.stream(try await next.send(request), cutAfter: count)
        case .corrupt:
            var response = try await next.send(request)
            if !response.body.isEmpty { response.body[0] ^= 1 }
            return Self.stream(response, cutAfter: nil)
        }
    }

    /// Gives the body in pieces of 1000 bytes.
    private static func stream(_ response: HTTPResponse, cutAfter limit: Int?) -> HTTPStream {
        let position = Mutex(0)
        return HTTPStream(
            status: response.status, headers: response.headers,
            next: { () async throws(APIError) -> [UInt8]? in
                let end = min(response.body.count, limit ?? .max)
                let range = position.withLock { position in
                    let start = position
                    position = min(start + 1000, end)
                    return start..<position
                }
                if !range.isEmpty { return Array(response.body[range]) }
                if end < response.body.count { throw lost }
                return nil
            },
            cancel: {})
    }
}

/// A transport whose every use is a mistake of the test.
struct NoTransport: HTTPTransport {
    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        throw APIError(.invalid, operation: "test", message: "an unexpected request: \(request.url)")
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        throw APIError(.invalid, operation: "test", message: "an unexpected request: \(request.url)")
    }
}

extension HTTPResponse {
    static func json(_ value: JSONValue, status: Int = 200, headers: HTTPHeaders = [:]) -> HTTPResponse {
        HTTPResponse(status: status, headers: headers, body: value.serialized())
    }
}

/// The error that a call ends with; nil when it succeeds.
func failure<Value>(_ call: () async throws(APIError) -> Value) async -> APIError? {
    do throws(APIError) {
        _ = try await call()
        return nil
    } catch {
        return error
    }
}

/// A simulated cloud and clients for it, with a script on the way between.
struct CloudWorld {
    let clock = ImpatientClock()
    let cloud: SimulatedCloud
    let faults: FaultInjector
    let transport: ScriptedTransport
    let storage: StorageClient
    let container: ContainerClient
    let cluster = ClusterName("projects/p1/locations/us-central1/clusters/c1")

    init(
        script: CloudScript = CloudScript(), faults: [ScriptedFault] = [], transfers: TransferSettings = .forTests,
        onTheWay: @escaping @Sendable (_ number: Int, _ request: HTTPRequest) -> ScriptedTransport.Step = { _, _ in
            .pass
        }
    ) {
        cloud = SimulatedCloud(
            CloudConfiguration(
                project: "p1", projectNumber: 42, zones: ["us-central1-a"], clusterName: "c1", clock: clock,
                script: script, inspection: .ofTests))
        self.faults = FaultInjector(cloud, script: FaultScript(faults: faults), clock: clock)
        transport = ScriptedTransport(HandlerTransport(self.faults), script: onTheWay)
        let client = GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: clock)
        storage = StorageClient(client, transfers: transfers)
        container = ContainerClient(client)
    }

    func createBucket(_ name: String = "bucket") async throws {
        _ = try await storage.insertBucket(
            BucketConfiguration(name: name, location: "us-central1"), project: "p1")
    }
}

extension ScriptedFault {
    /// A fault of the chunks of uploads.
    static func chunk(_ action: FaultAction, calls: ClosedRange<Int>? = nil) -> ScriptedFault {
        ScriptedFault(match: RequestMatch(verb: "insert.chunk", resource: "objects"), calls: calls, actions: [action])
    }
}

extension TransferSettings {
    /// Chunks of 256 KiB above 256 KiB, and pauses of known length.
    static let forTests: TransferSettings = {
        var settings = TransferSettings()
        settings.resumableThresholdBytes = 256 << 10
        settings.chunkBytes = 256 << 10
        settings.jitter = { 1 }
        return settings
    }()
}

/// Bytes that differ from place to place.
func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}

/// True once.
final class Once: Sendable {
    private let used = Mutex(false)

    var isFirst: Bool {
        used.withLock { used in
            defer { used = true }
            return !used
        }
    }
}
