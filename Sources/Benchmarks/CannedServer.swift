import Encoding
import HTTP
import Synchronization

/// An API server that costs next to nothing, so that what is measured is the operator: objects are bytes made once,
/// lists and watches send them, writes to single objects are merged without any validation. Also answers the few calls
/// to Google that the operator makes at its start. For the figures that need real semantics the simulated cluster is
/// used instead.
final class CannedServer: HTTPHandler {
    struct Settings: Sendable {
        var objectCount = 0
        /// false: refuses watches that begin with all objects, as servers before 1.32 do.
        var streams = true
    }

    struct State {
        var revision: Int
        /// The finished jobs, by index.
        var jobs: [[UInt8]]
        /// Jobs made while it ran, by name.
        var fresh: [String: JSONValue] = [:]
        var leases: [String: JSONValue] = [:]
        /// By the path that is watched.
        var watchers: [String: [Int: AsyncStream<[UInt8]>.Continuation]] = [:]
        var watcherCount = 0
        var log: [JSONValue] = []
    }

    let settings: Settings
    let fixture: JobFixture
    let state: Mutex<State>

    init(_ settings: Settings) throws {
        self.settings = settings
        let fixture = try JobFixture()
        self.fixture = fixture
        let jobs = (0..<settings.objectCount).map { fixture.object($0, version: 1000 + $0).serialized() }
        state = Mutex(State(revision: 1000 + settings.objectCount, jobs: jobs))
    }

    func respond(to request: HTTPRequest) async -> HTTPReply {
        let path = request.url.path
        if path.hasPrefix("/benchmark/") { return await control(request) }
        note(request)
        if request.method == .get, request.url.queryValue("watch") == "true" { return watch(request) }
        if path.hasPrefix("/v1/projects/") { return google(path) }
        if path.contains("/leases") { return lease(request) }
        switch request.method {
        case .get: return get(request)
        case .patch, .put: return change(request)
        case .post: return Self.reply(201, (try? JSONValue(parsing: request.body)) ?? [:])
        case .delete, .head: return Self.reply(200, ["kind": "Status", "status": "Success"])
        }
    }

    static func reply(_ status: Int, _ body: JSONValue) -> HTTPReply {
        HTTPReply(status: status, headers: ["Content-Type": "application/json"], body: body.serialized())
    }

    static func failure(_ code: Int, _ reason: String, _ message: String = "") -> HTTPReply {
        let text = message.isEmpty ? reason : message
        return reply(
            code,
            [
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": .integer(Int64(code)),
                "reason": .string(reason), "message": .string(text),
            ])
    }

    /// Who asked what, when.
    private func note(_ request: HTTPRequest) {
        let isWatch = request.url.queryValue("watch") == "true"
        let entry: JSONValue = [
            "at": .integer(Machine.nanoseconds),
            "user": .string(String((request.headers["Authorization"] ?? "").split(separator: " ").last ?? "")),
            "verb": .string(isWatch ? "WATCH" : request.method.rawValue), "path": .string(request.url.path),
        ]
        state.withLock { $0.log.append(entry) }
    }

    // MARK: Reading

    private func get(_ request: HTTPRequest) -> HTTPReply {
        let path = request.url.path
        if path == JobFixture.collection { return page(request) }
        if path == "/api/v1/namespaces/kube-system" {
            return Self.reply(
                200, ["metadata": ["name": "kube-system", "uid": "kube-system-uid", "resourceVersion": "1"]])
        }
        if path.hasPrefix("/apis/trainyard.dev/v1alpha1/namespaces/") {
            guard let object = state.withLock({ object(at: path, in: $0) }) else {
                return Self.failure(404, "NotFound")
            }
            return Self.reply(200, object)
        }
        if path.contains("/namespaces/") { return Self.failure(404, "NotFound") }
        let version = state.withLock(\.revision)
        return Self.reply(200, ["metadata": ["resourceVersion": .string(String(version))], "items": []])
    }

