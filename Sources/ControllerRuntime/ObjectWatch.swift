import Encoding
import HTTP
import Kubernetes

/// Does what `WatchState` says for one kind, and keeps its store current.
struct ObjectWatch<Object: KubernetesResource>: Sendable {
    let store: ObjectStore<Object>
    let selection: ObjectSelection
    let environment: RuntimeEnvironment

    private var type: ResourceType { Object.resourceType }
    private var client: KubernetesClient { environment.client }

    /// Runs until the task is cancelled.
    func run() async {
        var state = WatchState()
        var command = state.start()
        var collected: [Object] = []
        while !Task.isCancelled {
            switch command {
            case .list(let token):
                if token == nil { collected = [] }
                command = await list(continueToken: token, into: &collected, state: &state)
            case .watch(let version):
                command = await watch(from: version, state: &state)
            case .wait(let duration):
                guard (try? await environment.clock.sleep(for: duration)) != nil else { return }  // Cancelled.
                command = state.waitEnded()
            }
        }
    }

    private func list(
        continueToken: String?, into collected: inout [Object], state: inout WatchState
    ) async -> WatchState.Command {
        do throws(APIError) {
            let page = try await client.listPage(type, selection, continueToken: continueToken)
            collected += page.items.compactMap(decoded)
            let command = state.pageReceived(
                resourceVersion: page.resourceVersion, continueToken: page.continueToken)
            if case .watch = command {
                store.replace(with: collected, resourceVersion: page.resourceVersion)
                environment.report(.listed(type, count: collected.count))
                collected = []
            }
            return command
        } catch {
            if error.code != .cancelled { environment.report(.watchFailed(type, error)) }
            return state.listFailed(error, random: environment.random())
        }
    }

    private func watch(from version: String, state: inout WatchState) async -> WatchState.Command {
        let start = environment.clock.uptime
        // Servers end watches; different lengths keep them from coming back all at once.
        let timeoutSeconds = 240 + Int(60 * environment.random())
        do throws(APIError) {
            var stream = try await client.watch(type, selection, from: version, timeoutSeconds: timeoutSeconds)
            defer { stream.cancel() }
            environment.report(.watching(type))
            while let event = try await stream.next() {
                if case .error(let error) = event { throw error }
                if let version = take(event) { state.eventReceived(resourceVersion: version) }
            }
            return state.watchEnded(after: environment.clock.uptime - start, random: environment.random())
        } catch {
            // Expired is how servers say "list again"; cancelled is how we stop.
            if ![.expired, .cancelled].contains(error.code) { environment.report(.watchFailed(type, error)) }
            return state.watchFailed(error, random: environment.random())
        }
    }

    /// Puts an event into the store and returns its resource version.
    private func take(_ event: WatchEvent) -> String? {
        switch event {
        case .added(let json), .modified(let json):
            if let object = decoded(json) { store.put(object) }
            return version(of: json)
        case .deleted(let json):
            // Only the identity is needed: an object that does not decode can be deleted too.
            store.remove(
                key(of: json), uid: json.value(at: ["metadata", "uid"])?.stringValue,
                resourceVersion: version(of: json))
            return version(of: json)
        case .bookmark(let version): return version
        case .error: return nil
        }
    }

    private func decoded(_ json: JSONValue) -> Object? {
        do throws(JSONError) {
            return try json.decode(Object.self)
        } catch {
            environment.report(.undecodable(type, key(of: json), message: error.message))
            return nil
        }
    }

    private func version(of json: JSONValue) -> String? {
        json.value(at: ["metadata", "resourceVersion"])?.stringValue
    }

    private func key(of json: JSONValue) -> ObjectKey {
        ObjectKey(
            namespace: json.value(at: ["metadata", "namespace"])?.stringValue,
            name: json.value(at: ["metadata", "name"])?.stringValue ?? "")
    }
}
