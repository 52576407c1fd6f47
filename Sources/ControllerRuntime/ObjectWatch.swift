import Encoding
import HTTP
import Kubernetes

/// Does what `WatchState` says for one kind, and keeps its store current. Objects that the store has already are not
/// decoded again.
struct ObjectWatch<Object: KubernetesResource>: Sendable {
    /// Within this time a watch that begins with all objects has sent them, or they are read in pages. 100,000 objects
    /// of 4 KB take a small API server half of it.
    static var initialEventsLimit: Duration { .seconds(60) }

    let store: ObjectStore<Object>
    let selection: ObjectSelection
    let environment: RuntimeEnvironment
    /// A kind that the API server does not know is no failure.
    var isOptional = false

    private var type: ResourceType { Object.resourceType }
    private var client: KubernetesClient { environment.client }

    /// Runs until the task is cancelled.
    func run() async {
        var state = WatchState()
        var command = state.start()
        var pass = store.beginList()
        while !Task.isCancelled {
            switch command {
            case .stream: command = await watch(from: nil, state: &state)
            case .list(let token):
                if token == nil { pass = store.beginList() }
                command = await list(continueToken: token, pass: &pass, state: &state)
            case .watch(let version): command = await watch(from: version, state: &state)
            case .wait(let duration):
                guard (try? await environment.clock.sleep(for: duration)) != nil else { return }  // Cancelled.
                command = state.waitEnded()
            }
        }
    }

    // MARK: Pages

    private func list(
        continueToken: String?, pass: inout ListPass, state: inout WatchState
    ) async -> WatchState.Command {
        do throws(APIError) {
            let page = try await client.listPage(
                type, selection, continueToken: continueToken, metadataOnly: Object.isMetadataOnly)
            environment.report(.heard(type))
            if pass.isStale(page.resourceVersion) {
                if let command = state.staleListReceived(random: environment.random()) {
                    environment.report(.watchFailed(type, staleList(page.resourceVersion)))
                    return command
                }
                pass.rewinds = true
            }
            take(page.items.map(Incoming.changed), pass: pass)
            let command = state.pageReceived(
                resourceVersion: page.resourceVersion, continueToken: page.continueToken)
            if case .watch = command { finish(pass, at: page.resourceVersion) }
            return command
        } catch {
            if isAbsent(error) { return takeAbsence(&state) }
            if error.code != .cancelled { environment.report(.watchFailed(type, error)) }
            return state.listFailed(error, random: environment.random())
        }
    }

    private func isAbsent(_ error: APIError) -> Bool { isOptional && error.code == .notFound }

    /// There are no objects of a kind that does not exist.
    private func takeAbsence(_ state: inout WatchState) -> WatchState.Command {
        var pass = store.beginList()
        pass.rewinds = true  // Whatever was there is gone, however new it was.
        store.setServed(false)
        store.endList(pass, resourceVersion: "0")
        environment.report(.listed(type, count: 0))
        return state.kindIsAbsent(random: environment.random())
    }

    private func finish(_ pass: ListPass, at resourceVersion: String) {
        store.setServed(true)
        store.endList(pass, resourceVersion: resourceVersion)
        environment.report(.listed(type, count: store.count))
    }

    private func staleList(_ version: String) -> APIError {
        APIError(
            .unavailable, operation: "GET \(type.plural)",
            message: "the list is of version \(version), which is older than what was seen before")
    }

    // MARK: Watches

    /// - Parameter version: nil begins with all objects.
    private func watch(from version: String?, state: inout WatchState) async -> WatchState.Command {
        let start = environment.clock.uptime
        // Servers end watches; different lengths keep them from coming back all at once.
        let timeoutSeconds = 240 + Int(60 * environment.random())
        do throws(APIError) {
            var stream: WatchStream
            if let version {
                stream = try await client.watch(
                    type, selection, from: version, timeoutSeconds: timeoutSeconds,
                    metadataOnly: Object.isMetadataOnly)
            } else {
                stream = try await client.watchFromStart(
                    type, selection, timeoutSeconds: timeoutSeconds, metadataOnly: Object.isMetadataOnly)
            }
            defer { stream.cancel() }
            environment.report(.watching(type))
            environment.report(.heard(type))
            if version == nil, let command = try await takeInitialEvents(&stream, state: &state) { return command }
            while let events = try await stream.nextEvents() { try take(events, pass: nil, state: &state) }
            return state.watchEnded(after: environment.clock.uptime - start, random: environment.random())
        } catch {
            // Expired is how servers say "list again", invalid that they cannot stream; cancelled is how we stop.
            if isAbsent(error) { return takeAbsence(&state) }
            let isRefusal = version == nil && error.code == .invalid
            if !isRefusal, ![.expired, .cancelled].contains(error.code) {
                environment.report(.watchFailed(type, error))
            }
            return state.watchFailed(
                error, after: environment.clock.uptime - start, random: environment.random())
        }
    }

