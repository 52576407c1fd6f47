import Encoding
import GoogleCloud
import HTTP
import Telemetry
import Training

/// The services before and after the predictor: what a client sends goes through `upstream` first, what it gets through
/// `downstream` last. Each gets a POST of JSON and answers with the JSON that takes its place.
struct ProcessorChain: Sendable {
    /// What became of a body.
    enum Outcome: Sendable {
        case passed([UInt8])
        case refused(status: Int, message: String)
    }

    /// Where a processor is asked.
    static let upstreamPath = "/preprocess"
    static let downstreamPath = "/postprocess"
    private static let answerBytes = 32 << 20

    var upstream: String?
    var downstream: String?
    let invoker: RunInvoker
    /// Of one call; also a processor's cold start must fit.
    var timeout: Duration

    init(_ options: ServeOptions, environment: [String: String], clock: any WallClock) throws(APIError) {
        upstream = options.upstream
        downstream = options.downstream
        timeout = options.queue.deadline
        let transport = try CurlTransport(options: CurlOptions(userAgent: "trainyard-trainer"))
        let host = environment["GCE_METADATA_HOST"].flatMap { $0.isEmpty ? nil : $0 }
        let identity: any IdentityTokenSource =
            if host == nil, [upstream, downstream].compactMap({ $0 }).allSatisfy(Self.isHere) {
                NoIdentity()
            } else {
                try MetadataServerIdentity(
                    host: host ?? MetadataServerTokens.defaultHost, transport: transport, clock: clock)
            }
        invoker = RunInvoker(transport: transport, identity: identity, clock: clock)
    }

    /// A process of this machine is asked by whoever runs it, without a token.
    private static func isHere(_ url: String) -> Bool {
        HTTPURL(url).map { Loopback.contains(authority: $0.authority) } ?? false
    }

    func before(_ body: [UInt8]) async -> Outcome { await pass(body, through: upstream, Self.upstreamPath, "pre") }

    func after(_ body: [UInt8]) async -> Outcome { await pass(body, through: downstream, Self.downstreamPath, "post") }

    private func pass(_ body: [UInt8], through url: String?, _ path: String, _ name: String) async -> Outcome {
        guard let url else { return .passed(body) }
        do throws(APIError) {
            let answer = try await invoker.send(
                path, body: body, to: url, audience: url, timeout: timeout, maximumResponseBytes: Self.answerBytes)
            switch answer.status {
            case 200: return .passed(answer.body)
            // The client's fault: what the processor says is for the client.
            case 400, 413, 415, 422, 429:
                return .refused(
                    status: answer.status, message: Self.sentence(answer.body, "the \(name)processor refused it"))
            default: return .refused(status: 502, message: "the \(name)processor answered with HTTP \(answer.status)")
            }
        } catch {
            let status = error.code == .timeout ? 504 : 502
            return .refused(status: status, message: "the \(name)processor does not answer (\(error.code))")
        }
    }

    private static func sentence(_ body: [UInt8], _ standard: String) -> String {
        guard body.count <= 4096, let text = (try? JSONValue(parsing: body))?["error"]?.stringValue else {
            return standard
        }
        return String(text.prefix(500))
    }
}

/// Goes without a token.
private struct NoIdentity: IdentityTokenSource {
    func token(for audience: String) async throws(APIError) -> AccessToken? { nil }
}
