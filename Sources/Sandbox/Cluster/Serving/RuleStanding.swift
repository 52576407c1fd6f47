import Encoding

/// Which objects may violate rules of their definition. All others were checked when they were written, so that an update
/// need not evaluate the rules of what it leaves alone: most of an object, at each write of its status.
struct RuleStanding: Sendable {
    /// The store's revision when a collection's definition last changed: what is older was checked by other rules.
    private var revisions: [CollectionID: Int64] = [:]
    /// What was written since and violates rules in what the write left alone.
    private var violators: Set<ObjectKey> = []

    func mayViolate(_ key: ObjectKey, _ object: JSONValue) -> Bool {
        guard let revision = revisions[key.collection] else { return false }
        return violators.contains(key) || (Int64(object.resourceVersion) ?? 0) <= revision
    }

    mutating func definitionChanged(_ id: CollectionID, at revision: Int64) {
        revisions[id] = revision
        violators = violators.filter { $0.collection != id }
    }

    mutating func wrote(_ key: ObjectKey, violates: Bool) {
        if violates { violators.insert(key) } else { violators.remove(key) }
    }
}
