public import Kubernetes
import Synchronization

/// A change in a store, told to its observers after it is visible.
public struct StoreChange<Object: KubernetesResource>: Sendable {
    public let key: ObjectKey
    /// nil when it is new.
    public let old: Object?
    /// nil when it is gone.
    public let new: Object?
    /// Written by this process: whoever wrote it knows already.
    public let isOwnWrite: Bool
    /// Part of the first list.
    public let isInitial: Bool

    init(key: ObjectKey, old: Object?, new: Object?, isOwnWrite: Bool = false, isInitial: Bool = false) {
        self.key = key
        self.old = old
        self.new = new
        self.isOwnWrite = isOwnWrite
        self.isInitial = isInitial
    }
}

/// The objects of one kind as last seen, fed by one watch and by our own writes. Never goes back in time: what is older
/// than what is here by resource version is dropped.
public final class ObjectStore<Object: KubernetesResource>: Sendable {
    /// Called outside the lock, possibly from several tasks at a time.
    public typealias Observer = @Sendable (StoreChange<Object>) -> Void

    private struct State {
        var objects: [ObjectKey: Object] = [:]
        /// The resource versions of deletions, so that a late reply does not bring an object back.
        var tombstones: [ObjectKey: String] = [:]
        var tombstoneOrder: [ObjectKey] = []
        var isSynced = false
        var observers: [Observer] = []
    }

    static var maximumTombstones: Int { 4096 }

    private let state = Mutex(State())

    public init() {}

    /// Whether a complete list has been seen.
    public var isSynced: Bool { state.withLock(\.isSynced) }

    /// How many objects there are.
    public var count: Int { state.withLock(\.objects.count) }

    /// The object as last seen.
    public subscript(key: ObjectKey) -> Object? { state.withLock { $0.objects[key] } }

    /// The objects of a namespace (nil: all), in no order.
    public func objects(
        in namespace: String? = nil, where isIncluded: (Object) -> Bool = { _ in true }
    ) -> [Object] {
        let all = state.withLock { Array($0.objects.values) }
        return all.filter { (namespace == nil || $0.metadata.namespace == namespace) && isIncluded($0) }
    }

    /// The keys of all objects.
    public var keys: [ObjectKey] { state.withLock { Array($0.objects.keys) } }

    /// Registers an observer; it hears of changes from now on.
    public func observe(_ observer: @escaping Observer) { state.withLock { $0.observers.append(observer) } }

    /// Takes an object from a watch, or from the reply to our own write or read.
    public func put(_ object: Object, isOwnWrite: Bool = false) {
        let key = ObjectKey(object.metadata)
        publish { state in
            let old = state.objects[key]
            guard isNews(object.metadata, over: old?.metadata, tombstone: state.tombstones[key]) else { return [] }
            state.objects[key] = object
            state.tombstones[key] = nil
            return [StoreChange(key: key, old: old, new: object, isOwnWrite: isOwnWrite)]
        }
    }

    /// Removes an object that was deleted.
    ///
    /// - Parameter resourceVersion: of the deletion, where it is known.
    public func remove(_ key: ObjectKey, uid: String?, resourceVersion: String?) {
        publish { state in
            guard let old = state.objects[key], uid == nil || old.metadata.uid == uid else { return [] }
            if let version = resourceVersion {
                if isOlder(version, than: old.metadata.resourceVersion) { return [] }
                bury(key, at: version, in: &state)
            }
            state.objects[key] = nil
            return [StoreChange(key: key, old: old, new: nil)]
        }
    }

    /// Takes a complete list: what is not in it and not newer than it is gone.
    public func replace(with list: [Object], resourceVersion: String) {
        publish { state in
            var changes: [StoreChange<Object>] = []
            var listed: Set<ObjectKey> = []
            for object in list {
                let key = ObjectKey(object.metadata)
                listed.insert(key)
                let old = state.objects[key]
                guard isNews(object.metadata, over: old?.metadata, tombstone: nil) else { continue }
                state.objects[key] = object
                changes.append(StoreChange(key: key, old: old, new: object, isInitial: !state.isSynced))
            }
            for (key, old) in state.objects where !listed.contains(key) {
                if isOlder(resourceVersion, than: old.metadata.resourceVersion) { continue }
                state.objects[key] = nil
                bury(key, at: resourceVersion, in: &state)
                changes.append(StoreChange(key: key, old: old, new: nil))
            }
            state.isSynced = true
            return changes
        }
    }

    private func publish(_ change: (inout State) -> [StoreChange<Object>]) {
        let (changes, observers) = state.withLock { state in (change(&state), state.observers) }
        for change in changes {
            for observer in observers { observer(change) }
        }
    }

    private func isNews(_ new: ObjectMeta, over old: ObjectMeta?, tombstone: String?) -> Bool {
        if let old { return !isSameOrOlder(new.resourceVersion, as: old.resourceVersion) }
        return tombstone == nil || !isSameOrOlder(new.resourceVersion, as: tombstone)
    }

    private func bury(_ key: ObjectKey, at version: String, in state: inout State) {
        if state.tombstones.updateValue(version, forKey: key) == nil { state.tombstoneOrder.append(key) }
        if state.tombstoneOrder.count > Self.maximumTombstones {
            for key in state.tombstoneOrder.prefix(Self.maximumTombstones / 2) { state.tombstones[key] = nil }
            state.tombstoneOrder.removeFirst(Self.maximumTombstones / 2)
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
