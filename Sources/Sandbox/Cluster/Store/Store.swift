import Encoding
import Telemetry

/// Names one stored object.
struct ObjectKey: Hashable, Sendable {
    var collection: CollectionID
    /// Empty for cluster-scoped objects.
    var namespace: String
    var name: String
}

/// One change of the store, in the order of revisions.
struct StoreEvent: Sendable {
    enum Kind: Sendable { case added, modified, deleted }

    var kind: Kind
    var revision: Int64
    /// The new state; for a delete the last one, with the delete's revision.
    var object: JSONValue
    /// The state before, nil for an add.
    var previous: JSONValue?
}

/// The objects, one revision counter, the recent history and the watchers.
struct Store: Sendable {
    /// The last revision that was given out.
    private(set) var revision: Int64 = 1
    private var collections: [CollectionID: Collection] = [:]
    private var keysByUID: [String: ObjectKey] = [:]
    /// Objects by the uids of their owners.
    private var dependents: [String: Set<ObjectKey>] = [:]
    /// Objects whose owners are to be looked at again.
    private(set) var collectable: Set<ObjectKey> = []
    private let historyLimit: Int

    private struct Collection: Sendable {
        var objects: [String: NamedObjects] = [:]
        var history: [StoreEvent] = []
        /// The oldest revision that a watch can resume from.
        var floor: Int64 = 0
        var watchers: [Int: Watcher] = [:]

        mutating func record(_ event: StoreEvent, limit: Int) {
            history.append(event)
            guard history.count >= 2 * limit else { return }
            let dropped = history.count - limit
            floor = history[dropped - 1].revision
            history.removeFirst(dropped)
        }
    }

    init(historyLimit: Int) { self.historyLimit = max(1, historyLimit) }

    func object(_ key: ObjectKey) -> JSONValue? { collections[key.collection]?.objects[key.namespace]?[key.name] }

    func key(uid: String) -> ObjectKey? { keysByUID[uid] }

    func dependentKeys(of uid: String) -> Set<ObjectKey> { dependents[uid] ?? [] }

    /// All objects of a collection, or of one namespace, sorted by namespace and name.
    func list(_ id: CollectionID, namespace: String?) -> [JSONValue] {
        guard let objects = collections[id]?.objects else { return [] }
        let namespaces = namespace.map { [$0] } ?? objects.keys.sorted()
        return namespaces.flatMap { objects[$0]?.values ?? [] }
    }

