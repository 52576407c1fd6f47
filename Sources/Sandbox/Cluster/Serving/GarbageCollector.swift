import Encoding

/// Deletes what has lost its owners, finishes foreground and orphaning deletes, and empties namespaces.
///
/// It works on what changed since the last tick, so that a quiet cluster costs nothing.
extension ClusterState {
    private static let namespaces = CollectionID(group: "", plural: "namespaces")

    mutating func collectGarbage(now: Timestamp) {
        // What one pass deletes, the next may follow; the bound keeps a tick finite.
        for _ in 0..<64 {
            let keys = store.takeCollectable()
            if keys.isEmpty { break }
            for key in keys.sorted(by: { ($0.namespace, $0.name) < ($1.namespace, $1.name) }) {
                collect(key, now: now)
            }
        }
        terminateNamespaces(now: now)
        terminateDefinitions(now: now)
        expireEvents(now: now)
    }

    /// Events live for an hour after their last write, as with kube-apiserver's `--event-ttl`; looked at each minute.
    private mutating func expireEvents(now: Timestamp) {
        guard now >= nextEventExpiry else { return }
        nextEventExpiry = now + .seconds(60)
        let id = CollectionID(group: "", plural: "events")
        for event in store.list(id, namespace: nil) {
            let times = event.metadata("managedFields")?.arrayValue?.compactMap { $0["time"]?.stringValue } ?? []
            let created = event.metadata("creationTimestamp")?.stringValue ?? ""
            guard let last = (times + [created]).compactMap({ Timestamp($0) }).max(), now >= last + .seconds(3600)
            else { continue }
            store.remove(ObjectKey(collection: id, namespace: event.objectNamespace, name: event.objectName))
        }
    }

    private mutating func collect(_ key: ObjectKey, now: Timestamp) {
        guard let object = store.object(key) else { return }
        if object.deletionTimestamp != nil {
            if object.finalizers.contains("orphan") { orphanDependents(of: object) }
            if object.finalizers.contains("foregroundDeletion") { deleteDependents(of: object, now: now) }
        }
        if !object.ownerReferences.isEmpty { followOwners(key, now: now) }
    }

    /// Deletes an object whose owners are all gone; references to some that are gone are dropped.
    private mutating func followOwners(_ key: ObjectKey, now: Timestamp) {
        guard let object = store.object(key) else { return }
        var solid: [JSONValue] = []
        var isForeground = false
        for reference in object.ownerReferences {
            guard let owner = owner(reference, of: key) else { continue }
            if owner.deletionTimestamp != nil, owner.finalizers.contains("foregroundDeletion") {
                isForeground = true
            } else {
                solid.append(reference)
            }
        }
        if solid.count == object.ownerReferences.count { return }
        if !solid.isEmpty {
            guard !isForeground else { return }
            var kept = object
            kept.setMetadata("ownerReferences", .array(solid))
            store.put(kept, at: key)
        } else if object.deletionTimestamp == nil {
            let hasDependents = !store.dependentKeys(of: object.uid).isEmpty
            remove(key, isForeground && hasDependents ? .foreground : .background, now: now)
        }
    }

    /// The living owner that a reference names; an object of that name with another uid is a stranger.
    private func owner(_ reference: JSONValue, of key: ObjectKey) -> JSONValue? {
        guard let uid = reference["uid"]?.stringValue, let ownerKey = store.key(uid: uid),
            ownerKey.namespace.isEmpty || ownerKey.namespace == key.namespace,
            ownerKey.name == reference["name"]?.stringValue
        else { return nil }
        return store.object(ownerKey)
    }

    private mutating func orphanDependents(of owner: JSONValue) {
        for key in store.dependentKeys(of: owner.uid) {
            guard var dependent = store.object(key) else { continue }
            let rest = dependent.ownerReferences.filter { $0["uid"]?.stringValue != owner.uid }
            dependent.setMetadata("ownerReferences", rest.isEmpty ? nil : .array(rest))
            store.put(dependent, at: key)
        }
        removeFinalizer("orphan", uid: owner.uid)
    }

    private mutating func deleteDependents(of owner: JSONValue, now: Timestamp) {
        var isBlocked = false
        for key in store.dependentKeys(of: owner.uid) {
            guard let dependent = store.object(key) else { continue }
            if dependent.deletionTimestamp == nil { followOwners(key, now: now) }
            let blocks = dependent.ownerReferences.contains {
                $0["uid"]?.stringValue == owner.uid && $0["blockOwnerDeletion"] == true
            }
            if blocks, store.object(key) != nil { isBlocked = true }
        }
        if !isBlocked { removeFinalizer("foregroundDeletion", uid: owner.uid) }
    }

    mutating func removeFinalizer(_ finalizer: String, uid: String) {
        guard let key = store.key(uid: uid), var object = store.object(key) else { return }
        object.setFinalizers(object.finalizers.filter { $0 != finalizer })
        let grace = object.metadata("deletionGracePeriodSeconds")?.integerValue ?? 0
        if object.finalizers.isEmpty, grace == 0 {
            store.remove(key)
            if let definition = registry.definition(of: key.collection) { unregisterIfDefinition(object, definition) }
        } else {
            store.put(object, at: key)
        }
    }

    /// Deletes with a policy; what refuses (a precondition cannot, a finalizer only delays) is left for later.
    mutating func remove(_ key: ObjectKey, _ policy: DeleteOptions.Propagation, now: Timestamp) {
        guard let definition = registry.definition(of: key.collection) else { return }
        // The object was just read: not found is the only error, and means that the work is done.
        _ = try? delete(definition, key, DeleteOptions(propagation: policy), now: now)
    }

    private mutating func terminateNamespaces(now: Timestamp) {
        for namespace in store.list(ClusterState.namespaces, namespace: "") where namespace.deletionTimestamp != nil {
            let keys = store.keys(inNamespace: namespace.objectName)
            for key in keys where store.object(key)?.deletionTimestamp == nil { remove(key, .background, now: now) }
            guard store.keys(inNamespace: namespace.objectName).isEmpty else { continue }
            let key = ObjectKey(collection: ClusterState.namespaces, namespace: "", name: namespace.objectName)
            if namespace.finalizers.isEmpty { store.remove(key) }
        }
    }
}
