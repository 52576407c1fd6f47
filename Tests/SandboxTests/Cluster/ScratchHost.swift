import Encoding
import FoundationEssentials
import HTTP
import Sandbox
import Telemetry
import Testing
import YAML

struct WallNow: WallClock {
    var now: Timestamp { Timestamp(seconds: Int64(Date().timeIntervalSince1970)) }
    func sleep(until moment: Timestamp) async throws(CancellationError) {}
}
struct Logged: HTTPHandler {
    let inner: any HTTPHandler
    func respond(to request: HTTPRequest) async -> HTTPReply {
        let reply = await inner.respond(to: request)
        print("\(request.method.rawValue) \(request.url.target) \(request.headers["Content-Type"] ?? "") \(request.headers["Accept"] ?? "") -> \(reply.status)")
        return reply
    }
}

@Suite struct ScratchHost {
    @Test(.enabled(if: ProcessInfo.processInfo.environment["TY_CRDS"] != nil)) func `host`() async throws {
        let env = ProcessInfo.processInfo.environment
        var crds: [JSONValue] = []
        for dir in env["TY_CRDS"]!.split(separator: ":") {
            for f in try FileManager.default.contentsOfDirectory(atPath: String(dir)).sorted() where f.hasSuffix(".yaml") {
                crds += try YAML.documents(String(contentsOfFile: "\(dir)/\(f)", encoding: .utf8)).map(\.json)
            }
        }
        let c = ContinuousClock()
        let t0 = c.now
        let cluster = try SimulatedCluster(ClusterConfiguration(crds: crds, users: ["admin": SimulatedUser(name: "admin")], clock: WallNow()))
        print("loaded in \(c.now - t0)")
        let server = try HTTPServer(port: 18080, handler: env["TY_LOG"] != nil ? Logged(inner: cluster) as any HTTPHandler : cluster)
        print("up \(server.origin)")
        while true {
            try await Task.sleep(for: .milliseconds(50))
            await cluster.tick()
        }
    }
}
