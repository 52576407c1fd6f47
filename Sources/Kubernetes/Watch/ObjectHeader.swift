public import Encoding

/// What identifies an object and its state, read without decoding the rest.
public struct ObjectHeader: Sendable, Hashable {
    public var namespace: String?
    public var name: String
    public var uid: String?
    public var resourceVersion: String?

    public init(namespace: String?, name: String, uid: String?, resourceVersion: String?) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.resourceVersion = resourceVersion
    }

    public init(_ metadata: ObjectMeta) {
        self.init(
            namespace: metadata.namespace, name: metadata.name, uid: metadata.uid,
            resourceVersion: metadata.resourceVersion)
    }

    /// nil when the value has no name: no object of the API.
    public init?(_ object: JSONElement) {
        guard let metadata = object["metadata"], let name = metadata["name"]?.stringValue else { return nil }
        self.init(
            namespace: metadata["namespace"]?.stringValue, name: name, uid: metadata["uid"]?.stringValue,
            resourceVersion: metadata["resourceVersion"]?.stringValue)
    }
}
