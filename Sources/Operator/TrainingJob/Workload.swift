import ControllerRuntime
import Encoding
public import Kubernetes

/// Kueue's unit of admission, as far as it concerns a run: `kueue.x-k8s.io/v1beta2`, which Kueue 0.15 and newer serve.
public struct Workload: KubernetesResource, Equatable {
    public static let resourceType = ResourceType(
        group: "kueue.x-k8s.io", version: "v1beta2", kind: "Workload", plural: "workloads")

    public struct Spec: Codable, Sendable, Hashable {
        public var queueName: String?
        /// False: an administrator has taken it out of the queue.
        public var active: Bool?
    }

    public struct Status: Codable, Sendable, Hashable {
        public var conditions: [Condition]?
        public var admission: Admission?
    }

    /// Where quota is reserved.
    public struct Admission: Codable, Sendable, Hashable {
        public struct Assignment: Codable, Sendable, Hashable {
            public var name: String
            /// By resource, e.g. `nvidia.com/gpu`.
            public var flavors: [String: String]?
        }

        public var clusterQueue: String
        public var podSetAssignments: [Assignment]?
    }

    public var metadata: ObjectMeta
    public var spec: Spec?
    public var status: Status?

    var conditions: [Condition] { status?.conditions ?? [] }
    var isAdmitted: Bool { conditions.isTrue("Admitted") && !conditions.isTrue("Evicted") }
    var isEvicted: Bool { conditions.isTrue("Evicted") }
    var isFinished: Bool { conditions.isTrue("Finished") }
    var holdsQuota: Bool { status?.admission != nil || conditions.isTrue("QuotaReserved") }

    /// The flavor of the accelerators, else of whatever the pods ask for.
    func flavor(of resource: String?) -> String? {
        let flavors = status?.admission?.podSetAssignments?.first?.flavors ?? [:]
        return resource.flatMap { flavors[$0] } ?? flavors.min { $0.key < $1.key }?.value
    }
}
