/// What we read of a CustomResourceDefinition: whether it is going.
public struct CustomResourceDefinition: KubernetesResource, Equatable {
    public static let resourceType = ResourceType(
        group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions", isNamespaced: false)

    public var metadata: ObjectMeta

    public init(metadata: ObjectMeta) { self.metadata = metadata }
}
