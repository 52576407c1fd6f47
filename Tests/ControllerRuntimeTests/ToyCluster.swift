import Encoding
import HTTP
import Synchronization

/// A very small Kubernetes API server in memory: objects by path, one revision counter, optimistic locking, status apart
/// from the rest, finalizers, merge patches, watches. Enough to step the runtime; the simulated cluster does it all.
final class ToyCluster: HTTPHandler {
    struct State {
        var revision = 10
        var objects: [String: JSONValue] = [:]
        var history: [(revision: Int, collection: String, type: String, object: JSONValue)] = []
        /// Watches from before this revision are answered with 410.
        var oldestRevision = 0
        /// Raised at every change.
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func respond(to request: HTTPRequest) async -> HTTPReply {
        let segments = request.url.decodedSegments ?? []
        let path = Path(segments)
        switch request.method {
        case .get where request.url.queryValue("watch") == "true": return watch(path, request)
        case .get where path.name == nil: return list(path, request)
        case .get: return state.withLock { $0.objects[path.object].map { ok($0) } ?? notFound(path) }
        case .post: return write(path, request) { state, body, _ in self.create(&state, path, body) }
        case .put: return write(path, request) { self.replace(&$0, path, $1, onto: $2) }
        case .patch: return write(path, request) { self.patch(&$0, path, $1, request, onto: $2) }
        case .delete: return delete(path)
        case .head: return HTTPReply(status: 405)
        }
    }

    // MARK: For tests

    /// The object at `plural/namespace/name`.
    func object(_ plural: String, _ name: String) -> JSONValue? {
        state.withLock { state in
            state.objects.first { $0.key.hasSuffix("/namespaces/ns/\(plural)/\(name)") }?.value
        }
    }

    /// The names of all objects of a kind.
    func names(_ plural: String) -> [String] {
        state.withLock { $0.objects.keys.filter { $0.contains("/\(plural)/") } }
            .compactMap { $0.split(separator: "/").last.map(String.init) }.sorted()
    }

    /// Forgets the history: running watches end with 410, and so do those that resume.
    func compact() {
        state.withLock { state in
            state.oldestRevision = state.revision + 1
            state.revision += 1
            state.history = []
            wake(&state)
        }
    }

    // MARK: Verbs

    private func write(
        _ path: Path, _ request: HTTPRequest, _ change: (inout State, JSONValue, JSONValue?) -> HTTPReply
    ) -> HTTPReply {
        guard let body = try? JSONValue(parsing: request.body) else { return failure(400, "BadRequest") }
        return state.withLock { state in
            let old = state.objects[path.object]
            if path.name != nil, old == nil, request.headers["Content-Type"] != "application/apply-patch+yaml" {
                return notFound(path)
            }
            if let wanted = body.value(at: ["metadata", "resourceVersion"]), let old,
                wanted != old.value(at: ["metadata", "resourceVersion"])
            {
                return failure(409, "Conflict")
            }
            return change(&state, body, old)
        }
    }

    private func create(_ state: inout State, _ path: Path, _ body: JSONValue) -> HTTPReply {
        let name = body.value(at: ["metadata", "name"])?.stringValue ?? ""
        let key = path.object + "/" + name
        guard state.objects[key] == nil else { return failure(409, "AlreadyExists") }
        var body = body
        body.set(.string("uid-\(state.revision + 1)"), at: ["metadata", "uid"])
        body.set(1, at: ["metadata", "generation"])
        return ok(store(&state, key, body, "ADDED"), 201)
    }

    private func replace(_ state: inout State, _ path: Path, _ body: JSONValue, onto old: JSONValue?) -> HTTPReply {
        var new = path.isStatus ? old ?? .null : body
        new["status"] = path.isStatus ? body["status"] : old?["status"]
        return finish(&state, path, new, old: old)
    }

    private func patch(
        _ state: inout State, _ path: Path, _ body: JSONValue, _ request: HTTPRequest, onto old: JSONValue?
    ) -> HTTPReply {
        guard let old else { return create(&state, path.parent, body) }
        return finish(&state, path, merged(old, body), old: old)
    }

    private func finish(_ state: inout State, _ path: Path, _ new: JSONValue, old: JSONValue?) -> HTTPReply {
        var new = new
        guard new != old else { return ok(new) }
        if new["spec"] != old?["spec"], let generation = old?.value(at: ["metadata", "generation"])?.integerValue {
            new.set(.integer(generation + 1), at: ["metadata", "generation"])
        }
        let finalizers = new.value(at: ["metadata", "finalizers"])?.arrayValue ?? []
        if new.value(at: ["metadata", "deletionTimestamp"]) != nil, finalizers.isEmpty {
            return ok(store(&state, path.object, new, "DELETED"))
        }
        return ok(store(&state, path.object, new, "MODIFIED"))
    }

    private func delete(_ path: Path) -> HTTPReply {
        state.withLock { state in
            guard var object = state.objects[path.object] else { return notFound(path) }
            if (object.value(at: ["metadata", "finalizers"])?.arrayValue ?? []).isEmpty {
                return ok(store(&state, path.object, object, "DELETED"))
            }
            guard object.value(at: ["metadata", "deletionTimestamp"]) == nil else { return ok(object) }
            object.set("2026-11-21T10:00:00Z", at: ["metadata", "deletionTimestamp"])
            return ok(store(&state, path.object, object, "MODIFIED"))
        }
    }

