import Encoding
import Telemetry

/// Everything behind the lock: each request is one step on it.
struct ClusterState: Sendable {
    let configuration: ClusterConfiguration
    var store: Store
    var registry: Registry
    var names: RandomNames
    var continuations = Continuations()
    var ruleStanding = RuleStanding()
    /// When events are next looked at for their age.
    var nextEventExpiry: Timestamp
    private var nextWatcherID = 0

    init(_ configuration: ClusterConfiguration) throws(SandboxError) {
        self.configuration = configuration
        store = Store(historyLimit: configuration.historyLimit)
        registry = Registry(try BuiltInResources.definitions())
        names = RandomNames(seed: configuration.seed)
        let now = configuration.clock.now
        nextEventExpiry = now + .seconds(60)
        if let snapshot = configuration.snapshot {
            store.restore(snapshot)
            for crd in store.list(CustomResources.collection, namespace: nil) { try register(crd) }
        }
        createNamespaces(now: now)
        for crd in configuration.crds { try install(crd, now: now) }
    }

    mutating func watcherID() -> Int {
        nextWatcherID += 1
        return nextWatcherID
    }

    private mutating func createNamespaces(now: Timestamp) {
        for name in ["default", "kube-system", "trainyard-system"] {
            let key = ObjectKey(collection: CollectionID(group: "", plural: "namespaces"), namespace: "", name: name)
            guard store.object(key) == nil else { continue }
            let uid = name == "kube-system" ? configuration.clusterUID ?? names.uid() : names.uid()
            store.put(
                [
                    "apiVersion": "v1", "kind": "Namespace",
                    "metadata": [
                        "name": .string(name), "uid": .string(uid),
                        "creationTimestamp": .string(now.wholeSeconds.description),
                        "labels": ["kubernetes.io/metadata.name": .string(name)],
                    ],
                    "spec": ["finalizers": ["kubernetes"]], "status": ["phase": "Active"],
                ], at: key)
        }
    }

    /// Installs a definition given by the configuration; one that a snapshot brought is replaced.
    private mutating func install(_ crd: JSONValue, now: Timestamp) throws(SandboxError) {
        let key = ObjectKey(collection: CustomResources.collection, namespace: "", name: crd.objectName)
        var object = crd
        let old = store.object(key)
        object.setMetadata("uid", old?.metadata("uid") ?? .string(names.uid()))
        object.setMetadata(
            "creationTimestamp", old?.metadata("creationTimestamp") ?? .string(now.wholeSeconds.description))
        object.setMetadata("generation", .integer((old?.generation ?? 0) + 1))
        object = CustomResources.completed(object, now: now)
        try register(object)
        store.put(object, at: key)
    }

    /// Makes the resources of a CustomResourceDefinition available.
    mutating func register(_ crd: JSONValue) throws(SandboxError) {
        let definitions: [ResourceDefinition]
        do throws(DefinitionRefused) {
            definitions = try CustomResources.definitions(crd)
        } catch {
            throw SandboxError(.invalidCRD, "\(crd.objectName): \(error.description)")
        }
        if let storage = definitions.first?.storage {
            registry.remove(storage)
            let schema = definitions.first?.schema
            store.rewrite(storage) { object in schema.map { Defaulting.defaulted(object, $0) } ?? object }
        }
        definitions.forEach { registry.add($0) }
        if let storage = definitions.first?.storage { ruleStanding.definitionChanged(storage, at: store.revision) }
    }

    /// The object as an API version shows it.
    func shown(_ object: JSONValue, _ definition: ResourceDefinition) -> JSONValue {
        var shown = definition.view.shown(object)
        shown["apiVersion"] = .string(definition.apiVersion)
        shown["kind"] = .string(definition.kind)
        return shown
    }
}
