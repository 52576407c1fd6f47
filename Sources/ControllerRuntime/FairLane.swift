/// Keys that wait, namespaces by turns: of a thousand keys of one team and one of another, the other's is second at the
/// latest. Within a namespace the order of coming.
struct FairLane: Sendable {
    private var namesByNamespace: [String?: OrderedKeys<String>] = [:]
    /// The namespaces with keys, the next one first.
    private var turns = OrderedKeys<String?>()
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// - Precondition: the key is not in the lane.
    mutating func append(_ key: ObjectKey) {
        namesByNamespace[key.namespace, default: OrderedKeys()].append(key.name)
        turns.append(key.namespace)
        count += 1
    }

    /// - Precondition: the key is in the lane.
    mutating func remove(_ key: ObjectKey) {
        namesByNamespace[key.namespace]?.remove(key.name)
        dropNamespaceIfEmpty(key.namespace)
        count -= 1
    }

    /// Takes the next key of the first namespace whose turn it is and that may go on; nil when there is none.
    mutating func take(where mayGo: (_ namespace: String?) -> Bool) -> ObjectKey? {
        var turn = turns.first
        while let namespace = turn, !mayGo(namespace) { turn = turns.element(after: namespace) }
        guard let namespace = turn, let name = namesByNamespace[namespace]?.popFirst() else { return nil }
        turns.remove(namespace)
        turns.append(namespace)
        dropNamespaceIfEmpty(namespace)
        count -= 1
        return ObjectKey(namespace: namespace, name: name)
    }

    private mutating func dropNamespaceIfEmpty(_ namespace: String?) {
        guard namesByNamespace[namespace]?.isEmpty == true else { return }
        namesByNamespace[namespace] = nil
        turns.remove(namespace)
    }
}
