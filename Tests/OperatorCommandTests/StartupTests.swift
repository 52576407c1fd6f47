import Encoding
import GoogleCloud
import Glibc
import HTTP
import Synchronization
import System
import Telemetry
import Testing

@testable import OperatorCommand

/// An API server and Google's APIs that know just enough for the operator to start, and may refuse.
final class StartWorld: HTTPHandler {
    let token = Mutex("good")

    func respond(to request: HTTPRequest) async -> HTTPReply {
        if request.url.authority.hasSuffix("googleapis.com") {
            return json(["name": "c", "locations": ["us-central1-a"], "status": "RUNNING"])
        }
        guard request.headers["Authorization"] == "Bearer \(token.withLock { $0 })" else {
            return json(
                [
                    "kind": "Status", "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized",
                    "code": 401,
                ],
                status: 401)
        }
        if request.url.path == "/api/v1/namespaces/kube-system" {
            return json(["metadata": ["name": "kube-system", "uid": "u-1"]])
        }
        return json(
            ["kind": "Status", "status": "Failure", "message": "nothing here", "reason": "NotFound", "code": 404],
            status: 404)
    }

    private func json(_ value: JSONValue, status: Int = 200) -> HTTPReply {
        HTTPReply(status: status, headers: ["Content-Type": "application/json"], body: value.serialized())
    }
}

/// Keeps log lines.
final class LogBook: LogSink {
    private let kept = Mutex<[LogLine]>([])

    var lines: [LogLine] { kept.withLock { $0 } }

    func write(_ line: LogLine) { kept.withLock { $0.append(line) } }
}

/// An operator in this process, with its files and its log.
final class StartedOperator: Sendable {
    let folder: String
    let book = LogBook()
    let stop = StopRequest()
    let world = StartWorld()
    let server: HTTPServer
    let client: CurlTransport
    private let running = Mutex<Task<Int32, Never>?>(nil)

    init() throws {
        var template = Array("/tmp/trainyard-start-XXXXXX".utf8CString)
        folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        server = try HTTPServer(handler: world)
        client = try CurlTransport()
    }

    deinit {
        unlink(kubeconfig)
        rmdir(folder)
    }

    var kubeconfig: String { folder + "/config" }

    func writeKubeconfig(server address: String? = nil, user: String = "token: good") throws {
        let text = """
            current-context: c
            contexts: [{name: c, context: {cluster: c, user: u}}]
            clusters: [{name: c, cluster: {server: "\(address ?? server.origin)"}}]
            users: [{name: u, user: {\(user)}}]
            """
        let file = try #require(fopen(kubeconfig + ".new", "w"))
        #expect(fputs(text, file) >= 0)
        fclose(file)
        try #require(rename(kubeconfig + ".new", kubeconfig) == 0)
    }

    func start(environment: [String: String] = [:], _ change: (inout Options) -> Void = { _ in }) {
        var options = Options()
        options.kubeconfig = kubeconfig
        options.cluster = ClusterName("projects/my-project/locations/us-central1/clusters/c")
        options.trainerImage = "i:1"
        options.googleEndpoint = server.origin
        options.health = Options.HealthAddress(host: "127.0.0.1", port: 0)
        options.leaderElect = false
        change(&options)
        let process = OperatorProcess(
            options: options, environment: environment, stop: stop, log: Log(sink: book),
            shortestPause: .milliseconds(50))
        running.withLock { $0 = Task { await process.run() } }
    }

