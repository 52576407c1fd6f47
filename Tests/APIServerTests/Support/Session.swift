import Encoding
import HTTP
import Testing
import YAML

/// One scenario's talk with one server: sends requests, writes the transcript.
final class Session {
    let server: APIServer
    /// A namespace of the scenario's own; `NS` in paths and bodies stands for it.
    let namespace: String
    private(set) var transcript: Transcript
    private var masks: Masks
    private var watches: [WatchSession] = []
    /// What older servers do not have has no reply of theirs.
    private let since: Int?

    init(_ name: String, since: Int?, on server: APIServer) async throws {
        self.server = server
        self.since = since
        namespace = "t-" + String(UInt64.random(in: 1 << 60 ... .max), radix: 36)
        transcript = Transcript(name: name)
        masks = Masks(namespace: namespace)
        try await server.arrange(
            .post, "/api/v1/namespaces",
            ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(namespace)]])
    }

    /// Shows managedFields in the transcript; they are hidden otherwise, since most steps are not about them.
    func showManagedFields() { masks.hidesManagedFields = false }

    /// A path in this session's namespace, whose place is held by `NS`; a continuation's token may have these letters too.
    private func placed(_ path: String) -> String {
        let end = path.firstRange(of: "continue=")?.upperBound ?? path.endIndex
        return String(path[..<end]).replacing("NS", with: namespace) + path[end...]
    }

    /// Shows `name` in the transcript wherever `text` is found.
    func hide(_ text: String, as name: String) { if !text.isEmpty { masks.hide(text, as: name) } }

    func end() async {
        watches.forEach { $0.cancel() }
        // The server goes with the test run; an error here says nothing about the scenario.
        _ = try? await server.arrange(.delete, "/api/v1/namespaces/\(namespace)")
    }

    struct Reply {
        var status: Int
        var headers: HTTPHeaders
        var json: JSONValue

        var resourceVersion: String { json.value(at: ["metadata", "resourceVersion"])?.stringValue ?? "" }
        var uid: String { json.value(at: ["metadata", "uid"])?.stringValue ?? "" }
        var name: String { json.value(at: ["metadata", "name"])?.stringValue ?? "" }
        var continueToken: String { json.value(at: ["metadata", "continue"])?.stringValue ?? "" }
    }

    /// What a step says beside method, path and body.
    struct Options {
        var type = "application/json"
        var accept = "application/json"
        var token = APIServer.adminToken
        var userAgent: String?
        /// The minor version from which on the reply is another.
        var changedIn: Int?
        /// Whether the reply is left out of the transcript.
        var isQuiet = false
        /// What of the reply is compared; all of it when nil.
        var only: ((JSONValue) -> JSONValue)?
    }

    @discardableResult
    func call(
        _ method: HTTPMethod, _ path: String, _ body: JSONValue? = nil, type: String = "application/json",
        accept: String = "application/json", token: String = APIServer.adminToken, userAgent: String? = nil,
        changedIn: Int? = nil, only: ((JSONValue) -> JSONValue)? = nil
    ) async throws -> Reply {
        let options = Options(
            type: type, accept: accept, token: token, userAgent: userAgent, changedIn: changedIn, only: only)
        return try await call(method, path, bytes: body.map { resolved($0).serialized() } ?? [], shown: body, options)
    }

    /// Sends a body that is no JSON.
    @discardableResult
    func call(
        _ method: HTTPMethod, _ path: String, text: String, _ options: Options = Options()
    ) async throws -> Reply {
        let bytes = Array(text.replacing("NS", with: namespace).utf8)
        let shown = text.utf8.count > 500 ? "\(text.prefix(80))… (\(text.utf8.count) bytes)" : text
        return try await call(method, path, bytes: bytes, shown: .string(shown), options)
    }

    /// A request whose reply is not compared.
    @discardableResult
    func quiet(
        _ method: HTTPMethod, _ path: String, _ body: JSONValue? = nil, type: String = "application/json"
    ) async throws -> Reply {
        let target = placed(path)
        let json = try await server.arrange(method, target, body.map(resolved), type: type)
        _ = masks.masked(json)  // Its uid and revision are known from now on.
        return Reply(status: 200, headers: HTTPHeaders(), json: json)
    }

    /// Makes or replaces a CustomResourceDefinition; it is in force a moment later.
    func define(_ definition: JSONValue) async throws {
        let name = definition.value(at: ["metadata", "name"])?.stringValue ?? ""
        let path = "\(Paths.definitions)/\(name)"
        guard let current = try? await server.arrange(.get, path) else {
            try await server.arrange(.post, Paths.definitions, definition)
            return
        }
        var changed = current
        changed["spec"] = definition["spec"]
        try await server.arrange(.put, path, changed)
    }

    /// Repeats a request that is not compared until its status is as wanted, half a minute at most.
    func waitUntil(_ method: HTTPMethod, _ path: String, _ body: JSONValue? = nil, is status: Int) async throws {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(30)
        let headers: HTTPHeaders = ["Accept": "application/json", "Content-Type": "application/json"]
        while clock.now < deadline {
            let request = server.request(
                method, placed(path), body: body.map { resolved($0).serialized() } ?? [],
                headers: headers)
            if try await server.transport.send(request).status == status { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ArrangementFailure("\(method.rawValue) \(path) was never answered with \(status)")
    }

    private func call(
        _ method: HTTPMethod, _ path: String, bytes: [UInt8], shown: JSONValue?, _ options: Options
    ) async throws -> Reply {
        var headers: HTTPHeaders = HTTPHeaders()
        if !options.accept.isEmpty { headers["Accept"] = options.accept }
        if !bytes.isEmpty, !options.type.isEmpty { headers["Content-Type"] = options.type }
        if let agent = options.userAgent { headers["User-Agent"] = agent }
        let request = server.request(
            method, placed(path), body: bytes, headers: headers, token: options.token)
        let response = try await send(request)
        let isJSON = response.body.first == UInt8(ascii: "{") || response.body.first == UInt8(ascii: "[")
        let plain = String(decoding: response.body, as: UTF8.self)
        let isYAML = response.headers["Content-Type"] == "application/yaml"
        let json =
            isJSON ? try JSONValue(parsing: response.body) : isYAML ? try YAML.document(plain).json : .string(plain)
        let text = "\(response.status)\(shownHeaders(response.headers))\n\(shownBody(json, options))"
        step(title(method, path, shown, options), text, changedIn: options.changedIn, path: path)
        return Reply(status: response.status, headers: response.headers, json: json)
    }

    /// A watch that should have been refused never ends: a minute is enough for everything else.
    private func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        let transport = server.transport
        let sending = Task { try await transport.send(request) }
        let watchdog = Task {
            try await Task.sleep(for: .seconds(60))
            sending.cancel()
        }
        defer { watchdog.cancel() }
        return try await sending.value
    }

    private func shownHeaders(_ headers: HTTPHeaders) -> String {
        var text = " \(headers["Content-Type"] ?? "")"
        for field in headers.fields where field.name.lowercased() == "warning" { text += "\nWarning: \(field.value)" }
        if let value = headers["Retry-After"] { text += "\nRetry-After: \(value)" }
        return masks.text(text)
    }

    private func shownBody(_ json: JSONValue, _ options: Options) -> String {
        if case .string(let text) = json { return JSONValue.string(masks.text(text)).serializedText() }
        let masked = masks.masked(json)
        let shown = options.only?(masked) ?? masked
        return Session.shownFailure(shown) ?? PrettyJSON.text(shown)
    }

    /// A failure without what is the same in all of them.
    private static func shownFailure(_ json: JSONValue) -> String? {
        guard case .object(var members) = json, members["kind"] == "Status", members["apiVersion"] == "v1",
            members["metadata"] == [:], members["status"] == "Failure"
        else { return nil }
        for key in ["kind", "apiVersion", "metadata", "status"] { members[key] = nil }
        return "Failure " + PrettyJSON.text(.object(members))
    }

    private func title(_ method: HTTPMethod, _ path: String, _ body: JSONValue?, _ options: Options) -> String {
        var title = "\(method.rawValue) \(masks.text(HTTPURL.decoded(path) ?? path))"
        if body != nil, options.type != "application/json" { title += "\nContent-Type: \(options.type)" }
        if options.accept != "application/json" { title += "\nAccept: \(options.accept)" }
        if options.token != APIServer.adminToken { title += "\nAs: \(options.token)" }
        if let agent = options.userAgent { title += "\nUser-Agent: \(agent)" }
        if let body {
            if case .string(let text) = body {
                title += "\n" + masks.text(text)
            } else {
                title += "\n" + PrettyJSON.text(masks.masked(body))
            }
        }
        return title
    }

    /// Adds a step of the test's own to the transcript.
    func note(_ title: String, _ text: String, changedIn: Int? = nil) {
        step(title, text, changedIn: changedIn, path: "/version")
    }

    private func step(_ request: String, _ reply: String, changedIn: Int?, path: String) {
        let minor = server.minor(of: path)
        let versions = (changedIn ?? since).map { minor < $0 ? "before 1.\($0)" : "from 1.\($0)" } ?? ""
        let isKnown = since.map { minor >= $0 } ?? true
        transcript.steps.append(Transcript.Step(request: request, replies: [(versions, reply)], isCompared: isKnown))
    }

    /// The value with the scenario's namespace for every text `NS`.
    private func resolved(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members): .object(members.mapValues(resolved))
        case .array(let elements): .array(elements.map(resolved))
        case .string(let text): .string(text.replacing("NS", with: namespace))
        default: value
        }
    }

    // MARK: Watches

    /// Begins a watch. `name` stands for it in the transcript.
    func watch(_ path: String, name: String = "watch", accept: String = "application/json") async throws -> WatchSession
    {
        let request = server.request(.get, placed(path), headers: ["Accept": accept])
        let stream = try await server.transport.open(request)
        let watch = WatchSession(stream, name: name, path: path)
        watches.append(watch)
        step(
            "WATCH \(masks.text(HTTPURL.decoded(path) ?? path))", "\(stream.status)\(shownHeaders(stream.headers))",
            changedIn: nil, path: path)
        return watch
    }

    /// Writes the next events of a watch into the transcript; `end` stands for the end of the stream.
    @discardableResult
    func events(
        _ watch: WatchSession, _ count: Int, changedIn: Int? = nil, only: ((JSONValue) -> JSONValue)? = nil
    ) async throws -> [JSONValue] {
        var events: [JSONValue] = []
        var lines: [String] = []
        while events.count < count {
            guard let event = try await watch.next() else {
                lines.append("end")
                break
            }
            events.append(event)
            let masked = masks.masked(event)
            lines.append(PrettyJSON.text(only?(masked) ?? masked))
        }
        step("EVENTS of \(watch.name): \(count)", lines.joined(separator: "\n"), changedIn: changedIn, path: watch.path)
        return events
    }
}

/// The events of one watch, one after the other.
final class WatchSession {
    let name: String
    let path: String
    private let stream: HTTPStream
    private var buffer: [UInt8] = []

    init(_ stream: HTTPStream, name: String, path: String) {
        self.stream = stream
        self.name = name
        self.path = path
    }

    /// The next event, nil at the end. A minute of silence ends the watch, which is an issue.
    func next() async throws -> JSONValue? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                return try JSONValue(parsing: line)
            }
            guard let chunk = try await chunk() else { return nil }
            buffer += chunk
        }
    }

    private func chunk() async throws -> [UInt8]? {
        let stream = stream
        let watchdog = Task {
            try await Task.sleep(for: .seconds(60))
            Issue.record("no event came within a minute")
            stream.cancel()
        }
        defer { watchdog.cancel() }
        return try await stream.next()
    }

    func cancel() { stream.cancel() }
}
