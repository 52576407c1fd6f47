/// What we read of a Node.
public struct Node: KubernetesResource, Equatable {
    public static let resourceType = ResourceType(
        group: "", version: "v1", kind: "Node", plural: "nodes", isNamespaced: false)

    public var metadata: ObjectMeta
    public var spec: Spec?
    public var status: Status?

    public init(metadata: ObjectMeta, spec: Spec? = nil, status: Status? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    public struct Spec: Codable, Sendable, Hashable {
        public var unschedulable: Bool?
        public var providerID: String?
        public var taints: [Taint]?

        public init(unschedulable: Bool? = nil, providerID: String? = nil, taints: [Taint]? = nil) {
            self.unschedulable = unschedulable
            self.providerID = providerID
            self.taints = taints
        }
    }

    public struct Taint: Codable, Sendable, Hashable {
        public var key: String
        public var value: String?
        public var effect: String

        public init(key: String, value: String? = nil, effect: String) {
            self.key = key
            self.value = value
            self.effect = effect
        }
    }

    public struct Status: Codable, Sendable, Hashable {
        /// Quantities as text, e.g. `nvidia.com/gpu: "1"`.
        public var capacity: [String: String]?
        public var allocatable: [String: String]?
        public var conditions: [ObjectCondition]?

        public init(
            capacity: [String: String]? = nil, allocatable: [String: String]? = nil,
            conditions: [ObjectCondition]? = nil
        ) {
            self.capacity = capacity
            self.allocatable = allocatable
            self.conditions = conditions
        }
    }
}
