import Encoding
import HTTP
import Synchronization
import Telemetry
import Training

/// Answers predictions, in two forms, and says how it goes.
final class PredictionHandler: HTTPHandler {
    /// What is there once the model is loaded.
    struct Serving: Sendable {
        var form: InferenceProtocol
        var queue: PredictionQueue
    }

    private enum Phase: Sendable {
        case loading
        case serving(Serving)
        /// Asked to stop: what is under way is answered, and nobody is told to come.
        case draining(Serving)
    }

    private let phase = Mutex(Phase.loading)
    private let metrics: ServeMetrics
    private let maximumImages: Int
    private let chain: ProcessorChain?

    init(metrics: ServeMetrics, maximumImages: Int, chain: ProcessorChain? = nil) {
        self.metrics = metrics
        self.chain = chain
        self.maximumImages = maximumImages
    }

    func serve(_ serving: Serving) { phase.withLock { $0 = .serving(serving) } }

    func drain() {
        phase.withLock { phase in
            if case .serving(let serving) = phase { phase = .draining(serving) }
        }
    }

    func respond(to request: HTTPRequest) async -> HTTPReply {
        let started = ContinuousClock.now
        let route = Route(request.url.path)
        let reply = await answer(request, route)
        metrics.answered(route.label, status: reply.status, in: .now - started)
        return reply
    }

    private func answer(_ request: HTTPRequest, _ route: Route) async -> HTTPReply {
        let isPost = route.isPrediction
        guard request.method == (isPost ? .post : .get) || (request.method == .head && !isPost) else {
            var reply = Self.failure(405, "\(request.url.path) takes \(isPost ? "POST" : "GET")")
            reply.headers["Allow"] = isPost ? "POST" : "GET, HEAD"
            return reply
        }
        switch route {
        case .unknown:
            return Self.failure(
                404, "there is no \(request.url.path); there are /predict, /health, /metrics and /v2/…")
        case .metrics: return metrics.page(queueDepth: serving?.queue.depth ?? 0)
        case .live: return Self.json(200, ["live": true])
        case .ready: return readiness(["ready": true])
        case .health: return readiness(["status": "ok"])
        case .server: return Self.json(200, InferenceProtocol.serverMetadata)
        case .model(let name, let version), .modelReady(let name, let version), .infer(let name, let version):
            guard let serving else { return Self.loading }
            guard name == serving.form.modelName, version == nil || version == serving.form.modelVersion else {
                let known = serving.form.modelName + (serving.form.modelVersion.map { ", version \($0)" } ?? "")
                return Self.failure(404, "there is no such model here; there is \(known)")
            }
            switch route {
            case .model: return Self.json(200, serving.form.modelMetadata)
            case .modelReady: return readiness(["name": .string(name), "ready": true])
            default: return await chained(request) { await self.infer($0, serving) }
            }
        case .predict:
            guard let serving else { return Self.loading }
            return await chained(request) { await self.predict($0, serving) }
        }
    }

    private var serving: Serving? {
        switch phase.withLock({ $0 }) {
        case .loading: nil
        case .serving(let serving), .draining(let serving): serving
        }
    }

    private func readiness(_ body: JSONValue) -> HTTPReply {
        switch phase.withLock({ $0 }) {
        case .serving: Self.json(200, body)
        case .loading: Self.loading
        case .draining: Self.failure(503, "the server is stopping")
        }
    }

    // MARK: Predictions

    /// The request as the preprocessor has it, and the answer as the postprocessor has it. What is refused on the way is
    /// not seen by what comes after.
    private func chained(
        _ request: HTTPRequest, _ answer: (HTTPRequest) async -> HTTPReply
    ) async -> HTTPReply {
        guard let chain else { return await answer(request) }
        var request = request
        switch await chain.before(request.body) {
        case .passed(let body): request.body = body
        case .refused(let status, let message): return Self.failure(status, message)
        }
        var reply = await answer(request)
        guard reply.status == 200, case .bytes(let answered) = reply.body else { return reply }
        switch await chain.after(answered) {
        case .passed(let body): reply.body = .bytes(body)
        case .refused(let status, let message): return Self.failure(status, message)
        }
        return reply
    }

