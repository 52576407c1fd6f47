import Kubernetes
import Synchronization

/// Which objects of a store refer to a name: with 10,000 objects on both sides, asking each of them for each change
/// of the others takes minutes at the start.
final class ReferenceIndex<Object: KubernetesResource>: Sendable {
    private struct State {
        var references: [ObjectKey: [ObjectKey]] = [:]
        var referrers: [ObjectKey: Set<ObjectKey>] = [:]
    }

    private let keys: @Sendable (Object) -> [ObjectKey]
    private let state = Mutex(State())

    /// - Parameter keys: what an object refers to.
    init(of store: ObjectStore<Object>, _ keys: @escaping @Sendable (Object) -> [ObjectKey]) {
        self.keys = keys
        store.observe { [weak store] change in
            if let store { self.update(change.key, from: store) }
        }
        for key in store.keys { update(key, from: store) }
    }

    /// The objects that refer to a key now, in no order.
    func referrers(to key: ObjectKey) -> [ObjectKey] { state.withLock { Array($0.referrers[key] ?? []) } }

    private func update(_ key: ObjectKey, from store: ObjectStore<Object>) {
        state.withLock { state in
            // Read inside the lock: of two changes told at the same time the later one must not be undone.
            let new = store[key].map { Array(Set(keys($0))) } ?? []
            let old = state.references[key] ?? []
            for gone in old where !new.contains(gone) {
                state.referrers[gone]?.remove(key)
                if state.referrers[gone]?.isEmpty == true { state.referrers[gone] = nil }
            }
            for added in new where !old.contains(added) { state.referrers[added, default: []].insert(key) }
            state.references[key] = new.isEmpty ? nil : new
        }
    }
}
