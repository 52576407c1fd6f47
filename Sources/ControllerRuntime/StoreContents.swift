import Kubernetes

/// What a store holds, as a value: which news counts, and what is gone after a list.
struct StoreContents<Object: KubernetesResource>: Sendable {
    /// An object outside the table: a table of large structs would be half empty space, and growing would move them all.
    private final class Box: Sendable {
        let object: Object

        init(_ object: Object) { self.object = object }
    }

    struct Entry: Sendable {
        private let box: Box
        /// The last list that had it.
        fileprivate var pass: UInt32

        fileprivate init(_ object: Object, pass: UInt32) {
            box = Box(object)
            self.pass = pass
        }

        var object: Object { box.object }
    }

    struct Undecodable: Sendable {
        let object: UndecodableObject
        /// The last list that had it.
        fileprivate var pass: UInt32
    }

    private(set) var entries: [ObjectKey: Entry] = [:]
    /// The last state of them that could be read, if there was one, is still in `entries`.
    private(set) var undecodable: [ObjectKey: Undecodable] = [:]
    private(set) var isSynced = false
    /// The label by whose value objects are found.
    private let indexedLabel: String?
    /// The keys of the objects with a value of that label, by namespace and value.
    private var byLabel: [ObjectKey: Set<ObjectKey>] = [:]
    private var passNumber: UInt32 = 0
    /// The highest version seen.
    private var highest: UInt64 = 0
    /// The resource versions of deletions, so that a late reply does not bring an object back.
    private var tombstones: [ObjectKey: String] = [:]
    private var tombstoneOrder: [ObjectKey] = []

    static var maximumTombstones: Int { 4096 }
    /// The sentence names one member; more would only fill the memory.
    static var maximumMessageCharacters: Int { 500 }

    init(indexedLabel: String?) { self.indexedLabel = indexedLabel }

    /// The objects of a namespace whose indexed label has a value; all of the namespace where no label is indexed.
    func entries(in namespace: String?, labelled value: String) -> [Entry] {
        guard indexedLabel != nil else { return entries.filter { $0.key.namespace == namespace }.map(\.value) }
        return (byLabel[ObjectKey(namespace: namespace, name: value)] ?? []).compactMap { entries[$0] }
    }

    // MARK: Single objects

    mutating func put(_ object: Object, isOwnWrite: Bool, pass: ListPass?) -> [StoreChange<Object>] {
        let header = ObjectHeader(object.metadata)
        if isKnown(header, pass: pass) { return [] }
        let key = ObjectKey(header)
        let (ended, old) = predecessor(of: header, key)
        store(Entry(object, pass: pass?.number ?? entries[key]?.pass ?? 0), at: key)
        undecodable[key] = nil
        tombstones[key] = nil
        note(header.resourceVersion)
        return ended + [
            StoreChange(key: key, old: old, new: object, isOwnWrite: isOwnWrite, isInitial: !isSynced)
        ]
    }

    mutating func putUndecodable(
        _ header: ObjectHeader, message: String, pass: ListPass?
    ) -> [StoreChange<Object>] {
        if isKnown(header, pass: pass) { return [] }
        let key = ObjectKey(header)
        let (ended, old) = predecessor(of: header, key)
        let object = UndecodableObject(
            uid: header.uid, resourceVersion: header.resourceVersion,
            message: String(message.prefix(Self.maximumMessageCharacters)))
        if !ended.isEmpty { store(nil, at: key) }
        if let pass { entries[key]?.pass = pass.number }
        undecodable[key] = Undecodable(object: object, pass: pass?.number ?? undecodable[key]?.pass ?? 0)
        tombstones[key] = nil
        note(header.resourceVersion)
        return ended + [
            StoreChange(key: key, old: old, new: old, isInitial: !isSynced, undecodable: object)
        ]
    }

    mutating func remove(_ key: ObjectKey, uid: String?, resourceVersion: String?) -> [StoreChange<Object>] {
        let known = latest(key)
        if let version = resourceVersion { note(version) }
        guard let known, uid == nil || known.uid == nil || known.uid == uid else { return [] }
        if let version = resourceVersion {
            if isOlder(version, than: known.resourceVersion) { return [] }
            bury(key, at: version)
        }
        return drop(key)
    }

