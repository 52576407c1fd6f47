public import Kubernetes
import Synchronization

/// A change in a store, told to its observers after it is visible.
public struct StoreChange<Object: KubernetesResource>: Sendable {
    public let key: ObjectKey
    /// nil when it is new. Of another uid than `new` never: the end of one object and the beginning of its namesake are
    /// two changes.
    public let old: Object?
    /// nil when it is gone.
    public let new: Object?
    /// Written by this process: whoever wrote it knows already.
    public let isOwnWrite: Bool
    /// Part of the first list.
    public let isInitial: Bool
    /// The object is there, but its present state cannot be read: `old` and `new` are the last state that could be, or
    /// nil when there was none.
    public let undecodable: UndecodableObject?

    init(
        key: ObjectKey, old: Object?, new: Object?, isOwnWrite: Bool = false, isInitial: Bool = false,
        undecodable: UndecodableObject? = nil
    ) {
        self.key = key
        self.old = old
        self.new = new
        self.isOwnWrite = isOwnWrite
        self.isInitial = isInitial
        self.undecodable = undecodable
    }
}

/// What is known of an object that is there but cannot be read.
public struct UndecodableObject: Sendable, Hashable {
    public var uid: String?
    public var resourceVersion: String?
    /// Which member is wrong, as a sentence.
    public var message: String

    public init(uid: String?, resourceVersion: String?, message: String) {
        self.uid = uid
        self.resourceVersion = resourceVersion
        self.message = message
    }
}

/// One thing that a list or watch said.
enum StoreUpdate<Object: KubernetesResource>: Sendable {
    case object(Object)
    case undecodable(ObjectHeader, message: String)
    case removed(ObjectHeader)
}

/// One reading of all objects, page by page.
struct ListPass: Sendable {
    let number: UInt32
    /// The highest version that was seen before the first request.
    let floor: UInt64
    /// The server has been put back to an earlier state: what the list says counts, whatever the versions.
    var rewinds = false

    /// Whether a complete reading of this version is older than what was seen before it was asked for.
    func isStale(_ resourceVersion: String) -> Bool { UInt64(resourceVersion).map { $0 < floor } ?? false }
}

/// The objects of one kind as last seen, fed by one watch and by our own writes. Never goes back in time: what is older
/// than what is here by resource version is dropped.
public final class ObjectStore<Object: KubernetesResource>: Sendable {
    /// Called outside the lock, possibly from several tasks at a time.
    public typealias Observer = @Sendable (StoreChange<Object>) -> Void

    private typealias Contents = StoreContents<Object>

    private struct State {
        var contents: Contents
        var isServed = true
        var observers: [Observer] = []
    }

    private let state: Mutex<State>

    /// - Parameter indexedLabel: objects are found by the value of this label without looking at all of them.
    public init(indexedLabel: String? = nil) {
        state = Mutex(State(contents: Contents(indexedLabel: indexedLabel)))
    }

    /// Whether a complete list has been seen.
    public var isSynced: Bool { state.withLock(\.contents.isSynced) }

    /// False while the API server does not know the kind; only of optional kinds.
    public var isServed: Bool { state.withLock(\.isServed) }

    func setServed(_ isServed: Bool) { state.withLock { $0.isServed = isServed } }

    /// How many objects there are.
    public var count: Int { state.withLock(\.contents.entries.count) }

    /// The object as last seen.
    public subscript(key: ObjectKey) -> Object? { state.withLock { $0.contents.entries[key]?.object } }

    /// The objects of a namespace (nil: all), in no order.
    public func objects(
        in namespace: String? = nil, where isIncluded: (Object) -> Bool = { _ in true }
    ) -> [Object] {
        // Copies references only while it holds the lock.
        let all = state.withLock { state in
            namespace == nil
                ? Array(state.contents.entries.values)
                : state.contents.entries.lazy.filter { $0.key.namespace == namespace }.map { $0.value }
        }
        return all.lazy.map { $0.object }.filter(isIncluded)
    }

    /// The objects of a namespace (nil: those without one) whose indexed label has this value, in no order.
    public func objects(in namespace: String?, labelled value: String) -> [Object] {
        state.withLock { $0.contents.entries(in: namespace, labelled: value) }.map { $0.object }
    }

    /// The keys of all objects.
    public var keys: [ObjectKey] { state.withLock { Array($0.contents.entries.keys) } }

    /// Objects that are there but whose present state cannot be read. The last state that could be read stays in the
    /// store: whoever acts on a key looks here first.
    public var undecodable: [ObjectKey: UndecodableObject] {
        state.withLock { $0.contents.undecodable.mapValues(\.object) }
    }

    /// Why the present state of an object cannot be read; nil when it can, or when there is no such object.
    public func undecodable(_ key: ObjectKey) -> UndecodableObject? {
        state.withLock { $0.contents.undecodable[key]?.object }
    }

    /// Registers an observer; it hears of changes from now on.
    public func observe(_ observer: @escaping Observer) { state.withLock { $0.observers.append(observer) } }

    /// Takes an object from a watch, or from the reply to our own write or read.
    public func put(_ object: Object, isOwnWrite: Bool = false) {
        publish { $0.put(object, isOwnWrite: isOwnWrite, pass: nil) }
    }

    /// Removes an object that was deleted.
    ///
    /// - Parameter resourceVersion: of the deletion, where it is known.
    public func remove(_ key: ObjectKey, uid: String?, resourceVersion: String?) {
        publish { $0.remove(key, uid: uid, resourceVersion: resourceVersion) }
    }

    /// Takes a complete list: what is not in it and not newer than it is gone.
    public func replace(with list: [Object], resourceVersion: String) {
        let pass = beginList()
        apply(list.map { .object($0) }, pass: pass)
        endList(pass, resourceVersion: resourceVersion)
    }

    // MARK: What a watch does

    /// Begins to read all objects; what an earlier pass marked as listed counts no more.
    func beginList() -> ListPass { state.withLock { $0.contents.beginList() } }

    /// Whether the store has this state of an object, or a newer one: then it need not be decoded. Marks it as listed.
    func isKnown(_ header: ObjectHeader, pass: ListPass?) -> Bool {
        state.withLock { $0.contents.isKnown(header, pass: pass) }
    }

    /// Takes what came, in order.
    ///
    /// - Parameter pass: marks the objects as listed.
    func apply(_ updates: [StoreUpdate<Object>], pass: ListPass?) {
        if updates.isEmpty { return }
        publish { contents in
            var changes: [StoreChange<Object>] = []
            for update in updates {
                switch update {
                case .object(let object): changes += contents.put(object, isOwnWrite: false, pass: pass)
                case .undecodable(let header, let message):
                    changes += contents.putUndecodable(header, message: message, pass: pass)
                case .removed(let header):
                    changes += contents.remove(
                        ObjectKey(header), uid: header.uid, resourceVersion: header.resourceVersion)
                }
            }
            return changes
        }
    }

    /// All pages have been taken: what was not listed and is not newer than the list is gone.
    func endList(_ pass: ListPass, resourceVersion: String) {
        publish { $0.endList(pass, resourceVersion: resourceVersion) }
    }

    private func publish(_ change: (inout Contents) -> [StoreChange<Object>]) {
        let (changes, observers) = state.withLock { state in (change(&state.contents), state.observers) }
        for change in changes {
            for observer in observers { observer(change) }
        }
    }
}
