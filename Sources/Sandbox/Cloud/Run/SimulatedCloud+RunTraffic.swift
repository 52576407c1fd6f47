internal import Encoding
internal import HTTP
internal import Synchronization
internal import Telemetry

/// Who serves a request for a Cloud Run service.
enum RunTarget: Sendable {
    case reply(HTTPReply)
    /// The service by its full name.
    case revision(service: String, RunService.Revision)
}

extension SimulatedCloud {
    /// The reply of a Cloud Run service; nil when the request's host is none.
    func runReply(_ request: HTTPRequest) async -> HTTPReply? {
        let host = request.url.authority.prefix { $0 != ":" }
        guard host.hasSuffix(".run.app") else { return nil }
        let target = runTarget { run, shared, now in
            run.target(host: String(host), request, configuration: configuration, shared: shared, now: now)
        }
        switch target {
        case .reply(let reply): return reply
        case .revision(let name, let revision):
            let service = String(name.split(separator: "/").last ?? "")
            guard let origin = runOrigins.withLock({ $0[service] }) else {
                return RunAPI.page(503, "The sandbox has nothing that serves \(service).")
            }
            return await origin(request, revision.name)
        }
    }

    /// Who serves a request that came to the address of a service's tag, or to its own.
    func runTarget(service: String, tag: String?, _ request: HTTPRequest) -> RunTarget {
        runTarget { run, shared, now in
            run.target(service, tag: tag, request, configuration: configuration, shared: shared, now: now)
        }
    }

    private func runTarget(_ find: (inout RunAPI, SharedState, Timestamp) -> RunTarget) -> RunTarget {
        let now = configuration.clock.now
        return state.withLock { state in
            advance(&state, to: now)
            let target = find(&state.apis.run, state.apis.shared, now)
            if case .revision(_, let revision) = target {
                state.callCounts["run.traffic/\(revision.name)", default: 0] += 1
            }
            return target
        }
    }
}

// MARK: For the front

extension SimulatedCloud {
    /// From now on new services wait for what a front says of them.
    func attachFront() { state.withLock { $0.apis.run.hasFront = true } }

    /// The Cloud Run services that a front serves, as they are now.
    func runServices() -> [RunService] {
        let now = configuration.clock.now
        return state.withLock { state in
            advance(&state, to: now)
            return state.apis.run.services.values.filter(\.waitsForFront).sorted { $0.name < $1.name }
        }
    }

    /// Tells what became of a revision; nil is that it is ready.
    func reportRevision(_ revision: String, of service: String, failure: RunFailure?) {
        let now = configuration.clock.now
        state.withLock { state in
            state.apis.run.services[service]?.report(revision, failure: failure, at: now)
            advance(&state, to: now)
        }
    }

    /// Tells where a service and its tags are served.
    func setRunOrigins(_ origins: [String: String], of service: String) {
        state.withLock { state in
            guard let known = state.apis.run.services[service], known.origins != origins else { return }
            state.apis.run.services[service]?.origins = origins
            state.apis.run.services[service]?.version += 1
        }
    }

    /// Adds to what Cloud Monitoring knows.
    func record(_ series: [SimulatedTimeSeries]) {
        state.withLock { state in
            for each in series { state.apis.monitoring.append(each) }
        }
    }
}

// MARK: Access and routes

extension RunAPI {
    /// By host, tag and the percents of the traffic.
    mutating func target(
        host: String, _ request: HTTPRequest, configuration: CloudConfiguration, shared: SharedState, now: Timestamp
    ) -> RunTarget {
        for name in services.keys.sorted() {
            guard let service = services[name] else { continue }
            let own = Self.host(of: service, tag: nil)
            let numbered = "\(service.id)-\(configuration.projectNumber).\(service.location).run.app"
            let tag = host.hasSuffix("---\(own)") ? String(host.dropLast(own.count + 3)) : nil
            guard host == own || host == numbered || tag != nil else { continue }
            return target(name, tag: tag, request, configuration: configuration, shared: shared, now: now)
        }
        return .reply(Self.page(404, "The requested URL was not found on this server."))
    }

    /// By tag and the percents of the traffic, for a caller who may.
    mutating func target(
        _ name: String, tag: String?, _ request: HTTPRequest, configuration: CloudConfiguration, shared: SharedState,
        now: Timestamp
    ) -> RunTarget {
        guard var service = services[name], service.deletedAt == nil else {
            return .reply(Self.page(404, "The requested URL was not found on this server."))
        }
        let access = Access(service: service, configuration: configuration, shared: shared, now: now)
        if let refusal = access.refusal(request) { return .reply(refusal) }
        let revision = service.nextRevision(tag: tag)
        services[name] = service
        guard let revision else { return .reply(Self.page(tag == nil ? 503 : 404, "No revision serves this.")) }
        return .revision(service: name, revision)
    }

    static func page(_ status: Int, _ text: String) -> HTTPReply {
        HTTPReply(
            status: status, headers: ["Content-Type": "text/html; charset=UTF-8"],
            body: Array("<html><head><title>\(status)</title></head><body>\(text)</body></html>\n".utf8))
    }

    /// Who may call a service: private unless its policy, or `invokerIamDisabled`, says otherwise.
    private struct Access {
        let service: RunService
        let configuration: CloudConfiguration
        let shared: SharedState
        let now: Timestamp

        /// Those that hold `run.routes.invoke`.
        private static let roles = ["roles/run.invoker", "roles/run.servicesInvoker", "roles/run.admin", "roles/owner"]

        /// Nil when nothing stands in the way.
        func refusal(_ request: HTTPRequest) -> HTTPReply? {
            if service.resource["invokerIamDisabled"] == true || isGranted(to: "allUsers") { return nil }
            switch shared.tokens.checkIdentity(request, audiences: audiences, now: now) {
            case .success(let grant): return mayInvoke(grant.principal) ? nil : forbidden
            case .failure(let error) where error.refusal == .missing: return forbidden
            case .failure:
                return page(401, "Unauthorized: the identity token is none, is too old or is for another audience.")
            }
        }

        private var forbidden: HTTPReply {
            page(403, "Your client does not have permission to get URL from this server.")
        }

        /// The addresses of the service and of its tags, and those that it names itself.
        private var audiences: [String] {
            let custom = (service.resource["customAudiences"]?.arrayValue ?? []).compactMap(\.stringValue)
            if service.waitsForFront { return service.origins.values + custom }
            let tags = service.routed.compactMap(\.tag)
            return ([nil] + tags).map { "https://\(RunAPI.host(of: service, tag: $0))" }
                + ["https://\(service.id)-\(configuration.projectNumber).\(service.location).run.app"] + custom
        }

        private func mayInvoke(_ principal: String) -> Bool {
            // Who runs the sandbox owns its project.
            principal == Identities.defaultAccount(configuration) || isGranted(to: "allAuthenticatedUsers")
                || isGranted(to: Identities.member(principal))
        }

        private func isGranted(to member: String) -> Bool {
            Self.roles.contains { role in
                service.policy.grants(role, to: member, at: now)
                    || shared.identities.projectPolicy.grants(role, to: member, at: now)
            }
        }
    }
}
