public import Encoding

/// Where objects of a kind live in the API.
public struct ResourceType: Sendable, Hashable {
    /// Empty for the core group.
    public let group: String
    public let version: String
    public let kind: String
    public let plural: String
    public let isNamespaced: Bool

    public init(group: String, version: String, kind: String, plural: String, isNamespaced: Bool = true) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.isNamespaced = isNamespaced
    }

    /// `group/version`, or `v1` for the core group.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// `trainingjobs.trainyard.dev`, as in messages and metrics.
    public var name: String { group.isEmpty ? plural : "\(plural).\(group)" }
}

/// An object of a fixed kind that we read.
public protocol KubernetesResource: Decodable, Sendable {
    static var resourceType: ResourceType { get }
    /// Whether lists and watches ask the server for nothing but the metadata.
    static var isMetadataOnly: Bool { get }
    var metadata: ObjectMeta { get }
}

extension KubernetesResource {
    public static var isMetadataOnly: Bool { false }
}

/// An object of which only the metadata is wanted: the server leaves out the rest.
public struct MetadataOnly<Whole: KubernetesResource>: KubernetesResource, Equatable {
    public static var resourceType: ResourceType { Whole.resourceType }
    public static var isMetadataOnly: Bool { true }

    public var metadata: ObjectMeta

    public init(metadata: ObjectMeta) { self.metadata = metadata }
}

/// An object of ours: spec by the user, status by the controller.
public protocol CustomResource: KubernetesResource, Equatable {
    associatedtype Status: CustomResourceStatus
    var metadata: ObjectMeta { get set }
    /// Absent or `{observedGeneration: -1}` until the controller has written.
    var status: Status? { get set }
}

/// What the runtime needs of every status.
public protocol CustomResourceStatus: Codable, Sendable, Equatable {
    /// The `metadata.generation` that the status describes; -1 before the first write.
    var observedGeneration: Int64 { get set }
    var conditions: [Condition] { get set }
    /// The smallest honest status: what must not be lost even when the API server refuses the full one (run,
    /// resources, conditions).
    var minimal: Self { get }
}

/// Names one object; `uid` and `resourceVersion` are preconditions where they are given.
public struct ObjectReference: Sendable, Hashable {
    public var type: ResourceType
    public var namespace: String?
    public var name: String
    public var uid: String?

    public init(type: ResourceType, namespace: String?, name: String, uid: String? = nil) {
        self.type = type
        self.namespace = namespace
        self.name = name
        self.uid = uid
    }
}

/// A child object as it is sent to the API server.
public struct Manifest: Sendable, Hashable {
    /// How it gets there.
    public enum Method: Sendable, Hashable {
        /// Server-side apply with our field manager, forced.
        case apply
        /// Created once, never changed: an object of that name with our owner reference counts as done.
        case createOnce
    }

    public var type: ResourceType
    public var method: Method
    /// The whole object: apiVersion, kind, metadata, …
    public var body: JSONValue

    public init(type: ResourceType, method: Method = .apply, body: JSONValue) {
        self.type = type
        self.method = method
        self.body = body
    }

    public var name: String { body.value(at: ["metadata", "name"])?.stringValue ?? "" }
    public var namespace: String? { body.value(at: ["metadata", "namespace"])?.stringValue }
}
