internal import Encoding
internal import HTTP

/// One Google API beside GKE and Cloud Storage: its state over virtual time and its rules. Pure.
protocol CloudAPI: Sendable {
    /// What it answers to; the first match counts.
    static var routes: [Route] { get }

    /// Moves everything whose time has come.
    mutating func advance(in world: CloudWorld)

    /// Does what a request asks for.
    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply
}

extension CloudAPI {
    mutating func advance(in world: CloudWorld) {}
}

/// What an API sees besides its own state and the request.
struct CloudWorld: Sendable {
    var configuration: CloudConfiguration
    var script: CloudScript
    var now: Timestamp
    var container: ContainerState

    var timings: APITimings { configuration.timings.apis }
    var project: String { configuration.project }
    /// The zones of the cluster's region and those that have TPUs.
    var zones: [String] { configuration.zones + configuration.tpuZones.filter { !configuration.zones.contains($0) } }
}

/// What several APIs read and write.
struct SharedState: Sendable {
    var tokens = TokenIssuer()
    var identities: Identities
    var services = EnabledServices()
}

/// A verb and a path with variables: `v2/projects/{project}/locations/{location}/services/{service}:setIamPolicy`.
struct Route: Sendable {
    let verb: HTTPMethod
    let segments: [Substring]
    /// After the colon of the last segment.
    let customVerb: Substring?
    let method: String

    /// - Parameter method: the method's id, as faults name it: `run.services.create`.
    init(_ verb: HTTPMethod, _ template: String, _ method: String) {
        self.verb = verb
        self.method = method
        let parts = template.split(separator: ":", maxSplits: 1)
        segments = (parts.first ?? "").split(separator: "/")
        customVerb = parts.count == 2 ? parts[1] : nil
    }

    /// The variables' values, percent-decoded; nil when this is another path.
    ///
    /// A last variable takes no colon unless the route names what follows it.
    func match(_ verb: HTTPMethod, _ path: [Substring]) -> [String: String]? {
        guard verb == self.verb, path.count == segments.count else { return nil }
        var values: [String: String] = [:]
        for (index, pattern) in segments.enumerated() {
            var segment = path[index]
            if index == segments.count - 1 {
                let colon = segment.lastIndex(of: ":")
                guard customVerb == colon.map({ segment[segment.index(after: $0)...] }) else { return nil }
                if let colon { segment = segment[..<colon] }
            }
            if pattern.hasPrefix("{") {
                guard !segment.isEmpty, let value = HTTPURL.decoded(segment) else { return nil }
                values[String(pattern.dropFirst().dropLast())] = value
            } else if pattern != segment {
                return nil
            }
        }
        return values
    }
}

/// A request whose method is known.
struct APICall: Sendable {
    var method: String
    /// The path's variables.
    var parameters: [String: String]
    var request: HTTPRequest

    /// A variable of the path; empty when the route has none of that name.
    subscript(name: String) -> String { parameters[name] ?? "" }

    func query(_ name: String) -> String? { request.url.queryValue(name) }

    func flag(_ name: String) -> Bool { query(name) == "true" }

    /// The body as an object; no body is an empty one.
    ///
    /// - Throws: 400 for what is no JSON object.
    func body() throws(CloudError) -> JSONValue {
        if request.body.isEmpty { return [:] }
        guard let value = try? JSONValue(parsing: request.body), value.objectValue != nil else {
            throw .invalidArgument("Invalid JSON payload received. Unexpected token.")
        }
        return value
    }

    /// The items of the page that `pageSize`/`maxResults` and `pageToken` ask for, as the reply writes them: an empty
    /// list is left out.
    ///
    /// - Throws: 400 for a page token that no reply has given.
    func page(_ key: String, _ items: [JSONValue], limit: Int = 1000) throws(CloudError) -> JSONValue {
        let asked = (query("pageSize") ?? query("maxResults")).map { Int($0) ?? -1 } ?? 0
        guard asked >= 0 else { throw .invalidArgument("page_size must not be negative.") }
        let size = asked == 0 ? limit : min(asked, limit)
        var start = 0
        if let token = query("pageToken"), !token.isEmpty {
            guard let offset = Self.offset(of: token), offset <= items.count else {
                throw .invalidArgument("The page token \"\(token)\" is invalid.")
            }
            start = offset
        }
        let end = min(items.count, start + size)
        var reply: JSONValue = [:]
        if end > start { reply[key] = .array(Array(items[start..<end])) }
        if end < items.count { reply["nextPageToken"] = .string(Base64.encodeURL(Array("page:\(end)".utf8))) }
        return reply
    }

    private static func offset(of token: String) -> Int? {
        guard let bytes = Base64.decodeURL(token), let text = String(validating: bytes, as: UTF8.self),
            text.hasPrefix("page:")
        else { return nil }
        return Int(text.dropFirst(5)).flatMap { $0 >= 0 ? $0 : nil }
    }
}

extension CloudError {
    static func invalidArgument(_ message: String) -> CloudError {
        CloudError(status: 400, reason: "INVALID_ARGUMENT", message: message)
    }

    /// One field that is wrong, in snake case.
    static func invalidField(_ path: String, _ message: String) -> CloudError {
        CloudError(
            status: 400, reason: "INVALID_ARGUMENT", message: message,
            violations: [BodySchema.Violation(path: path, description: message)])
    }

    static func failedPrecondition(_ message: String) -> CloudError {
        CloudError(status: 400, reason: "FAILED_PRECONDITION", message: message)
    }

    static func resourceNotFound(_ message: String) -> CloudError {
        CloudError(status: 404, reason: "NOT_FOUND", message: message)
    }

    static func alreadyExists(_ message: String) -> CloudError {
        CloudError(status: 409, reason: "ALREADY_EXISTS", message: message)
    }

    static func aborted(_ message: String) -> CloudError {
        CloudError(status: 409, reason: "ABORTED", message: message)
    }

    /// google.rpc.ErrorInfo.
    static func errorInfo(_ reason: String, domain: String, _ metadata: [String: String]) -> JSONValue {
        [
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": .string(reason), "domain": .string(domain),
            "metadata": .object(metadata.mapValues(JSONValue.string)),
        ]
    }
}

extension JSONValue {
    /// Sets a member unless the value is the default, which Google's replies leave out.
    mutating func setUnlessDefault(_ key: String, _ value: JSONValue) {
        switch value {
        case .null, .bool(false), .integer(0), .string(""), .array([]): self[key] = nil
        case .object(let members) where members.isEmpty: self[key] = nil
        default: self[key] = value
        }
    }

    /// An integer that is written as a number or as a decimal string.
    var int64: Int64? { integerValue ?? stringValue.flatMap { Int64($0) } }

    /// `3600s`, `1.5s`; nil for anything else.
    var duration: Duration? {
        guard let text = stringValue, text.hasSuffix("s"), let seconds = Double(text.dropLast()), seconds >= 0,
            seconds < 1e12
        else { return nil }
        return .milliseconds(Int64(seconds * 1000))
    }
}
