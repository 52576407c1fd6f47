import Encoding
import Kubernetes

/// A kind for tests: has one Service (applied), one Job (created once), and a size in a fake cloud outside the cluster.
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
        /// Refused by the API server when it is longer than ten characters.
        var motto: String?
        /// Dropped by the API server: its schema does not have it.
        var note: String?

        init(
            observedGeneration: Int64 = -1, conditions: [Condition] = [], intended: Int? = nil, motto: String? = nil,
            note: String? = nil
        ) {
            self.observedGeneration = observedGeneration
            self.conditions = conditions
            self.intended = intended
            self.motto = motto
            self.note = note
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            observedGeneration = try container.decodeIfPresent(Int64.self, forKey: .observedGeneration) ?? -1
            conditions = try container.decodeIfPresent([Condition].self, forKey: .conditions) ?? []
            intended = try container.decodeIfPresent(Int.self, forKey: .intended)
            motto = try container.decodeIfPresent(String.self, forKey: .motto)
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
