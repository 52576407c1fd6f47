import CloudChecks
import Encoding
import HTTP
import Sandbox
import Synchronization
import Telemetry
import Testing

/// A simulated Cloud Storage over loopback.
enum CloudFixture {
    /// With the buckets `data-bucket` and `runs-bucket`.
    static func cloud() async throws -> SimulatedCloud {
        let cloud = SimulatedCloud(CloudConfiguration(clock: SystemClock(), inspection: .ofTests))
        for bucket in ["data-bucket", "runs-bucket"] {
            let url = try #require(HTTPURL("https://storage.googleapis.com/storage/v1/b?project=sandbox-project"))
            let body = JSONValue.object(["name": .string(bucket)]).serialized()
            let reply = await cloud.respond(
                to: HTTPRequest(.post, url, headers: ["Content-Type": "application/json"], body: body))
            #expect(reply.status == 200)
        }
        return cloud
    }

    /// Runs `body` with the server's origin.
    static func serving(_ handler: some HTTPHandler, _ body: (String) async throws -> Void) async throws {
        let server = try HTTPServer(handler: handler)
        do {
            try await body(server.origin)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }
}

/// A cloud whose requests are noted, and some of which are answered otherwise.
final class NotingCloud: HTTPHandler {
    /// A download, as it was asked for.
    struct Download: Sendable, Hashable {
        var name: String
        var range: String?
    }

    private struct State: Sendable {
        var downloads: [Download] = []
        var override: (@Sendable (HTTPRequest) async -> HTTPReply?)?
    }

    let cloud: SimulatedCloud
    private let state = Mutex(State())

    init(_ cloud: SimulatedCloud) { self.cloud = cloud }

    var downloads: [Download] { state.withLock { $0.downloads } }

    func forget() { state.withLock { $0.downloads = [] } }

    /// Nil answers let the cloud answer.
    func answer(_ override: (@Sendable (HTTPRequest) async -> HTTPReply?)?) {
        state.withLock { $0.override = override }
    }

    static func isDownload(_ request: HTTPRequest) -> Bool { request.url.query.contains { $0.name == "alt" } }

    func respond(to request: HTTPRequest) async -> HTTPReply {
        if Self.isDownload(request) {
            let name = request.url.path.split(separator: "/").last.map(String.init) ?? ""
            let download = Download(name: name, range: request.headers["Range"])
            state.withLock { $0.downloads.append(download) }
        }
        let override = state.withLock { $0.override }
        if let override, let reply = await override(request) { return reply }
        return await cloud.respond(to: request)
    }
}
