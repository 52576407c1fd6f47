import Encoding

/// A list's objects and its own metadata.
struct ObjectList: Sendable {
    var items: [JSONValue]
    var metadata: JSONValue
}

extension ClusterState {
    func get(_ request: ResourceRequest, name: String) throws(StatusError) -> JSONValue {
        guard let object = store.object(request.key(name)) else { throw .notFound(request.definition, name) }
        return object
    }

    /// One page, or the whole list.
    mutating func list(_ request: ResourceRequest) throws(StatusError) -> ObjectList {
        try ListOptionChecks.list(request)
        let asked = try request.number("limit") ?? 0
        let match = request.query("resourceVersionMatch")
        let version = request.query("resourceVersion")
        let filter = try request.filter()
        if let token = request.query("continue") {
            guard (version ?? "0") == "0" else {
                throw .badRequest("specifying resource version is not allowed when using continue")
            }
            let (store, definition) = (store, request.definition)
            let namespace = definition.isNamespaced ? request.namespace : ""
            return try continuations.page(
                token, limit: Int(asked), filter: filter, now: request.now,
                current: store.list(definition.storage, namespace: namespace), revision: store.revision)
        }
        try checkVersion(version)
        // What the watch cache answers is not cut into pages.
        let limit = version == "0" ? 0 : Int(asked)
        if match == "Exact", let version {
            let revision = try ClusterState.revision(version)
            let namespace = request.definition.isNamespaced ? request.namespace : ""
            guard let items = store.list(request.definition.storage, namespace: namespace, at: revision) else {
                throw .expired("The resourceVersion for the provided list is too old.")
            }
            return continuations.firstPage(items, filter: filter, limit: limit, revision: revision, now: request.now)
        }
        if limit <= 0 {
            return ObjectList(
                items: matching(filter, request), metadata: ["resourceVersion": .string(String(store.revision))])
        }
        return continuations.firstPage(
            matchingNamespace(request), filter: filter, limit: limit, revision: store.revision, now: request.now)
    }

    private func checkVersion(_ version: String?) throws(StatusError) {
        guard let version, version != "0" else { return }
        let revision = try ClusterState.revision(version)
        guard revision <= store.revision else {
            throw StatusError(
                504, "Timeout", "Too large resource version: \(revision), current: \(store.revision)",
                details: ["causes": [["reason": "ResourceVersionTooLarge", "message": "Too large resource version"]]])
        }
    }

    /// - Throws: 500 for a word, as the API server does.
    private static func revision(_ text: String) throws(StatusError) -> Int64 {
        guard let revision = Int64(text), revision >= 0 else {
            throw .unexplained(
                "resourceVersion: Invalid value: \"\(text)\": strconv.ParseUint: parsing \"\(text)\": invalid syntax")
        }
        return revision
    }

    private func matchingNamespace(_ request: ResourceRequest) -> [JSONValue] {
        store.list(
            request.definition.storage, namespace: request.definition.isNamespaced ? request.namespace : "")
    }

    /// A read of a collection as it was; later pages of a list show it so too.
    mutating func staleRead(
        _ request: ResourceRequest, _ authorization: Authorization, changesBack: Int
    ) throws(StatusError) -> Outcome {
        var past = self
        past.store.rewind(request.definition.storage, changes: changesBack)
        defer { continuations = past.continuations }
        return try Router.perform(request, authorization, on: &past)
    }

    private func matching(_ filter: ObjectFilter, _ request: ResourceRequest) -> [JSONValue] {
        if let name = filter.fields?.name, let namespace = request.definition.isNamespaced ? filter.namespace : "" {
            let key = ObjectKey(collection: request.definition.storage, namespace: namespace, name: name)
            return store.object(key).map { filter.matches($0) ? [$0] : [] } ?? []
        }
        let all = store.list(
            request.definition.storage, namespace: request.definition.isNamespaced ? filter.namespace : "")
        return filter.selectsAll ? all : all.filter(filter.matches)
    }

    /// Starts a watch; what cannot be resumed begins with an ERROR event, as the watch cache does it.
    mutating func watch(_ request: ResourceRequest) throws(StatusError) -> Watcher {
        try ListOptionChecks.watch(request)
        let filter = try request.filter()
        let resume = request.query("resourceVersion")
        let sendsInitialEvents = request.query("sendInitialEvents").map { $0 == "true" }
        let start = try ClusterState.revision(resume ?? "0")
        let timeout = max(1, try request.number("timeoutSeconds") ?? 1800)
        let fromScratch = start == 0 || sendsInitialEvents == true
        let initial = fromScratch ? matching(filter, request) : []
        let watcher = Watcher(
            id: watcherID(), filter: filter, startRevision: fromScratch ? store.revision : start,
            deadline: request.now + .seconds(timeout),
            // The last one comes two seconds before the end.
            firstBookmark: request.now + min(configuration.bookmarkInterval, .seconds(max(1, timeout - 2))),
            sendsBookmarks: request.flag("allowWatchBookmarks"),
            bufferLimit: configuration.watchBufferLimit + initial.count)
        if fromScratch, sendsInitialEvents != false {
            sendInitialEvents(initial, to: watcher, request, endsWithBookmark: sendsInitialEvents == true)
        }
        let isAttached = store.attach(
            watcher, to: request.definition.storage, after: fromScratch ? store.revision : start)
        if !isAttached {
            let oldest = StatusError.expired("too old resource version: \(start) (\(store.revision))")
            watcher.send(WatchEvent(kind: .error, object: oldest.json))
            watcher.end()
        }
        return watcher
    }

    private func sendInitialEvents(
        _ objects: [JSONValue], to watcher: Watcher, _ request: ResourceRequest, endsWithBookmark: Bool
    ) {
        for object in objects { watcher.send(WatchEvent(kind: .added, object: object)) }
        guard endsWithBookmark, request.flag("allowWatchBookmarks") else { return }
        var bookmark = Watcher.bookmark(revision: store.revision)
        bookmark.setMetadata("annotations", ["k8s.io/initial-events-end": "true"])
        watcher.send(WatchEvent(kind: .bookmark, object: bookmark))
    }
}
