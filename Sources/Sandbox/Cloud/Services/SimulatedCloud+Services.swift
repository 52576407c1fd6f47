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
            let permission = SimulatedAPIs.permission(for: call.method)
            if !permission.isEmpty, !call.method.hasSuffix("estIamPermissions") {
                state.usedPermissions.insert(permission)
            }
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
}