    private func store(_ state: inout State, _ key: String, _ object: JSONValue, _ type: String) -> JSONValue {
        state.revision += 1
        var object = object
        object.set(.string(String(state.revision)), at: ["metadata", "resourceVersion"])
        if type == "DELETED" { state.objects.removeValue(forKey: key) } else { state.objects[key] = object }
        state.history.append((state.revision, Path.plural(ofObject: key), type, object))
        wake(&state)
        return object
    }

    private func wake(_ state: inout State) {
        for waiter in state.waiters { waiter.resume() }
        state.waiters = []
    }

    private func list(_ path: Path, _ request: HTTPRequest) -> HTTPReply {
        state.withLock { state in
            let items = state.objects.filter { Path.plural(ofObject: $0.key) == path.plural }.values
            return ok([
                "metadata": ["resourceVersion": .string(String(state.revision))], "items": .array(Array(items)),
            ])
        }
    }

    private func watch(_ path: Path, _ request: HTTPRequest) -> HTTPReply {
        let from = request.url.queryValue("resourceVersion").flatMap { Int($0) } ?? 0
        guard from >= state.withLock(\.oldestRevision) else { return failure(410, "Expired") }
        return HTTPReply(
            status: 200,
            body: .stream { writer throws(APIError) in
                var sent = from
                while !Task.isCancelled {
                    let (events, isExpired) = self.state.withLock { state in
                        (
                            state.history.filter { $0.revision > sent && $0.collection == path.plural },
                            sent < state.oldestRevision
                        )
                    }
                    if isExpired {
                        let gone: JSONValue = ["kind": "Status", "code": 410, "reason": "Expired", "message": "gone"]
                        return try await writer.write(self.line("ERROR", gone))
                    }
                    for event in events {
                        try await writer.write(self.line(event.type, event.object))
                        sent = event.revision
                    }
                    await self.change(after: sent, plural: path.plural)
                }
            })
    }

    /// Returns when something has changed since, or the task is cancelled.
    private func change(after revision: Int, plural: String) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { state in
                    let isBehind = state.history.contains { $0.revision > revision && $0.collection == plural }
                    if Task.isCancelled || isBehind || revision < state.oldestRevision {
                        continuation.resume()
                    } else {
                        state.waiters.append(continuation)
                    }
                }
            }
        } onCancel: {
            state.withLock { wake(&$0) }
        }
    }

    // MARK: Replies

    private func ok(_ body: JSONValue, _ status: Int = 200) -> HTTPReply {
        HTTPReply(status: status, body: body.serialized())
    }

    private func notFound(_ path: Path) -> HTTPReply { failure(404, "NotFound") }

    private func failure(_ status: Int, _ reason: String) -> HTTPReply { .failure(status, reason) }

    private func line(_ type: String, _ object: JSONValue) -> [UInt8] {
        (["type": .string(type), "object": object] as JSONValue).serialized() + [0x0A]
    }

    /// RFC 7386.
    private func merged(_ old: JSONValue, _ patch: JSONValue) -> JSONValue {
        guard case .object(let members) = patch else { return patch }
        var result = old
        if case .object = result {} else { result = [:] }
        for (key, value) in members {
            result[key] = value.isNull ? nil : merged(result[key] ?? .null, value)
        }
        return result
    }
}

extension HTTPReply {
    /// A Status as an API server sends it.
    static func failure(_ status: Int, _ reason: String, retryAfter: Int? = nil) -> HTTPReply {
        let body: JSONValue = ["kind": "Status", "reason": .string(reason), "message": .string("no: \(reason)")]
        var headers = HTTPHeaders()
        headers["Retry-After"] = retryAfter.map { String($0) }
        return HTTPReply(status: status, headers: headers, body: body.serialized())
    }
}

/// `/apis/group/version[/namespaces/ns]/plural[/name[/status]]`, or `/api/v1/…`.
private struct Path {
    var object: String
    var plural: String
    var name: String?
    var isStatus: Bool

    init(_ segments: [String]) {
        var rest = segments.dropFirst(segments.first == "api" ? 2 : 3)
        let root = segments.prefix(segments.count - rest.count)
        var collection = Array(root)
        if rest.first == "namespaces", rest.count > 2 {
            collection += rest.prefix(2)
            rest = rest.dropFirst(2)
        }
        plural = rest.first ?? ""
        collection.append(plural)
        name = rest.dropFirst().first
        isStatus = rest.last == "status" && rest.count == 3
        object = "/" + (collection + [name].compactMap { $0 }).joined(separator: "/")
    }

    /// The collection of an object's path.
    var parent: Path {
        var copy = self
        copy.object = String(object[..<(object.lastIndex(of: "/") ?? object.endIndex)])
        copy.name = nil
        return copy
    }

    static func plural(ofObject key: String) -> String {
        let parts = key.split(separator: "/")
        return parts.count > 1 ? String(parts[parts.count - 2]) : ""
    }
}