    private func predict(_ request: HTTPRequest, _ serving: Serving) async -> HTTPReply {
        await self.reply(request, serving) { body throws(PredictionRequest.Problem) in
            try PredictionRequest(predict: body, serving.form.signature, limit: maximumImages)
        } form: { _, wanted, predictions in
            predictions.reply(withScores: wanted.wantsScores, version: serving.form.modelVersion)
        }
    }

    private func infer(_ request: HTTPRequest, _ serving: Serving) async -> HTTPReply {
        if request.headers["Inference-Header-Content-Length"] != nil {
            return Self.failure(400, "tensors in binary form are not supported; send them as JSON")
        }
        return await self.reply(request, serving) { body throws(PredictionRequest.Problem) in
            try PredictionRequest(infer: body, serving.form.signature, limit: maximumImages)
        } form: { body, _, predictions in
            serving.form.reply(
                id: body["id"]?.stringValue,
                outputs: body["outputs"]?.arrayValue?.compactMap { $0["name"]?.stringValue }, predictions)
        }
    }

    private func reply(
        _ request: HTTPRequest, _ serving: Serving,
        read: (JSONValue) throws(PredictionRequest.Problem) -> PredictionRequest,
        form: (JSONValue, PredictionRequest, Predictions) -> JSONValue
    ) async -> HTTPReply {
        let body: JSONValue
        do throws(JSONError) {
            body = try JSONValue(parsing: request.body)
        } catch {
            return Self.failure(400, request.body.isEmpty ? "the body is empty" : "the body is no JSON: \(error)")
        }
        let wanted: PredictionRequest
        do throws(PredictionRequest.Problem) {
            wanted = try read(body)
        } catch {
            return Self.failure(400, error.message)
        }
        do throws(PredictionQueue.Refusal) {
            let probabilities = try await serving.queue.probabilities(wanted.pixels)
            let predictions = Predictions(
                probabilities: probabilities, classCount: serving.form.signature.classCount)
            return Self.json(200, form(body, wanted, predictions))
        } catch {
            return Self.refusal(error)
        }
    }

    // MARK: Replies

    private static func refusal(_ refusal: PredictionQueue.Refusal) -> HTTPReply {
        switch refusal {
        case .full:
            var reply = failure(429, "as many predictions wait as may; come again")
            reply.headers["Retry-After"] = "1"
            return reply
        case .late: return failure(504, "the prediction waited too long in the queue")
        case .cancelled: return .disconnect
        }
    }

    private static let loading = failure(503, "the model is being loaded")

    private static func failure(_ status: Int, _ message: String) -> HTTPReply {
        json(status, ["error": .string(message)])
    }

    private static func json(_ status: Int, _ body: JSONValue) -> HTTPReply {
        HTTPReply(status: status, headers: ["Content-Type": "application/json"], body: body.serialized())
    }
}

/// What a path asks for.
enum Route: Hashable {
    case predict
    case health
    case metrics
    case live
    case ready
    case server
    case model(String, version: String?)
    case modelReady(String, version: String?)
    case infer(String, version: String?)
    case unknown

    init(_ path: String) {
        var parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        switch parts {
        case ["predict"]: self = .predict
        case ["health"]: self = .health
        case ["metrics"]: self = .metrics
        case ["v2"]: self = .server
        case ["v2", "health", "live"]: self = .live
        case ["v2", "health", "ready"]: self = .ready
        default:
            guard parts.count >= 3, parts[0] == "v2", parts[1] == "models" else {
                self = .unknown
                return
            }
            let name = parts[2]
            parts.removeFirst(3)
            var version: String?
            if parts.count >= 2, parts[0] == "versions" {
                version = parts[1]
                parts.removeFirst(2)
            }
            switch parts {
            case []: self = .model(name, version: version)
            case ["ready"]: self = .modelReady(name, version: version)
            case ["infer"]: self = .infer(name, version: version)
            default: self = .unknown
            }
        }
    }

    var isPrediction: Bool {
        switch self {
        case .predict, .infer: true
        default: false
        }
    }

    /// For metrics: a closed set.
    var label: String {
        switch self {
        case .predict: "predict"
        case .infer: "infer"
        case .health, .live, .ready, .modelReady: "health"
        case .metrics: "metrics"
        case .server, .model: "metadata"
        case .unknown: "unknown"
        }
    }

    static let labels = ["predict", "infer", "health", "metrics", "metadata", "unknown"]
}
