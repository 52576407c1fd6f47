import ControllerRuntime
import Encoding
import HTTP
import Kubernetes
import Synchronization

/// A kind for tests: makes one Service (applied) and one ConfigMap (created once), and counts to `spec.size` in a fake
/// cloud outside the cluster.
struct Widget: CustomResource, Codable {
    static let resourceType = ResourceType(
        group: "example.com", version: "v1", kind: "Widget", plural: "widgets")

    struct Spec: Codable, Sendable, Hashable {
        var size: Int
        var partner: String?
        var manager: String?
    }

    struct Status: CustomResourceStatus, Hashable {
        var observedGeneration: Int64
        var conditions: [Condition]
        /// Written before the cloud is asked for it.
        var intended: Int?
        var note: String?

        init(
            observedGeneration: Int64 = -1, conditions: [Condition] = [], intended: Int? = nil, note: String? = nil
        ) {
            self.observedGeneration = observedGeneration
            self.conditions = conditions
            self.intended = intended
            self.note = note
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            observedGeneration = try container.decodeIfPresent(Int64.self, forKey: .observedGeneration) ?? -1
            conditions = try container.decodeIfPresent([Condition].self, forKey: .conditions) ?? []
            intended = try container.decodeIfPresent(Int.self, forKey: .intended)
            note = try container.decodeIfPresent(String.self, forKey: .note)
        }

        var minimal: Self {
            Self(observedGeneration: observedGeneration, conditions: conditions, intended: intended)
        }
    }

    var metadata: ObjectMeta
    var spec: Spec
    var status: Status?
}
