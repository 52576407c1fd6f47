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
        let limit = request.query("limit").flatMap { Int($0) } ?? 0
        if let token = request.query("continue") {
            return try continuations.page(token, limit: limit, now: request.now)
        }
        if let text = request.query("resourceVersion"), text != "0" {
            guard let revision = Int64(text) else { throw .badRequest("invalid resource version \"\(text)\"") }
            guard revision <= store.revision else {
                throw StatusError(
                    504, "Timeout", "Too large resource version: \(revision), current: \(store.revision)",
                    details: [
                        "causes": [["reason": "ResourceVersionTooLarge", "message": "Too large resource version"]]
                    ])
            }
            if request.query("resourceVersionMatch") == "Exact", revision != store.revision {
                throw .expired("The resourceVersion for the provided list is too old.")
            }
        }
        let filter = try request.filter()
        let items = matching(filter, request)
        return continuations.firstPage(
            items, limit: limit, revision: store.revision, countsRemaining: filter.selectsAll, now: request.now)
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
        let filter = try request.filter()
        let resume = request.query("resourceVersion")
        let sendsInitialEvents = request.query("sendInitialEvents").map { $0 == "true" }
        if sendsInitialEvents != nil, request.query("resourceVersionMatch") != "NotOlderThan" {
            throw StatusError.invalid(
                request.definition, "",
                [
                    FieldError(
                        .forbidden, "resourceVersionMatch",
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
                ])
        }
        guard let start = Int64(resume ?? "0") else {
            throw .badRequest("invalid resource version \"\(resume ?? "")\"")
        }
        let timeout = request.query("timeoutSeconds").flatMap { Int64($0) } ?? 1800
        let fromScratch = start == 0 || sendsInitialEvents == true
        let watcher = Watcher(
            id: watcherID(), filter: filter, startRevision: fromScratch ? store.revision : start,
            deadline: request.now + .seconds(max(1, timeout)),
            firstBookmark: request.now + configuration.bookmarkInterval,
            sendsBookmarks: request.flag("allowWatchBookmarks"),
            bufferLimit: configuration.watchBufferLimit + (fromScratch ? matching(filter, request).count : 0))
        if fromScratch, sendsInitialEvents != false {
            sendInitialEvents(to: watcher, request, filter, endsWithBookmark: sendsInitialEvents == true)
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
        to watcher: Watcher, _ request: ResourceRequest, _ filter: ObjectFilter, endsWithBookmark: Bool
    ) {
        for object in matching(filter, request) { watcher.send(WatchEvent(kind: .added, object: object)) }
        guard endsWithBookmark, request.flag("allowWatchBookmarks") else { return }
        var bookmark = Watcher.bookmark(revision: store.revision)
        bookmark.setMetadata("annotations", ["k8s.io/initial-events-end": "true"])
        watcher.send(WatchEvent(kind: .bookmark, object: bookmark))
    }
}

/// Later pages of lists: each token names a kept remainder, so that all pages show one revision.
struct Continuations: Sendable {
    private struct Remainder: Sendable {
        var items: [JSONValue]
        var revision: Int64
        var countsRemaining: Bool
        var expiry: Timestamp
    }

    private var remainders: [String: Remainder] = [:]
    private var nextToken = 0
    /// Remainders kept at once; older ones answer 410, as after a compaction.
    private static let limit = 64

    mutating func firstPage(
        _ items: [JSONValue], limit: Int, revision: Int64, countsRemaining: Bool, now: Timestamp
    ) -> ObjectList {
        page(
            Remainder(
                items: items, revision: revision, countsRemaining: countsRemaining, expiry: now + .seconds(300)),
            limit: limit)
    }

    mutating func page(_ token: String, limit: Int, now: Timestamp) throws(StatusError) -> ObjectList {
        guard let remainder = remainders[token], now < remainder.expiry else {
            remainders[token] = nil
            throw .expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                    + "list without the continue parameter.")
        }
        return page(remainder, limit: limit)
    }

    private mutating func page(_ whole: Remainder, limit: Int) -> ObjectList {
        var metadata: JSONValue = ["resourceVersion": .string(String(whole.revision))]
        guard limit > 0, whole.items.count > limit else { return ObjectList(items: whole.items, metadata: metadata) }
        var rest = whole
        rest.items = Array(whole.items[limit...])
        nextToken += 1
        let token = "page-\(whole.revision)-\(nextToken)"
        remainders[token] = rest
        if remainders.count > Continuations.limit,
            let oldest = remainders.min(by: { $0.value.expiry < $1.value.expiry })
        {
            remainders[oldest.key] = nil
        }
        metadata["continue"] = .string(token)
        if whole.countsRemaining { metadata["remainingItemCount"] = .integer(Int64(rest.items.count)) }
        return ObjectList(items: Array(whole.items[..<limit]), metadata: metadata)
    }
}
