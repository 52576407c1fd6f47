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
        /// Takes the reply to our own write.
        let record: @Sendable (JSONValue) -> Void
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
    /// - Parameter labelSelector: keeps only objects with these labels; a store of its own.
    public func store<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, labelSelector: String? = nil
    ) -> ObjectStore<Object> {
        let identity = Identity(swiftType: ObjectIdentifier(type), labelSelector: labelSelector)
        return entries.withLock { entries in
            if let store = entries[identity]?.store as? ObjectStore<Object> { return store }
            let store = ObjectStore<Object>()
            entries[identity] = Entry(store, selection: ObjectSelection(labelSelector: labelSelector))
            return store
        }
    }

    /// Whether every store has seen a complete list.
    public var isSynced: Bool { all.allSatisfy { $0.isSynced() } }

    /// The kinds whose first list is still missing, for readiness.
    public var unsyncedTypes: [ResourceType] { all.filter { !$0.isSynced() }.map(\.type) }

    var all: [Entry] { entries.withLock { Array($0.values) } }

    /// Puts the reply to our own write into the stores of its kind that it belongs to.
    func recordWrite(_ type: ResourceType, _ object: JSONValue) {
        let labels = object.value(at: ["metadata", "labels"])?.objectValue ?? [:]
        for entry in all where entry.type == type && entry.selection.selects(labels: labels) { entry.record(object) }
    }
}

extension ObjectSelection {
    /// Whether the label selector picks an object; only `key` and `key=value` are understood, anything else picks none
    /// (the watch brings the object then).
    fileprivate func selects(labels: [String: JSONValue]) -> Bool {
        guard let labelSelector else { return true }
        return labelSelector.split(separator: ",").allSatisfy { term in
            let parts = term.split(separator: "=", maxSplits: 1).map(String.init)
            guard let key = parts.first, let value = labels[key]?.stringValue else { return false }
            return parts.count == 1 || parts[1] == value
        }
    }
}

extension ObjectCache.Entry {
    fileprivate init<Object: KubernetesResource>(_ store: ObjectStore<Object>, selection: ObjectSelection) {
        self.init(
            type: Object.resourceType, selection: selection, store: store, isSynced: { store.isSynced },
            record: { json in
                // An object of ours that does not decode stalls nothing: its watch event reports it.
                if let object = try? json.decode(Object.self) { store.put(object, isOwnWrite: true) }
            },
            run: { environment in
                await ObjectWatch(store: store, selection: selection, environment: environment).run()
            })
    }
}
