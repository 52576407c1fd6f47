public import Encoding

/// What we read of a Service.
public struct Service: KubernetesResource, Equatable {
    public static let resourceType = ResourceType(group: "", version: "v1", kind: "Service", plural: "services")

    public var metadata: ObjectMeta
    public var spec: Spec?

    public init(metadata: ObjectMeta, spec: Spec? = nil) {
        self.metadata = metadata
        self.spec = spec
    }

    public struct Spec: Codable, Sendable, Hashable {
        /// `None` for a headless service.
        public var clusterIP: String?
        public var selector: [String: String]?

        public init(clusterIP: String? = nil, selector: [String: String]? = nil) {
            self.clusterIP = clusterIP
            self.selector = selector
        }
    }
}

/// An immutable snapshot of something; we keep a run's spec in it.
public struct ControllerRevision: KubernetesResource, Equatable {
    public static let resourceType = ResourceType(
        group: "apps", version: "v1", kind: "ControllerRevision", plural: "controllerrevisions")

    public var metadata: ObjectMeta
    public var revision: Int64
    public var data: JSONValue?

    public init(metadata: ObjectMeta, revision: Int64, data: JSONValue? = nil) {
        self.metadata = metadata
        self.revision = revision
        self.data = data
    }
}

/// What we read of a Namespace; the uid of `kube-system` names the cluster.
public struct Namespace: KubernetesResource, Equatable {
    public static let resourceType = ResourceType(
        group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false)

    public var metadata: ObjectMeta

    public init(metadata: ObjectMeta) { self.metadata = metadata }
}
