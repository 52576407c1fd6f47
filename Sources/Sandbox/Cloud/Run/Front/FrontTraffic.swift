internal import Encoding
internal import HTTP
internal import Synchronization
internal import Telemetry

/// Answers the requests of Cloud Run services: who may, which revision, which instance, and what it answers.
final class FrontTraffic: Sendable {
    /// Google's for HTTP/1.
    static let bodyLimitBytes = 32 << 20

    let cloud: SimulatedCloud
    let fleet: InstanceFleet
    private let transport: any HTTPTransport
    private let clock: any WallClock
    private let metrics: Mutex<FrontMetrics>

    init(
        cloud: SimulatedCloud, fleet: InstanceFleet, transport: any HTTPTransport, clock: any WallClock,
        sampling: Duration
    ) {
        self.cloud = cloud
        self.fleet = fleet
        self.transport = transport
        self.clock = clock
        metrics = Mutex(FrontMetrics(sampling: sampling))
    }

    func respond(to request: HTTPRequest, service: String, tag: String?) async -> HTTPReply {
        switch cloud.runTarget(service: service, tag: tag, request) {
        case .reply(let reply): return reply
        case .revision(_, let revision):
            let start = ContinuousClock.now
            let reply = await reply(to: request, revision, of: service)
            let (latency, now) = (ContinuousClock.now - start, clock.now)
            metrics.withLock {
                $0.add(service: service, revision: revision.name, status: reply.status, latency: latency, now: now)
            }
            return reply
        }
    }

    /// Hands the points whose time is over to Cloud Monitoring.
    func flush() {
        let now = clock.now
        let series = metrics.withLock { $0.take(now: now) }
        if !series.isEmpty { cloud.record(series) }
    }

    private func reply(
        to request: HTTPRequest, _ revision: RunService.Revision, of service: String
    ) async -> HTTPReply {
        let timeout = revision.template["timeout"]?.duration ?? .seconds(300)
        let begin = clock.now
        switch await fleet.acquire(revision.name, of: service, timeout: timeout) {
        case .refused(.busy):
            var reply = RunAPI.page(429, "Rate exceeded.")
            reply.headers["Retry-After"] = "1"
            return reply
        case .refused(.timeout): return RunAPI.page(504, "upstream request timeout")
        case .refused(.failedStart):
            return RunAPI.page(503, "The request failed because the instance could not start successfully.")
        case .refused(.disabled): return RunAPI.page(503, "The service has no instances: it is switched off.")
        case .instance(let id, let port):
            defer { fleet.release(id, revision.name, of: service) }
            let left = max(.milliseconds(1), timeout - (clock.now - begin))
            return await forward(request, to: port, timeout: left)
        }
    }

    private func forward(_ request: HTTPRequest, to port: UInt16, timeout: Duration) async -> HTTPReply {
        let url = HTTPURL(origin: "http://127.0.0.1:\(port)", path: request.url.path, query: request.url.query)
        let inner = HTTPRequest(
            request.method, url, headers: Self.headers(of: request), body: request.body, timeout: timeout,
            maximumResponseBytes: Self.bodyLimitBytes)
        do throws(APIError) {
            let response = try await transport.send(inner)
            return HTTPReply(
                status: response.status, headers: Self.endToEnd(response.headers), body: response.body)
        } catch {
            switch error.code {
            case .timeout: return RunAPI.page(504, "upstream request timeout")
            case .tooLarge: return RunAPI.page(500, "Response size was too large.")
            default:
                return RunAPI.page(
                    503,
                    "The request failed because either the HTTP response was malformed or connection to the instance "
                        + "had an error.")
            }
        }
    }

    /// As the container sees them: it gets the caller's token without its signature.
    private static func headers(of request: HTTPRequest) -> HTTPHeaders {
        var headers = endToEnd(request.headers)
        headers["Host"] = nil
        headers["Accept-Encoding"] = "identity"
        headers["X-Forwarded-For"] = "127.0.0.1"
        headers["X-Forwarded-Proto"] = "https"
        headers["Forwarded"] = "for=\"127.0.0.1\";proto=https"
        if let token = request.headers["Authorization"], token.lowercased().hasPrefix("bearer ey"),
            let end = token.lastIndex(of: ".")
        {
            headers["Authorization"] = token[...end] + "SIGNATURE_REMOVED_BY_GOOGLE"
        }
        return headers
    }

    /// Without the fields that are about one connection.
    private static func endToEnd(_ given: HTTPHeaders) -> HTTPHeaders {
        var headers = given
        for name in [
            "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer",
            "Transfer-Encoding", "Upgrade", "Content-Length", "Expect",
        ] { headers[name] = nil }
        return headers
    }
}

/// What one address of a service answers.
struct FrontHandler: HTTPHandler {
    let traffic: FrontTraffic
    /// By its full name.
    let service: String
    /// Nil is the service's own address.
    let tag: String?

    func respond(to request: HTTPRequest) async -> HTTPReply {
        await traffic.respond(to: request, service: service, tag: tag)
    }
}
