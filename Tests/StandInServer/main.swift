import Glibc
import HTTP
import Synchronization
import System

// A small server in a container's place: says who it is, and does on request what containers do wrong.
//
//   --exit N         ends at once with that status
//   --deaf           never listens
//   --stubborn       does not end on SIGTERM
//   --unhealthy      answers /health with 503
//   --after N        listens after so many milliseconds

private struct Plan {
    var exitStatus: Int32?
    var isDeaf = false
    var isStubborn = false
    var isUnhealthy = false
    var delayMilliseconds: UInt32 = 0

    init(_ arguments: [String]) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "--exit": exitStatus = rest.popFirst().flatMap { Int32($0) }
            case "--deaf": isDeaf = true
            case "--stubborn": isStubborn = true
            case "--unhealthy": isUnhealthy = true
            case "--after": delayMilliseconds = rest.popFirst().flatMap { UInt32($0) } ?? 0
            default: break
            }
        }
    }
}

private final class StandIn: HTTPHandler {
    private let plan: Plan
    private let environment = ProcessEnvironment.variables
    private let atOnce = Mutex<(now: Int, most: Int)>((0, 0))

    init(_ plan: Plan) { self.plan = plan }

    func respond(to request: HTTPRequest) async -> HTTPReply {
        let most = atOnce.withLock { count in
            count.now += 1
            count.most = max(count.most, count.now)
            return count.most
        }
        defer { atOnce.withLock { $0.now -= 1 } }
        switch request.url.path {
        case "/health": return text(plan.isUnhealthy ? 503 : 200, "health")
        case "/slow":
            let wait = request.url.queryValue("ms").flatMap { Int64($0) } ?? 0
            try? await Task.sleep(for: .milliseconds(wait))
            return text(200, "\(most)")
        case "/fail": return text(500, "as asked")
        case "/env": return text(200, environment[request.url.queryValue("name") ?? ""] ?? "")
        case "/file":
            let path = environment[request.url.queryValue("variable") ?? ""] ?? ""
            let bytes = try? SmallFile.bytes(path, limit: 1 << 20)
            return text(bytes == nil ? 404 : 200, String(decoding: bytes ?? [], as: UTF8.self))
        case "/header": return text(200, request.headers[request.url.queryValue("name") ?? ""] ?? "")
        case "/echo": return HTTPReply(status: 200, body: request.body)
        default: return text(200, environment["K_REVISION"] ?? "")
        }
    }

    private func text(_ status: Int, _ text: String) -> HTTPReply { HTTPReply(status: status, body: Array(text.utf8)) }
}

private let plan = Plan(Array(CommandLine.arguments.dropFirst()))
if let status = plan.exitStatus { exit(status) }
private let stop = StopRequest.bySignals()
usleep(plan.delayMilliseconds * 1000)
private let server =
    plan.isDeaf
    ? nil
    : try HTTPServer(
        port: ProcessEnvironment.variables["PORT"].flatMap { UInt16($0) } ?? 8080, handler: StandIn(plan))
while !stop.isRequested || plan.isStubborn { try await Task.sleep(for: .milliseconds(5)) }
await server?.stop(grace: .seconds(8))
