import Encoding
import Glibc
import HTTP

/// The canned API server in a process of its own, so that its memory and CPU are not the operator's.
struct ServerProcess: Sendable {
    let origin: String
    let folder: String
    private let child: Child
    private let transport: CurlTransport

    /// This program again, as `serve`.
    static func serve(_ arguments: [String]) async throws {
        var settings = CannedServer.Settings()
        var portFile = ""
        var rest = arguments[...]
        while let flag = rest.popFirst() {
            guard let value = rest.popFirst() else { throw BenchmarkError("serve: \(flag) needs a value") }
            switch flag {
            case "--objects": settings.objectCount = Int(value) ?? 0
            case "--streams": settings.streams = value == "true"
            case "--port-file": portFile = value
            default: throw BenchmarkError("serve: unknown argument \(flag)")
            }
        }
        let server = try HTTPServer(handler: try CannedServer(settings))
        try Machine.write(server.origin, to: portFile + ".part")
        guard rename(portFile + ".part", portFile) == 0 else { throw BenchmarkError("cannot write \(portFile)") }
        while !Task.isCancelled { try await Task.sleep(for: .seconds(3600)) }
    }

    /// Runs `body` with a server, which is gone afterwards.
    static func with<Result>(
        objects: Int, streams: Bool = true, _ body: (ServerProcess) async throws -> Result
    ) async throws -> Result {
        let temporary = try TemporaryFolder()
        defer { withExtendedLifetime(temporary) {} }
        let folder = temporary.path
        let portFile = folder + "/port"
        let child = try Child(
            "/proc/self/exe",
            ["serve", "--objects", String(objects), "--streams", String(streams), "--port-file", portFile],
            log: folder + "/server.log")
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            if let origin = Machine.read(portFile), !origin.isEmpty {
                let server = ServerProcess(
                    origin: origin, folder: folder, child: child, transport: try CurlTransport(options: CurlOptions()))
                do {
                    let result = try await body(server)
                    await server.transport.shutDown()
                    return result
                } catch {
                    await server.transport.shutDown()
                    throw error
                }
            }
            guard child.isRunning, ContinuousClock.now < deadline else {
                throw BenchmarkError("the server does not start: " + (Machine.read(folder + "/server.log") ?? ""))
            }
            await Machine.sleep(milliseconds: 10)
        }
    }

    /// A file with credentials for the server; the token names the user in the request log.
    func kubeconfig(user: String) throws -> String {
        let path = "\(folder)/kubeconfig-\(user)"
        try Machine.write(Self.kubeconfig(server: origin, user: user), to: path)
        return path
    }

    static func kubeconfig(server: String, user: String) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: bench
        contexts: [{name: bench, context: {cluster: bench, user: \(user)}}]
        clusters: [{name: bench, cluster: {server: "\(server)"}}]
        users: [{name: \(user), user: {token: \(user)}}]
        """
    }

    // MARK: Its controls

    @discardableResult
    func control(_ path: String, timeout: Duration = .seconds(120)) async throws -> JSONValue {
        guard let url = HTTPURL("\(origin)/benchmark/\(path)") else { throw BenchmarkError("a wrong URL") }
        let response = try await transport.send(
            HTTPRequest(.post, url, timeout: timeout, maximumResponseBytes: 1 << 30))
        guard response.isSuccess else { throw BenchmarkError("\(path): status \(response.status)") }
        return try JSONValue(parsing: response.body)
    }

    struct Entry: Sendable {
        /// By the machine's monotonic clock.
        var nanoseconds: Int64
        var user: String
        var verb: String
        var path: String

        /// Changes something, and is not about who leads.
        var isChange: Bool { ["POST", "PUT", "PATCH", "DELETE"].contains(verb) && !path.contains("/leases") }
    }

    /// What it was asked since its start.
    func requests() async throws -> [Entry] {
        (try await control("requests").arrayValue ?? []).map { entry in
            Entry(
                nanoseconds: entry["at"]?.integerValue ?? 0, user: entry["user"]?.stringValue ?? "",
                verb: entry["verb"]?.stringValue ?? "", path: entry["path"]?.stringValue ?? "")
        }
    }

    /// Waits until the log holds something.
    func wait(_ what: String, within limit: Duration, _ holds: ([Entry]) -> Bool) async throws -> [Entry] {
        let deadline = ContinuousClock.now + limit
        while true {
            let log = try await requests()
            if holds(log) { return log }
            guard ContinuousClock.now < deadline else { throw BenchmarkError("never came: \(what)") }
            await Machine.sleep(milliseconds: 50)
        }
    }
}