    private func page(_ request: HTTPRequest) -> HTTPReply {
        let limit = request.url.queryValue("limit").flatMap { Int($0) } ?? Int.max
        let start = request.url.queryValue("continue").flatMap { Int($0) } ?? 0
        let body = state.withLock { state -> [UInt8] in
            let end = min(state.jobs.count, start.addingReportingOverflow(limit).overflow ? .max : start + limit)
            let isLast = end == state.jobs.count
            var body = Array(
                "{\"kind\":\"TrainingJobList\",\"apiVersion\":\"trainyard.dev/v1alpha1\",\"metadata\":{".utf8)
            body += Array("\"resourceVersion\":\"\(state.revision)\"".utf8)
            if !isLast { body += Array(",\"continue\":\"\(end)\"".utf8) }
            body += Array("},\"items\":[".utf8)
            var items = state.jobs[start..<end].map { $0 }
            if isLast { items += state.fresh.values.map { $0.serialized() } }
            body.reserveCapacity(items.reduce(body.count + 2) { $0 + $1.count + 1 })
            for (index, item) in items.enumerated() {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                body += item
            }
            return body + Array("]}".utf8)
        }
        return HTTPReply(status: 200, headers: ["Content-Type": "application/json"], body: body)
    }

    private func google(_ path: String) -> HTTPReply {
        if path.hasSuffix("/clusters/bench") {
            return Self.reply(200, ["name": "bench", "locations": ["us-central1-a"], "status": "RUNNING"])
        }
        return Self.reply(200, [:])
    }

    // MARK: Writing

    private func object(at path: String, in state: borrowing State) -> JSONValue? {
        let parts = path.split(separator: "/")
        guard parts.count > 6 else { return nil }
        let name = String(parts[6])
        if let fresh = state.fresh[name] { return fresh }
        guard let index = name.split(separator: "-").last.flatMap({ Int($0) }), state.jobs.indices.contains(index),
            name == JobFixture.name(index)
        else { return nil }
        return try? JSONValue(parsing: state.jobs[index])
    }

    private func change(_ request: HTTPRequest) -> HTTPReply {
        let path = request.url.path
        guard let body = try? JSONValue(parsing: request.body) else { return Self.failure(400, "BadRequest") }
        guard path.hasPrefix("/apis/trainyard.dev/v1alpha1/namespaces/") else {
            var echo = body
            echo.set("1", at: ["metadata", "resourceVersion"])
            return Self.reply(200, echo)
        }
        let changed = state.withLock { state -> JSONValue? in
            guard var object = object(at: path, in: state) else { return nil }
            if let finalizers = body.value(at: ["metadata", "finalizers"]) {
                object.set(finalizers, at: ["metadata", "finalizers"])
            }
            if let status = body["status"] { object["status"] = status }
            store(&object, in: &state)
            return object
        }
        return changed.map { Self.reply(200, $0) } ?? Self.failure(404, "NotFound")
    }

    /// Gives the object the next revision and tells the watchers.
    private func store(_ object: inout JSONValue, in state: inout State) {
        state.revision += 1
        object.set(.string(String(state.revision)), at: ["metadata", "resourceVersion"])
        let name = object.value(at: ["metadata", "name"])?.stringValue ?? ""
        let isNew: Bool
        if let index = name.split(separator: "-").last.flatMap({ Int($0) }), name == JobFixture.name(index) {
            state.jobs[index] = object.serialized()
            isNew = false
        } else {
            isNew = state.fresh.updateValue(object, forKey: name) == nil
        }
        let line = Self.line(isNew ? "ADDED" : "MODIFIED", object.serialized())
        for watcher in (state.watchers[JobFixture.collection] ?? [:]).values { watcher.yield(line) }
    }

    static func line(_ type: String, _ object: [UInt8]) -> [UInt8] {
        Array("{\"type\":\"\(type)\",\"object\":".utf8) + object + Array("}\n".utf8)
    }

