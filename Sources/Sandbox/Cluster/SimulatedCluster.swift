public import Encoding
public import HTTP
import Synchronization
import Telemetry

/// A Kubernetes API server over values: kubectl and our client talk to it as to a real one.
///
/// It keeps objects, validates them, tells watchers, and runs no controller but the garbage collector and the
/// namespace terminator, which work in `tick`. It has no timers and no threads: time is the configuration's clock.
public final class SimulatedCluster: OptionServing, Sendable {
    /// Where the logs of a pod come from.
    public typealias PodLogs = @Sendable (PodLogRequest) async -> HTTPReply

    private let configuration: ClusterConfiguration
    private let state: Mutex<ClusterState>
    private let podLogs = Mutex<PodLogs?>(nil)
    private let grants = GrantRecord()

    /// - Throws: `.invalidCRD` when a definition is refused or uses a CEL function that is not known.
    public init(_ configuration: ClusterConfiguration) throws(SandboxError) {
        self.configuration = configuration
        state = Mutex(try ClusterState(configuration))
    }

    /// Answers one request of the Kubernetes API.
    public func respond(to request: HTTPRequest) async -> HTTPReply {
        await respond(to: request, options: ServingOptions())
    }

    /// As `respond(to:)`, with what a fault script asks for.
    func respond(to request: HTTPRequest, options: ServingOptions) async -> HTTPReply {
        let responder = Responder(request: request, clock: configuration.clock)
        do throws(StatusError) {
            return try await answer(request, responder, options)
        } catch {
            return responder.failure(error)
        }
    }

    /// Moves everything whose time has come: garbage, namespaces that end, watches that time out, bookmarks.
    public func tick() async {
        let now = configuration.clock.now
        state.withLock { state in
            state.collectGarbage(now: now)
            state.store.tickWatchers(now: now, bookmarkInterval: configuration.bookmarkInterval)
        }
    }

    /// Sets who answers `GET …/pods/NAME/log`.
    public func setPodLogs(_ provider: @escaping PodLogs) {
        podLogs.withLock { $0 = provider }
    }

    /// Ends all watches, as a server that stops or a connection that breaks does; clients resume.
    public func endWatches() { state.withLock { $0.store.endWatches() } }

    /// Forgets the event history: watches that resume from before, and lists that go on, get 410.
    public func compact() {
        state.withLock { state in
            state.store.compact()
            state.continuations.expire()
        }
    }

    /// All objects, for `ClusterConfiguration.snapshot` of a later run.
    public func snapshot() -> JSONValue { state.withLock { $0.store.snapshot } }

    /// The last resource version that was given out.
    public var resourceVersion: Int64 { state.withLock { $0.store.revision } }

    /// The rights that a user with rules of its own made use of so far.
    public func usedGrants(of user: String) -> Set<ClusterGrant> { grants.grants(of: user) }

    // MARK: Routing

    private func answer(
        _ request: HTTPRequest, _ responder: Responder, _ options: ServingOptions
    ) async throws(StatusError) -> HTTPReply {
        guard let segments = request.url.decodedSegments else { throw .noSuchPath }
        let path = "/" + segments.joined(separator: "/")
        if let reply = healthReply(path) { return reply }
        let authorization = try authenticate(request, path: path)
        if let reply = try documentReply(request, segments, responder, authorization) { return reply }
        let resourceRequest = try resourceRequest(request, segments, authorization, now: responder.now)
        try responder.checkAccept(resourceRequest.definition)
        if !authorization.allows(resourceRequest) { throw authorization.refusal(resourceRequest) }
        grants.record(authorization.user, resourceRequest)
        if resourceRequest.subresource == "log" { return try await logs(resourceRequest) }
        if resourceRequest.verb == "watch" { return try watch(resourceRequest, responder, options) }
        let outcome = try state.withLock { state throws(StatusError) in
            if options.changesBack > 0, ["get", "list"].contains(resourceRequest.verb) {
                return try state.staleRead(resourceRequest, authorization, changesBack: options.changesBack)
            }
            if let create = state.creation(by: resourceRequest) {
                if !authorization.allows(create) { throw authorization.refusal(create) }
                grants.record(authorization.user, create)
            }
            return try Router.perform(resourceRequest, authorization, on: &state)
        }
        return try responder.reply(outcome, resourceRequest)
    }

