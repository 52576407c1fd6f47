public import Kubernetes

/// An object's place within its kind.
public struct ObjectKey: Sendable, Hashable, CustomStringConvertible {
    /// nil for kinds without namespaces.
    public var namespace: String?
    public var name: String

    public init(namespace: String?, name: String) {
        self.namespace = namespace
        self.name = name
    }

    public init(_ metadata: ObjectMeta) { self.init(namespace: metadata.namespace, name: metadata.name) }

    public init(_ header: ObjectHeader) { self.init(namespace: header.namespace, name: header.name) }

    public var description: String { namespace.map { "\($0)/\(name)" } ?? name }
}
