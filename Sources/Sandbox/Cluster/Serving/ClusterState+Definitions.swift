import Encoding

/// The end of a CustomResourceDefinition: all objects of its kind are deleted, each waits for its finalizers, and only then
/// it goes, as kube-apiserver's `customresourcecleanup` does it.
extension ClusterState {
    static let cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io"

    /// The finalizers of an object that is being deleted; a definition with objects of its kind waits for them.
    func finalizersOfDeleted(
        _ object: JSONValue, _ definition: ResourceDefinition, _ finalizers: [String]
    ) -> [String] {
        guard definition.storage == CustomResources.collection, !finalizers.contains(Self.cleanupFinalizer),
            !store.list(Self.instances(of: object), namespace: nil).isEmpty
        else { return finalizers }
        return finalizers + [Self.cleanupFinalizer]
    }

    /// - Throws: 405 while the definition of the kind is being deleted.
    func requireLivingDefinition(_ definition: ResourceDefinition) throws(StatusError) {
        guard definition.isCustom else { return }
        let name = "\(definition.plural).\(definition.group)"
        let key = ObjectKey(collection: CustomResources.collection, namespace: "", name: name)
        guard store.object(key)?.deletionTimestamp != nil else { return }
        throw StatusError(
            405, "MethodNotAllowed", "create not allowed while custom resource definition is terminating")
    }

    /// Moves definitions that are going.
    mutating func terminateDefinitions(now: Timestamp) {
        for object in store.list(CustomResources.collection, namespace: nil)
        where object.deletionTimestamp != nil && object.finalizers.contains(Self.cleanupFinalizer) {
            let collection = Self.instances(of: object)
            for instance in store.list(collection, namespace: nil) where instance.deletionTimestamp == nil {
                let key = ObjectKey(
                    collection: collection, namespace: instance.objectNamespace, name: instance.objectName)
                remove(key, .background, now: now)
            }
            if store.list(collection, namespace: nil).isEmpty {
                removeFinalizer(Self.cleanupFinalizer, uid: object.uid)
            }
        }
    }

    private static func instances(of definition: JSONValue) -> CollectionID {
        CollectionID(
            group: definition.value(at: ["spec", "group"])?.stringValue ?? "",
            plural: definition.value(at: ["spec", "names", "plural"])?.stringValue ?? "")
    }
}
