import Encoding
public import Kubernetes
import Synchronization

/// The stores of all kinds that somebody reads or watches: one store and one watch per kind, shared.
public final class ObjectCache: Sendable {
    /// A store without its type.
    struct Entry: Sendable {
        let type: ResourceType
        let selection: ObjectSelection
        let store: any Sendable
        let isSynced: @Sendable () -> Bool
        let count: @Sendable () -> Int
        /// How many objects are there and cannot be read.
        let undecodableCount: @Sendable () -> Int
        /// Takes the reply to our own write; false when it cannot be read.
        let record: @Sendable (JSONValue) -> Bool
        /// Drops an object that is gone, or is not selected any more.
        let drop: @Sendable (ObjectKey) -> Void
        let run: @Sendable (RuntimeEnvironment) async -> Void
    }

    private struct Identity: Hashable {
        let swiftType: ObjectIdentifier
        let labelSelector: String?
    }

    private let entries = Mutex<[Identity: Entry]>([:])

    public init() {}

    /// The store of a kind. Asking for it makes the manager keep it current; until the first list it is empty.
    ///
    /// - Parameters:
    ///   - labelSelector: keeps only objects with these labels; a store of its own. One that is a mere label is indexed by
    ///     it.
    ///   - isOptional: the API server need not know the kind: then the store is empty and `isServed` false until it does.
    public func store<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, labelSelector: String? = nil, isOptional: Bool = false
    ) -> ObjectStore<Object> {
        let identity = Identity(swiftType: ObjectIdentifier(type), labelSelector: labelSelector)
        return entries.withLock { entries in
            if let store = entries[identity]?.store as? ObjectStore<Object> { return store }
            let isLabel = labelSelector?.allSatisfy { !"=!,() ".contains($0) } == true
            let store = ObjectStore<Object>(indexedLabel: isLabel ? labelSelector : nil)
            entries[identity] = Entry(
                store, selection: ObjectSelection(labelSelector: labelSelector), isOptional: isOptional)
            return store
        }
    }

    /// Whether every store has seen a complete list.
    public var isSynced: Bool { all.allSatisfy { $0.isSynced() } }

    /// The kinds whose first list is still missing, for readiness.
    public var unsyncedTypes: [ResourceType] { all.filter { !$0.isSynced() }.map(\.type) }

    var all: [Entry] { entries.withLock { Array($0.values) } }

    /// Puts the reply to our own write into the stores that select it, and takes the object out of those that do so no
    /// more. False when the reply is not this object, or a store cannot read it: then none knows what is true.
    func recordWrite(_ reference: ObjectReference, _ object: JSONValue) -> Bool {
        guard object.value(at: ["metadata", "name"])?.stringValue == reference.name,
            object.value(at: ["metadata", "namespace"])?.stringValue == reference.namespace
        else { return false }
        let labels = object.value(at: ["metadata", "labels"])?.objectValue ?? [:]
        var isRead = true
        for entry in all where entry.type == reference.type {
            switch entry.selection.selects(labels: labels) {
            case true?: isRead = entry.record(object) && isRead
            case false?: entry.drop(ObjectKey(namespace: reference.namespace, name: reference.name))
            case nil: break
            }
        }
        return isRead
    }

    /// Takes what a live read said; nil is "not there". False when a store cannot read it.
    func recordRead(_ reference: ObjectReference, _ object: JSONValue?) -> Bool {
        if let object { return recordWrite(reference, object) }
        for entry in all where entry.type == reference.type {
            entry.drop(ObjectKey(namespace: reference.namespace, name: reference.name))
        }
        return true
    }
}

extension ObjectSelection {
    /// Whether the label selector picks an object; nil for selectors beyond `key` and `key=value`, which are left to the
    /// watch.
    fileprivate func selects(labels: [String: JSONValue]) -> Bool? {
        guard let labelSelector else { return true }
        let terms = labelSelector.split(separator: ",").map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
        guard terms.allSatisfy({ $0.joined().utf8.allSatisfy { !"!= ()".utf8.contains($0) } }) else { return nil }
        return terms.allSatisfy { term in
            guard let key = term.first, let value = labels[key]?.stringValue else { return false }
            return term.count == 1 || term[1] == value
        }
    }
}

extension ObjectCache.Entry {
    fileprivate init<Object: KubernetesResource>(
        _ store: ObjectStore<Object>, selection: ObjectSelection, isOptional: Bool
    ) {
        self.init(
            type: Object.resourceType, selection: selection, store: store, isSynced: { store.isSynced },
            count: { store.count }, undecodableCount: { store.undecodable.count },
            record: { json in
                // What is wrong with it the watch's own report says.
                guard let object = try? json.decode(Object.self) else { return false }
                store.put(object, isOwnWrite: true)
                return true
            },
            drop: { store.remove($0, uid: nil, resourceVersion: nil) },
            run: { environment in
                await ObjectWatch(
                    store: store, selection: selection, environment: environment, isOptional: isOptional
                ).run()
            })
    }
}
