internal import Encoding
public import HTTP
internal import Synchronization
internal import Telemetry

/// Serves the requests that a Cloud Run revision gets; the second argument is the revision's name.
public typealias RunOrigin = @Sendable (HTTPRequest, String) async -> HTTPReply

extension SimulatedCloud {
    func world(_ state: State, _ now: Timestamp) -> CloudWorld {
        CloudWorld(configuration: configuration, script: state.script, now: now, container: state.container)
    }

    /// The reply of an API beside GKE and Cloud Storage; nil when the request is for neither.
    func serviceReply(_ request: HTTPRequest, _ state: inout State, _ now: Timestamp) -> HTTPReply? {
        guard let name = SimulatedAPIs.name(of: request) else { return nil }
        let world = world(state, now)
        if let refusal = state.apis.refusal(request, service: name.host, needsToken: name.needsToken, in: world) {
            return name.render(refusal)
        }
        if let moment = state.script.disabledServices[name.host], now < moment {
            return name.render(EnabledServices.error(name.host, configuration: configuration))
        }
        do throws(CloudError) {
            let call = try SimulatedAPIs.call(name, request)
            state.callCounts[call.method, default: 0] += 1
            try state.apis.checkAccess(call, in: world)
            return try state.apis.perform(name, call, in: world)
        } catch {
            return name.render(error)
        }
    }

    /// Tokens and enabled services, as GKE and Cloud Storage check them; nil when nothing stands in the way.
    func refusal(_ request: HTTPRequest, isStorage: Bool, _ state: State, _ now: Timestamp) -> HTTPReply? {
        // The URI of a resumable upload is its own credential.
        let needsToken = !isStorage || request.url.queryValue("upload_id") == nil
        let service = isStorage ? "storage.googleapis.com" : "container.googleapis.com"
        guard
            var error = state.apis.refusal(request, service: service, needsToken: needsToken, in: world(state, now))
        else { return nil }
        guard isStorage else { return error.rpcReply }
        error.reason = error.legacyReason
        return error.computeReply
    }

    // MARK: Metadata

    /// Answers for a pod's machine; `?wait_for_change=true` waits until the value is another one.
    func metadataReply(_ request: HTTPRequest, identity: MetadataAPI.Identity) async -> HTTPReply {
        let first = metadataReplyNow(request, identity: identity, isCounted: true)
        guard request.url.queryValue("wait_for_change") == "true", first.status == 200 else { return first }
        let seconds = request.url.queryValue("timeout_sec").flatMap { Int64($0) } ?? 3600
        let deadline = configuration.clock.now + .seconds(min(max(seconds, 0), 3600))
        let known = request.url.queryValue("last_etag") ?? first.headers["ETag"]
        var reply = first
        while reply.headers["ETag"] == known, configuration.clock.now < deadline {
            let next = min(configuration.clock.now + .milliseconds(200), deadline)
            do throws(CancellationError) { try await configuration.clock.sleep(until: next) } catch { break }
            reply = metadataReplyNow(request, identity: identity, isCounted: false)
        }
        return reply
    }

    private func metadataReplyNow(
        _ request: HTTPRequest, identity: MetadataAPI.Identity, isCounted: Bool
    ) -> HTTPReply {
        let now = configuration.clock.now
        return state.withLock { state in
            advance(&state, to: now)
            if isCounted { state.callCounts[MetadataAPI.method(request), default: 0] += 1 }
            let world = world(state, now)
            return state.apis.metadata.reply(request, identity: identity, in: world, shared: &state.apis.shared)
        }
    }

    // MARK: Cloud Run traffic

    /// The reply of a Cloud Run service; nil when the request's host is none.
    func runReply(_ request: HTTPRequest) async -> HTTPReply? {
        let host = request.url.authority.prefix { $0 != ":" }
        guard host.hasSuffix(".run.app") else { return nil }
        let now = configuration.clock.now
        let target = state.withLock { state in
            advance(&state, to: now)
            return state.apis.run.target(host: String(host), configuration: configuration, request: request)
        }
        switch target {
        case .reply(let reply): return reply
        case .revision(let service, let revision):
            guard let origin = runOrigins.withLock({ $0[service] }) else {
                return RunAPI.page(503, "The sandbox has nothing that serves \(service).")
            }
            state.withLock { $0.callCounts["run.traffic/\(revision)", default: 0] += 1 }
            return await origin(request, revision)
        }
    }
}

extension RunAPI {
    enum Target: Sendable {
        case reply(HTTPReply)
        case revision(service: String, name: String)
    }

    /// Who serves a request: by host, tag and the percents of the traffic.
    ///
    /// Identity tokens are not issued here, so any bearer token opens a private service.
    mutating func target(host: String, configuration: CloudConfiguration, request: HTTPRequest) -> Target {
        for name in services.keys.sorted() {
            guard var service = services[name], service.deletedAt == nil else { continue }
            let own = Self.host(of: service, tag: nil)
            let numbered = "\(service.id)-\(configuration.projectNumber).\(service.location).run.app"
            let tag = host.hasSuffix("---\(own)") ? String(host.dropLast(own.count + 3)) : nil
            guard host == own || host == numbered || tag != nil else { continue }
            let isPublic =
                service.resource["invokerIamDisabled"] == true
                || service.policy.grants("roles/run.invoker", to: "allUsers", at: configuration.clock.now)
            guard isPublic || request.headers["Authorization"] != nil else {
                return .reply(Self.page(403, "Your client does not have permission to get URL from this server."))
            }
            let revision = service.nextRevision(tag: tag)
            services[name] = service
            guard let revision else { return .reply(Self.page(tag == nil ? 503 : 404, "No revision serves this.")) }
            return .revision(service: service.id, name: revision.name)
        }
        return .reply(Self.page(404, "The requested URL was not found on this server."))
    }

    static func page(_ status: Int, _ text: String) -> HTTPReply {
        HTTPReply(
            status: status, headers: ["Content-Type": "text/html; charset=UTF-8"],
            body: Array("<html><head><title>\(status)</title></head><body>\(text)</body></html>\n".utf8))
    }
}