    /// The readiness page once it contains a text; the last one when that takes too long.
    func readiness(containing text: String) async throws -> String {
        var page = ""
        for _ in 0..<1200 {
            if let origin = book.lines.lazy.compactMap({ $0.metadata[.address] }).first,
                case .string(let origin) = origin
            {
                let reply = try await client.send(HTTPRequest(.get, HTTPURL(origin: origin, path: "/readyz")))
                page = String(decoding: reply.body, as: UTF8.self)
                if page.contains(text) { return page }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        return page
    }

    func exitStatus() async -> Int32? { await running.withLock { $0 }?.value }

    func end() async -> Int32? {
        stop.request()
        let status = await exitStatus()
        await client.shutDown()
        await server.stop(grace: .zero)
        return status
    }
}

@Suite(.timeLimit(.minutes(3))) struct StartupTests {
    @Test func `a kubeconfig that appears later is enough; until then readiness names it`() async throws {
        let process = try StartedOperator()
        process.start()
        let path = process.kubeconfig
        let waiting = try await process.readiness(containing: path)
        #expect(
            waiting == "[-] start: \(path): No such file or directory\n[-] watches: not begun\nnot ok\n")
        try process.writeKubeconfig()
        let started = try await process.readiness(containing: "[+] start")
        #expect(started.contains("[-] watches: "))
        #expect(await process.end() == 0)
        #expect(process.book.lines.contains { $0.level == .warning && $0.message == "cannot start yet" })
    }

    @Test func `a token that is refused is named with its file, and a new one needs no restart`() async throws {
        let process = try StartedOperator()
        try process.writeKubeconfig(user: "token: expired")
        process.start()
        let waiting = try await process.readiness(containing: "Unauthorized")
        #expect(
            waiting.hasPrefix(
                "[-] start: GET namespaces: Unauthorized; the API server refused the token of users[u] in "
                    + "\(process.kubeconfig) (HTTP 401)\n"), "\(waiting)")
        try process.writeKubeconfig()
        #expect(try await process.readiness(containing: "[+] start").contains("[+] start"))
        #expect(await process.end() == 0)
        #expect(!process.book.lines.contains { "\($0)".contains("expired\"") })
    }

