public import Encoding

/// What we read of a Job.
public struct Job: KubernetesResource, Equatable {
    public static let resourceType = ResourceType(group: "batch", version: "v1", kind: "Job", plural: "jobs")

    public var metadata: ObjectMeta
    public var spec: Spec?
    public var status: Status?

    public init(metadata: ObjectMeta, spec: Spec? = nil, status: Status? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    public struct Spec: Codable, Sendable, Hashable {
        public var parallelism: Int?
        public var completions: Int?
        public var suspend: Bool?

        public init(parallelism: Int? = nil, completions: Int? = nil, suspend: Bool? = nil) {
            self.parallelism = parallelism
            self.completions = completions
            self.suspend = suspend
        }
    }

    public struct Status: Codable, Sendable, Hashable {
        /// Pods that are pending or running and not terminating.
        public var active: Int?
        public var ready: Int?
        public var succeeded: Int?
        public var failed: Int?
        public var terminating: Int?
        public var startTime: Timestamp?
        public var completionTime: Timestamp?
        /// `Complete`, `Failed`, `Suspended`, `FailureTarget`, `SuccessCriteriaMet`.
        public var conditions: [ObjectCondition]?

        public init(
            active: Int? = nil, ready: Int? = nil, succeeded: Int? = nil, failed: Int? = nil,
            terminating: Int? = nil, startTime: Timestamp? = nil, completionTime: Timestamp? = nil,
            conditions: [ObjectCondition]? = nil
        ) {
            self.active = active
            self.ready = ready
            self.succeeded = succeeded
            self.failed = failed
            self.terminating = terminating
            self.startTime = startTime
            self.completionTime = completionTime
            self.conditions = conditions
        }
    }
}