    /// Who may not ask for a resource is refused, whether it exists or not.
    private func resourceRequest(
        _ request: HTTPRequest, _ segments: [String], _ authorization: Authorization, now: Timestamp
    ) throws(StatusError) -> ResourceRequest {
        let registry = state.withLock { $0.registry }
        do throws(StatusError) {
            return try Router.resourceRequest(request, segments, registry, now: now)
        } catch {
            if let address = try? Router.address(segments, registry) {  // Not an address of a resource: `error` stands.
                let verb = Router.verb(request, hasName: address.parts.count > 1)
                if let refusal = authorization.refusal(address, verb: verb) { throw refusal }
            }
            throw error
        }
    }

    private func healthReply(_ path: String) -> HTTPReply? {
        guard ["/healthz", "/livez", "/readyz"].contains(where: { path == $0 || path.hasPrefix($0 + "/") }) else {
            return nil
        }
        return HTTPReply(status: 200, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array("ok".utf8))
    }

    private func authenticate(_ request: HTTPRequest, path: String) throws(StatusError) -> Authorization {
        let header = request.headers["Authorization"] ?? ""
        let token = header.lowercased().hasPrefix("bearer ") ? String(header.dropFirst("bearer ".count)) : ""
        if let user = configuration.users[token] { return Authorization(user: user) }
        if header.isEmpty { return Authorization(user: Authorization.anonymous) }
        throw .unauthorized
    }

    private func documentReply(
        _ request: HTTPRequest, _ segments: [String], _ responder: Responder, _ authorization: Authorization
    ) throws(StatusError) -> HTTPReply? {
        guard request.method == .get else { return nil }
        let path = "/" + segments.joined(separator: "/")
        let documents = state.withLock { Documents(registry: $0.registry, version: configuration.version) }
        guard let document = documents.document(segments, accept: request.headers["Accept"] ?? "") else {
            guard segments.first != "api", segments.first != "apis" else { return nil }
            guard authorization.allows(verb: "get", path: path) else { throw authorization.refusal(path: path) }
            // What the root page lists is what there is.
            return responder.json(["paths": .array(Documents.paths.map(JSONValue.string))], status: 404)
        }
        guard authorization.allows(verb: "get", path: path) else { throw authorization.refusal(path: path) }
        return responder.json(document.body, contentType: document.contentType)
    }

    private func logs(_ request: ResourceRequest) async throws(StatusError) -> HTTPReply {
        guard request.verb == "get", let namespace = request.namespace, let name = request.name else {
            throw .methodNotAllowed
        }
        _ = try state.withLock { state throws(StatusError) in try state.get(request, name: name) }
        guard let provider = podLogs.withLock({ $0 }) else {
            throw .internalError("no kubelet serves logs here")
        }
        return await provider(
            PodLogRequest(
                namespace: namespace, name: name, container: request.query("container"),
                follow: request.flag("follow"), previous: request.flag("previous"),
                timestamps: request.flag("timestamps"), tailLines: request.query("tailLines").flatMap { Int($0) },
                sinceSeconds: request.query("sinceSeconds").flatMap { Int($0) },
                limitBytes: request.query("limitBytes").flatMap { Int($0) }))
    }

    private func watch(
        _ request: ResourceRequest, _ responder: Responder, _ options: ServingOptions
    ) throws(StatusError) -> HTTPReply {
        let watcher = try state.withLock { state throws(StatusError) in try state.watch(request) }
        if options.watchCollects > .zero { watcher.collect(for: options.watchCollects, on: configuration.clock) }
        return try responder.stream(watcher, request) { [self] in
            state.withLock { $0.store.detach(watcher, from: request.definition.storage) }
        }
    }
}