    /// Takes events until all objects have come; nil then, else what to do instead of reading on.
    private func takeInitialEvents(
        _ stream: inout WatchStream, state: inout WatchState
    ) async throws(APIError) -> WatchState.Command? {
        let pass = store.beginList()
        let start = environment.clock.uptime
        let whole = stream
        async let _ = cut(whole)
        do throws(APIError) {
            while let events = try await stream.nextEvents() {
                if let end = try take(initial: events, pass: pass, state: &state) { return end.command }
            }
            return state.watchEnded(after: environment.clock.uptime - start, random: environment.random())
        } catch {
            // The stream was cancelled, but this task was not: the time was over.
            guard error.code == .cancelled, !Task.isCancelled else { throw error }
            return state.initialEventsStalled()
        }
    }

    /// Ends a stream whose initial events take too long.
    private func cut(_ stream: WatchStream) async {
        guard (try? await environment.clock.sleep(for: Self.initialEventsLimit)) != nil else { return }  // Cancelled.
        stream.cancel()
    }

    /// How the initial events ended.
    private struct InitialEnd {
        /// nil: well.
        var command: WatchState.Command?
    }

    private func take(
        initial events: [WatchEvent], pass: ListPass, state: inout WatchState
    ) throws(APIError) -> InitialEnd? {
        for (index, event) in events.enumerated() {
            guard case .bookmark(let version, true) = event else { continue }
            try take(Array(events[..<index]), pass: pass, state: &state)
            if pass.isStale(version) {
                environment.report(.watchFailed(type, staleList(version)))
                let command = state.staleListReceived(random: environment.random())
                return InitialEnd(command: command ?? .list(continueToken: nil))
            }
            state.initialEventsEnded(resourceVersion: version)
            finish(pass, at: version)
            try take(Array(events[(index + 1)...]), pass: nil, state: &state)
            return InitialEnd()
        }
        try take(events, pass: pass, state: &state)
        return nil
    }

    /// Puts events into the store and notes how far they go.
    ///
    /// - Throws: the error of an ERROR event; what came before it is taken.
    private func take(_ events: [WatchEvent], pass: ListPass?, state: inout WatchState) throws(APIError) {
        environment.report(.heard(type))
        var updates: [Incoming] = []
        var last: String?
        var failure: APIError?
        for event in events {
            switch event {
            case .added(let object), .modified(let object):
                updates.append(.changed(object))
                last = version(of: object) ?? last
            case .deleted(let object):
                updates.append(.deleted(object))
                last = version(of: object) ?? last
            case .bookmark(let version, _): last = version
            case .error(let error): failure = error
            }
            if failure != nil { break }
        }
        take(updates, pass: pass)
        if let last { state.eventReceived(resourceVersion: last) }
        if let failure { throw failure }
    }

    private func version(of object: JSONElement) -> String? {
        object.value(at: ["metadata", "resourceVersion"])?.stringValue
    }

    // MARK: Objects

    /// What came, not decoded yet.
    private enum Incoming {
        case changed(JSONElement)
        case deleted(JSONElement)
    }

    /// Decodes what the store does not have, and gives it to the store.
    private func take(_ incoming: [Incoming], pass: ListPass?) {
        var updates: [StoreUpdate<Object>] = []
        updates.reserveCapacity(incoming.count)
        for item in incoming {
            switch item {
            case .changed(let json):
                guard let header = ObjectHeader(json) else {
                    environment.report(
                        .undecodable(type, ObjectKey(namespace: nil, name: ""), message: "an object without a name"))
                    continue
                }
                if store.isKnown(header, pass: pass) { continue }
                updates.append(decoded(json, header))
            case .deleted(let json):
                // Only the identity is needed: an object that does not decode can be deleted too.
                if let header = ObjectHeader(json) { updates.append(.removed(header)) }
            }
        }
        store.apply(updates, pass: pass)
    }

    private func decoded(_ json: JSONElement, _ header: ObjectHeader) -> StoreUpdate<Object> {
        do throws(JSONError) {
            return .object(try json.decode(Object.self))
        } catch {
            environment.report(.undecodable(type, ObjectKey(header), message: error.message))
            return .undecodable(header, message: error.message)
        }
    }
}