    /// A collection as it was at a revision, undone change by change; nil when that is too long ago.
    func list(_ id: CollectionID, namespace: String?, at revision: Int64) -> [JSONValue]? {
        guard let collection = collections[id] else { return [] }
        guard revision >= collection.floor else { return nil }
        var objects: [String: JSONValue] = [:]
        func place(_ object: JSONValue) -> String { "\(object.objectNamespace)/\(object.objectName)" }
        for object in list(id, namespace: namespace) { objects[place(object)] = object }
        for event in collection.history.reversed() {
            guard event.revision > revision else { break }
            guard namespace == nil || event.object.objectNamespace == namespace else { continue }
            if let previous = event.previous {
                objects[place(event.object)] = previous
            } else {
                objects.removeValue(forKey: place(event.object))
            }
        }
        return objects.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Keys of everything in a namespace.
    func keys(inNamespace namespace: String) -> [ObjectKey] {
        collections.flatMap { id, collection in
            (collection.objects[namespace]?.names ?? []).map {
                ObjectKey(collection: id, namespace: namespace, name: $0)
            }
        }
    }

    /// Stores an object under a new revision and tells the watchers.
    ///
    /// - Returns: the object with its resourceVersion.
    @discardableResult
    mutating func put(_ object: JSONValue, at key: ObjectKey) -> JSONValue {
        revision += 1
        var stored = object
        stored.setMetadata("resourceVersion", .string(String(revision)))
        let previous = self.object(key)
        collections[key.collection, default: Collection()].objects[
            key.namespace, default: NamedObjects()][key.name] = stored
        index(key, previous: previous, current: stored)
        record(
            StoreEvent(
                kind: previous == nil ? .added : .modified, revision: revision, object: stored, previous: previous),
            in: key)
        return stored
    }

    /// Removes an object; nothing happens when it is not there.
    mutating func remove(_ key: ObjectKey) {
        guard let previous = object(key) else { return }
        collections[key.collection]?.objects[key.namespace]?[key.name] = nil
        if collections[key.collection]?.objects[key.namespace]?.isEmpty == true {
            collections[key.collection]?.objects[key.namespace] = nil
        }
        revision += 1
        index(key, previous: previous, current: nil)
        var last = previous
        last.setMetadata("resourceVersion", .string(String(revision)))
        record(StoreEvent(kind: .deleted, revision: revision, object: last, previous: previous), in: key)
    }

    /// Changes objects in place, without a revision: a new schema's defaults show when they are read.
    mutating func rewrite(_ id: CollectionID, _ change: (JSONValue) -> JSONValue) {
        for namespace in (collections[id]?.objects ?? [:]).keys {
            collections[id]?.objects[namespace]?.rewrite(change)
        }
    }

    // MARK: Watches

    /// Adds a watcher and gives it what happened after `revision`.
    ///
    /// - Returns: false when that is too long ago.
    mutating func attach(_ watcher: Watcher, to id: CollectionID, after revision: Int64) -> Bool {
        var collection = collections[id, default: Collection()]
        guard revision >= collection.floor else { return false }
        let start = collection.history.firstIndex { $0.revision > revision } ?? collection.history.endIndex
        for event in collection.history[start...] { watcher.offer(event) }
        collection.watchers[watcher.id] = watcher
        collections[id] = collection
        return true
    }

    mutating func detach(_ watcher: Watcher, from id: CollectionID) {
        collections[id]?.watchers[watcher.id] = nil
    }

    /// Ends the watches whose time is over and sends bookmarks where they are due.
    mutating func tickWatchers(now: Timestamp, bookmarkInterval: Duration) {
        for (id, collection) in collections {
            for watcher in collection.watchers.values
            where !watcher.tick(now: now, revision: revision, bookmarkInterval: bookmarkInterval) {
                collections[id]?.watchers[watcher.id] = nil
            }
        }
    }

    /// Ends every watch.
    mutating func endWatches() {
        for (id, collection) in collections {
            collection.watchers.values.forEach { $0.end() }
            collections[id]?.watchers = [:]
        }
    }

    /// Forgets the history: watches from before get 410, as after a compaction.
    mutating func compact() {
        for id in collections.keys {
            collections[id]?.history = []
            collections[id]?.floor = revision
        }
    }

    /// Takes the last changes of a collection back, as far as its history goes: for reads that are to be stale. Watchers,
    /// owners and other collections stay as they are, so this is for a copy that is thrown away.
    mutating func rewind(_ id: CollectionID, changes: Int) {
        guard var collection = collections[id], changes > 0 else { return }
        let undone = collection.history.suffix(changes)
        guard let first = undone.first else { return }
        for event in undone.reversed() {
            let (namespace, name) = (event.object.objectNamespace, event.object.objectName)
            collection.objects[namespace, default: NamedObjects()][name] = event.previous
        }
        collections[id] = collection
        revision = first.revision - 1
    }

    private mutating func record(_ event: StoreEvent, in key: ObjectKey) {
        let id = key.collection
        collections[id, default: Collection()].record(event, limit: historyLimit)
        for watcher in collections[id]?.watchers.values ?? [:].values
        where watcher.filter.namespace.map({ $0 == key.namespace }) ?? true {
            if !watcher.offer(event) { collections[id]?.watchers[watcher.id] = nil }
        }
    }

    // MARK: Owners

    mutating func takeCollectable() -> Set<ObjectKey> {
        defer { collectable = [] }
        return collectable
    }

    mutating func markCollectable(_ key: ObjectKey) { collectable.insert(key) }

    private mutating func index(_ key: ObjectKey, previous: JSONValue?, current: JSONValue?) {
        if let uid = previous?.uid, uid != current?.uid {
            keysByUID[uid] = nil
            collectable.formUnion(dependents[uid] ?? [])
        }
        if let uid = current?.uid { keysByUID[uid] = key }
        let before = previous?.ownerReferences ?? []
        let after = current?.ownerReferences ?? []
        if before != after {
            for uid in before.compactMap({ $0["uid"]?.stringValue }) {
                dependents[uid]?.remove(key)
                if dependents[uid]?.isEmpty == true { dependents[uid] = nil }
                if let owner = keysByUID[uid] { collectable.insert(owner) }
            }
            for uid in after.compactMap({ $0["uid"]?.stringValue }) { dependents[uid, default: []].insert(key) }
            if !after.isEmpty { collectable.insert(key) }
        }
        if current == nil {
            collectable.remove(key)
            for uid in before.compactMap({ $0["uid"]?.stringValue }) {
                if let owner = keysByUID[uid] { collectable.insert(owner) }
            }
        } else if current?.deletionTimestamp != nil, current?.finalizers.isEmpty == false {
            collectable.insert(key)
        }
    }

    // MARK: Snapshots

    /// Every object, in the order of their revisions.
    var snapshot: JSONValue {
        let objects = collections.flatMap { id, collection in
            collection.objects.values.flatMap(\.values).map { object -> JSONValue in
                ["group": .string(id.group), "plural": .string(id.plural), "object": object]
            }
        }
        return ["revision": .integer(revision), "objects": .array(objects)]
    }

    /// Puts the objects of a snapshot back; watches from before it get 410.
    mutating func restore(_ snapshot: JSONValue) {
        for entry in snapshot["objects"]?.arrayValue ?? [] {
            guard let group = entry["group"]?.stringValue, let plural = entry["plural"]?.stringValue,
                let object = entry["object"]
            else { continue }
            let key = ObjectKey(
                collection: CollectionID(group: group, plural: plural), namespace: object.objectNamespace,
                name: object.objectName)
            collections[key.collection, default: Collection()].objects[
                key.namespace, default: NamedObjects()][key.name] = object
            index(key, previous: nil, current: object)
        }
        revision = max(revision, snapshot["revision"]?.integerValue ?? 0)
        for id in collections.keys { collections[id]?.floor = revision }
    }
}
