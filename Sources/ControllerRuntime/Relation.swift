public import Kubernetes

/// What else, beside its own objects, makes a controller look at an object again. Data: the runtime keeps one watch per
/// kind and asks these functions for the keys.
public struct Relation<Object: CustomResource>: Sendable {
    /// The kind that is watched.
    public let type: ResourceType
    /// Is told the keys to look at, and how soon.
    typealias Enqueue = @Sendable ([ObjectKey], WorkQueue.Priority) -> Void

    /// Hooks the relation up.
    let connect: @Sendable (ObjectCache, ObjectStore<Object>, @escaping Enqueue) -> Void

    /// Objects with a controller owner reference to ours.
    ///
    /// - Parameter isOptional: the API server need not know the kind.
    public static func children<Child: KubernetesResource>(
        _ type: Child.Type, labelSelector: String? = nil, isOptional: Bool = false
    ) -> Relation {
        changes(of: type, labelSelector: labelSelector, isOptional: isOptional) { owners(of: $0.metadata) }
    }

    /// Objects whose label names ours, e.g. the pods of a job of ours.
    public static func labelled<Other: KubernetesResource>(_ type: Other.Type, _ label: String) -> Relation {
        changes(of: type, labelSelector: label) { other in
            guard let name = other.metadata.labels?[label] else { return [] }
            return [ObjectKey(namespace: other.metadata.namespace, name: name)]
        }
    }

    /// Objects that ours refers to: `keys` gives what one of ours names.
    public static func references<Other: KubernetesResource>(
        _ type: Other.Type, _ keys: @escaping @Sendable (Object) -> [ObjectKey]
    ) -> Relation {
        Relation(type: type.resourceType) { cache, store, enqueue in
            let index = ReferenceIndex(of: store, keys)
            cache.store(type).observe { change in
                let found = index.referrers(to: change.key)
                if !found.isEmpty { enqueue(found, change.isInitial ? .recheck : .change) }
            }
        }
    }

    /// Objects that refer to ours: `keys` gives which of ours the other one names.
    public static func referrers<Other: KubernetesResource>(
        _ type: Other.Type, labelSelector: String? = nil, _ keys: @escaping @Sendable (Other) -> [ObjectKey]
    ) -> Relation {
        changes(of: type, labelSelector: labelSelector, keys: keys)
    }

    private static func changes<Other: KubernetesResource>(
        of type: Other.Type, labelSelector: String?, isOptional: Bool = false,
        keys: @escaping @Sendable (Other) -> [ObjectKey]
    ) -> Relation {
        Relation(type: type.resourceType) { cache, _, enqueue in
            cache.store(type, labelSelector: labelSelector, isOptional: isOptional).observe { change in
                // The old one too: a reference that was taken away concerns the object that it named.
                let found = [change.old, change.new].compactMap { $0 }.flatMap(keys)
                if !found.isEmpty { enqueue(Array(Set(found)), change.isInitial ? .recheck : .change) }
            }
        }
    }

    private static func owners(of metadata: ObjectMeta) -> [ObjectKey] {
        let ours = Object.resourceType
        return (metadata.ownerReferences ?? []).filter { owner in
            owner.kind == ours.kind && group(of: owner.apiVersion) == ours.group
        }.map { ObjectKey(namespace: metadata.namespace, name: $0.name) }
    }

    private static func group(of apiVersion: String) -> String {
        apiVersion.firstIndex(of: "/").map { String(apiVersion[..<$0]) } ?? ""
    }
}