    /// The end of a namesake with another uid, and what was there of the same object.
    private func predecessor(
        of header: ObjectHeader, _ key: ObjectKey
    ) -> (ended: [StoreChange<Object>], old: Object?) {
        guard let old = entries[key]?.object else { return ([], nil) }
        guard let uid = old.metadata.uid, let newUID = header.uid, uid != newUID else { return ([], old) }
        return ([StoreChange(key: key, old: old, new: nil)], nil)
    }

    private mutating func drop(_ key: ObjectKey) -> [StoreChange<Object>] {
        undecodable[key] = nil
        let old = entries[key]?.object
        store(nil, at: key)
        return [StoreChange(key: key, old: old, new: nil)]
    }

    private mutating func store(_ entry: Entry?, at key: ObjectKey) {
        if let label = indexedLabel {
            let old = entries[key]?.object.metadata.labels?[label]
            let new = entry?.object.metadata.labels?[label]
            if old != new {
                if let old {
                    let place = ObjectKey(namespace: key.namespace, name: old)
                    byLabel[place]?.remove(key)
                    if byLabel[place]?.isEmpty == true { byLabel[place] = nil }
                }
                if let new { byLabel[ObjectKey(namespace: key.namespace, name: new), default: []].insert(key) }
            }
        }
        entries[key] = entry
    }

    // MARK: Lists

    mutating func beginList() -> ListPass {
        passNumber &+= 1
        return ListPass(number: passNumber, floor: highest)
    }

    /// Whether this state of an object, or a newer one, is here or was deleted. Marks it as listed.
    mutating func isKnown(_ header: ObjectHeader, pass: ListPass?) -> Bool {
        let key = ObjectKey(header)
        if let pass {
            entries[key]?.pass = pass.number
            undecodable[key]?.pass = pass.number
        }
        let known = latest(key)
        if pass?.rewinds == true {
            return known?.resourceVersion == header.resourceVersion && known?.uid == header.uid
        }
        if let known { return isSameOrOlder(header.resourceVersion, as: known.resourceVersion) }
        return tombstones[key].map { isSameOrOlder(header.resourceVersion, as: $0) } ?? false
    }

    mutating func endList(_ pass: ListPass, resourceVersion: String) -> [StoreChange<Object>] {
        // A newer pass has begun: this one's marks are incomplete.
        guard pass.number == passNumber else { return [] }
        let unlisted =
            entries.filter { $0.value.pass != pass.number }.map(\.key)
            + undecodable.filter { $0.value.pass != pass.number && entries[$0.key] == nil }.map(\.key)
        var changes: [StoreChange<Object>] = []
        for key in unlisted {
            // Newer than the list: made meanwhile.
            if !pass.rewinds, isOlder(resourceVersion, than: latest(key)?.resourceVersion) { continue }
            bury(key, at: resourceVersion)
            changes += drop(key)
        }
        if pass.rewinds {
            highest = 0
            tombstones = [:]
            tombstoneOrder = []
        }
        note(resourceVersion)
        isSynced = true
        return changes
    }

    // MARK: Versions

    private func latest(_ key: ObjectKey) -> (uid: String?, resourceVersion: String?)? {
        if let object = undecodable[key]?.object { return (object.uid, object.resourceVersion) }
        return entries[key].map { ($0.object.metadata.uid, $0.object.metadata.resourceVersion) }
    }

    private mutating func note(_ version: String?) {
        if let version = version.flatMap({ UInt64($0) }) { highest = max(highest, version) }
    }

    private mutating func bury(_ key: ObjectKey, at version: String) {
        if tombstones.updateValue(version, forKey: key) == nil { tombstoneOrder.append(key) }
        if tombstoneOrder.count > Self.maximumTombstones {
            for key in tombstoneOrder.prefix(Self.maximumTombstones / 2) { tombstones[key] = nil }
            tombstoneOrder.removeFirst(Self.maximumTombstones / 2)
        }
    }
}

/// Resource versions of one kind compare as integers (KEP-5504); what is no integer counts as news.
private func isSameOrOlder(_ new: String?, as old: String?) -> Bool {
    if new == old { return new != nil }
    guard let new = new.flatMap({ UInt64($0) }), let old = old.flatMap({ UInt64($0) }) else { return false }
    return new <= old
}

private func isOlder(_ new: String, than old: String?) -> Bool {
    guard let new = UInt64(new), let old = old.flatMap({ UInt64($0) }) else { return false }
    return new < old
}