    private func lease(_ request: HTTPRequest) -> HTTPReply {
        let body = (try? JSONValue(parsing: request.body)) ?? [:]
        let name =
            body.value(at: ["metadata", "name"])?.stringValue
            ?? String(request.url.path.split(separator: "/").last ?? "")
        return state.withLock { state in
            let current = state.leases[name]
            switch (request.method, current) {
            case (.get, let lease?): return Self.reply(200, lease)
            case (.post, nil): break
            case (.post, _?): return Self.failure(409, "AlreadyExists")
            case (.put, let lease?):
                let path = ["metadata", "resourceVersion"]
                guard body.value(at: path) == lease.value(at: path) else { return Self.failure(409, "Conflict") }
            default: return Self.failure(404, "NotFound")
            }
            var lease = body
            state.revision += 1
            lease.set(.string(String(state.revision)), at: ["metadata", "resourceVersion"])
            lease.set("lease-uid", at: ["metadata", "uid"])
            state.leases[name] = lease
            return Self.reply(request.method == .post ? 201 : 200, lease)
        }
    }

    // MARK: What benchmarks ask for

    private func control(_ request: HTTPRequest) async -> HTTPReply {
        let count = request.url.queryValue("count").flatMap { Int($0) } ?? 0
        let interval = request.url.queryValue("microseconds").flatMap { Int($0) } ?? 0
        switch request.url.path {
        case "/benchmark/requests":
            return Self.reply(200, .array(state.withLock(\.log)))
        case "/benchmark/expire":
            expire(changingAll: request.url.queryValue("change") == "all")
        case "/benchmark/touch":
            await repeated(count, every: interval) { number in self.touch(number) }
        case "/benchmark/create":
            let prefix = request.url.queryValue("prefix") ?? "new"
            await repeated(count, every: interval) { number in self.create("\(prefix)\(number)") }
        default: return Self.failure(404, "NotFound")
        }
        return Self.reply(200, [:])
    }

    /// At a steady rate: what falls behind is made up for.
    private func repeated(_ count: Int, every microseconds: Int, _ body: (Int) -> Void) async {
        let start = ContinuousClock.now
        for number in 0..<count {
            let due = start + .microseconds(microseconds * number)
            if due > .now { try? await Task.sleep(until: due, tolerance: .zero, clock: .continuous) }
            body(number)
        }
    }

    /// Changes a finished job in a way that nobody reads, and writes the time into it.
    private func touch(_ number: Int) {
        state.withLock { state in
            let index = number % max(1, state.jobs.count)
            guard state.jobs.indices.contains(index), var object = try? JSONValue(parsing: state.jobs[index]) else {
                return
            }
            object.set(.string(String(Machine.nanoseconds)), at: ["metadata", "annotations", "sent"])
            store(&object, in: &state)
        }
    }

    private func create(_ name: String) {
        state.withLock { state in
            var object = JobFixture.fresh(name, version: 0)
            state.log.append(
                ["at": .integer(Machine.nanoseconds), "user": "", "verb": "CREATED", "path": .string(name)])
            store(&object, in: &state)
        }
    }

    /// Ends the watches of jobs with 410, as after a compaction.
    ///
    /// - changingAll: every job has a new version when it is read again.
    private func expire(changingAll: Bool) {
        let watchers = state.withLock { state in
            if changingAll {
                for index in state.jobs.indices {
                    state.revision += 1
                    state.jobs[index] = fixture.object(index, version: state.revision).serialized()
                }
            }
            return state.watchers.updateValue([:], forKey: JobFixture.collection) ?? [:]
        }
        let status: JSONValue = ["kind": "Status", "code": 410, "reason": "Expired", "message": "too old"]
        let line = Self.line("ERROR", status.serialized())
        // Not under the lock: the end of a watch takes it.
        for watcher in watchers.values {
            watcher.yield(line)
            watcher.finish()
        }
    }
}
