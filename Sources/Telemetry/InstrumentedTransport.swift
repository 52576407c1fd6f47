public import HTTP

/// What is counted of calls to other services.
public struct HTTPClientMetrics: Sendable {
    public let requests: Counter
    public let seconds: Histogram

    public init(_ registry: MetricsRegistry) {
        let api = MetricLabel("api", API.allCases.map(\.rawValue))
        let method = MetricLabel("method", HTTPMethod.allCases.map(\.rawValue))
        let code = MetricLabel("code", HTTPClientMetrics.statuses + APIError.Code.allCases.map(\.rawValue))
        requests = registry.counter(
            "trainyard_http_client_requests_total",
            help: "Calls to other services by API, verb and HTTP status, or the error where no reply came.",
            labels: [api, method, code])
        seconds = registry.histogram(
            "trainyard_http_client_request_seconds",
            help: "Time from sending a request to its reply, to its head for streams.", labels: [api, method])
    }

    static let statuses = [
        200, 201, 202, 204, 206, 304, 308, 400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 416, 422, 429, 500, 502,
        503, 504,
    ].map(String.init)

    /// The services that we call.
    public enum API: String, Sendable, CaseIterable {
        case kubernetes, container, storage, compute, run, iam, iamcredentials, sts, monitoring, serviceusage, tpu
        case aiplatform, cloudresourcemanager, cloudbilling, oauth2, metadata

        /// The service behind a host such as `container.googleapis.com`.
        public init?(googleHost host: String) {
            if host.hasPrefix("metadata.google.internal") || host.hasPrefix("169.254.169.254") {
                self = .metadata
                return
            }
            let name = host.split(separator: ".").first.map(String.init) ?? ""
            // Vertex AI's hosts carry the location: us-central1-aiplatform.
            self.init(rawValue: name.split(separator: "-").last.map(String.init) ?? name)
        }
    }
}

/// Calls to the API server under client-go's names.
public struct RestClientMetrics: Sendable {
    private let requests: Counter
    private let seconds: Histogram
    private let host: String

    /// - Parameter host: the API server's, with its port.
    public init(_ registry: MetricsRegistry, host: String) {
        self.host = host
        let hosts = MetricLabel("host", [host])
        let verbs = HTTPMethod.allCases.map(\.rawValue)
        requests = registry.counter(
            "rest_client_requests_total",
            help: "Calls to the API server by HTTP status, verb and host; <error> where no reply came.",
            labels: [
                MetricLabel("code", HTTPClientMetrics.statuses + ["<error>"]), MetricLabel("method", verbs), hosts,
            ])
        seconds = registry.histogram(
            "rest_client_request_duration_seconds",
            help: "Time from sending a call to the API server to its reply, by verb and host.",
            labels: [MetricLabel("verb", verbs), hosts], bounds: MetricsRegistry.requestBounds)
    }

    /// - Parameter status: nil where no reply came.
    func record(_ method: HTTPMethod, status: Int?, elapsed: Duration) {
        requests.increment(status.map(String.init) ?? "<error>", method.rawValue, host)
        seconds.observe(elapsed, method.rawValue, host)
    }
}

/// Counts, times and (at debug level) logs each call; never bodies, headers or queries.
public struct InstrumentedTransport: HTTPTransport {
    private let transport: any HTTPTransport
    private let metrics: HTTPClientMetrics
    private let restMetrics: RestClientMetrics?
    private let log: Log
    private let api: HTTPClientMetrics.API?

    /// - Parameters:
    ///   - api: the one service behind this transport; nil takes it from each request's host.
    ///   - restMetrics: counts under client-go's names too.
    public init(
        _ transport: any HTTPTransport, api: HTTPClientMetrics.API? = nil, metrics: HTTPClientMetrics,
        restMetrics: RestClientMetrics? = nil, log: Log = .silent
    ) {
        self.transport = transport
        self.api = api
        self.metrics = metrics
        self.restMetrics = restMetrics
        self.log = log
    }

    public func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        let start = ContinuousClock.now
        do throws(APIError) {
            let response = try await transport.send(request)
            record(request, code: String(response.status), start: start, error: nil)
            return response
        } catch {
            record(request, code: error.code.rawValue, start: start, error: error)
            throw error
        }
    }

    public func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream {
        let start = ContinuousClock.now
        do throws(APIError) {
            let stream = try await transport.open(request)
            record(request, code: String(stream.status), start: start, error: nil)
            return stream
        } catch {
            record(request, code: error.code.rawValue, start: start, error: error)
            throw error
        }
    }

    private func record(_ request: HTTPRequest, code: String, start: ContinuousClock.Instant, error: APIError?) {
        let elapsed = ContinuousClock.now - start
        restMetrics?.record(request.method, status: error == nil ? Int(code) : nil, elapsed: elapsed)
        let api = (api ?? HTTPClientMetrics.API(googleHost: request.url.authority))?.rawValue ?? "other"
        metrics.requests.increment(api, request.method.rawValue, code)
        metrics.seconds.observe(elapsed, api, request.method.rawValue)
        var metadata: LogMetadata = [
            .httpAPI: .string(api), .httpMethod: .string(request.method.rawValue),
            .httpPath: .string(request.url.path), .duration: .milliseconds(elapsed),
        ]
        if let error {
            metadata[.errorCode] = .string(error.code.rawValue)
            metadata[.errorMessage] = .string(error.message)
            log.debug("http request failed", metadata)
        } else {
            metadata[.httpStatus] = .integer(Int(code) ?? 0)
            log.debug("http request", metadata)
        }
    }
}