    @Test func `an API server that is not reachable is waited for`() async throws {
        let process = try StartedOperator()
        let absent = try HTTPServer(handler: process.world)
        await absent.stop(grace: .zero)
        try process.writeKubeconfig(server: absent.origin)
        process.start()
        let waiting = try await process.readiness(containing: "GET namespaces")
        #expect(
            waiting.hasPrefix("[-] start: GET namespaces: Couldn't connect to server: Connection refused\n"),
            "\(waiting)")
        let present = try HTTPServer(port: absent.port, handler: process.world)
        #expect(try await process.readiness(containing: "[+] start").contains("[+] start"))
        #expect(await process.end() == 0)
        await present.stop(grace: .zero)
    }

    @Test func `a credential plugin that is not installed is named`() async throws {
        let process = try StartedOperator()
        try process.writeKubeconfig(
            user:
                "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: no-such-plugin, installHint: get it}"
        )
        process.start()
        let waiting = try await process.readiness(containing: "no-such-plugin")
        #expect(
            waiting.hasPrefix(
                "[-] start: GET namespaces: \(process.kubeconfig): users[u].user.exec: no-such-plugin was not found in "
                    + "PATH; get it\n"), "\(waiting)")
        #expect(await process.end() == 0)
    }

    @Test func `a kubeconfig with wrong content, or an unknown context, ends the process with a sentence`() async throws
    {
        let wrong = try StartedOperator()
        try wrong.writeKubeconfig(user: "token: 7")
        wrong.start()
        #expect(await wrong.exitStatus() == ExitStatus.configuration)
        let message =
            "\(wrong.kubeconfig):4: users[u].user.token: expected text (numbers and words such as yes need quotes)"
        #expect(wrong.book.lines.last?.metadata[.errorMessage] == .string(message))
        _ = await wrong.end()
        let context = try StartedOperator()
        try context.writeKubeconfig()
        context.start { $0.context = "prod" }
        #expect(await context.exitStatus() == ExitStatus.configuration)
        let unknown = "\(context.kubeconfig) has no context named \"prod\"; there are c"
        #expect(context.book.lines.last?.metadata[.errorMessage] == .string(unknown))
        _ = await context.end()
    }

    @Test func `being asked to stop while it waits is a clean end`() async throws {
        let process = try StartedOperator()
        process.start()
        _ = try await process.readiness(containing: "No such file")
        #expect(await process.end() == 0)
    }

    @Test func `a taken health port ends the process before anything else`() async throws {
        let process = try StartedOperator()
        process.start { $0.health?.port = process.server.port }
        #expect(await process.exitStatus() == ExitStatus.unavailable)
        _ = await process.end()
    }

    @Test func `without a flag the cluster's name comes from the metadata server`() async throws {
        let metadata = try HTTPServer(handler: MetadataServer())
        let process = try StartedOperator()
        try process.writeKubeconfig()
        process.start(environment: ["GCE_METADATA_HOST": "127.0.0.1:\(metadata.port)"]) { $0.cluster = nil }
        #expect(try await process.readiness(containing: "[+] start").contains("[+] start"))
        let name = LogValue.string("projects/my-project/locations/europe-west4/clusters/found")
        #expect(process.book.lines.contains { $0.metadata[.name] == name })
        #expect(await process.end() == 0)
        await metadata.stop(grace: .zero)
    }

    @Test func `with neither, readiness says which flag is missing while it waits`() async throws {
        let process = try StartedOperator()
        try process.writeKubeconfig()
        process.start(environment: ["GCE_METADATA_HOST": "127.0.0.1:\(process.server.port)"]) { $0.cluster = nil }
        let waiting = try await process.readiness(containing: "no metadata server")
        #expect(waiting.contains("--cluster"), "\(waiting)")
        #expect(await process.end() == 0)
    }

    @Test func `a credential file that is not there yet is named, and a private key ends the process`() async throws {
        let process = try StartedOperator()
        try process.writeKubeconfig()
        let missing = process.folder + "/credentials.json"
        process.start(environment: ["GOOGLE_APPLICATION_CREDENTIALS": missing]) { $0.googleEndpoint = nil }
        let waiting = try await process.readiness(containing: "credentials.json")
        #expect(
            waiting.hasPrefix("[-] start: credentials: \(missing) cannot be read: No such file or directory\n"),
            "\(waiting)")
        #expect(process.book.lines.contains { $0.metadata[.path] == .string(missing) })
        #expect(await process.end() == 0)

        let key = try StartedOperator()
        try key.writeKubeconfig()
        let path = key.folder + "/key.json"
        let file = try #require(fopen(path, "w"))
        #expect(fputs(#"{"type": "service_account", "private_key": "canary"}"#, file) >= 0)
        fclose(file)
        defer { unlink(path) }
        key.start(environment: ["GOOGLE_APPLICATION_CREDENTIALS": path]) { $0.googleEndpoint = nil }
        #expect(await key.exitStatus() == ExitStatus.configuration)
        guard case .string(let message)? = key.book.lines.last?.metadata[.errorMessage] else {
            Issue.record("no message")
            return
        }
        #expect(
            message.contains("holds a service account's private key, which is not supported: use workload identity"))
        #expect(!"\(key.book.lines)".contains("canary"))
        _ = await key.end()
    }

    @Test func `without credentials readiness says where they are looked for`() async throws {
        let process = try StartedOperator()
        try process.writeKubeconfig()
        process.start(
            environment: ["GCE_METADATA_HOST": "127.0.0.1:\(process.server.port)", "HOME": process.folder]
        ) { $0.googleEndpoint = nil }
        let waiting = try await process.readiness(containing: "metadata.token")
        #expect(
            waiting.hasPrefix(
                "[-] start: metadata.token: what answers at 127.0.0.1:\(process.server.port) is no metadata server"),
            "\(waiting)")
        #expect(await process.end() == 0)
    }

    @Test func `patience ends with the last error`() async throws {
        let startup = Startup(stop: StopRequest(), log: .silent, shortestPause: .milliseconds(10))
        let tries = Mutex(0)
        await #expect(throws: APIError(.unavailable, operation: "o", message: "m")) {
            try await startup.keepTrying(patience: .milliseconds(50)) {
                tries.withLock { $0 += 1 }
                throw APIError(.unavailable, operation: "o", message: "m")
            }
        }
        #expect(tries.withLock { $0 } > 1)
        #expect(startup.missing == "o: m")
    }
}

private struct MetadataServer: HTTPHandler {
    func respond(to request: HTTPRequest) async -> HTTPReply {
        let values = ["project-id": "my-project", "cluster-location": "europe-west4", "cluster-name": "found"]
        let name = request.url.path.split(separator: "/").last.map(String.init) ?? ""
        guard let value = values[name] else { return HTTPReply(status: 404, headers: ["Metadata-Flavor": "Google"]) }
        return HTTPReply(status: 200, headers: ["Metadata-Flavor": "Google"], body: Array(value.utf8))
    }
}
