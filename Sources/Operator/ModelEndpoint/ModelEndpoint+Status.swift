public import Encoding
public import Kubernetes

extension ModelEndpoint {
    /// What the operator observed.
    public struct Status: CustomResourceStatus, Hashable {
        /// A revision that serves, or is about to.
        public struct Revision: Codable, Sendable, Hashable {
            public var revision: String
            public var modelVersion: String?
            public var modelDigest: String?
            public var image: String?
            /// Of all that the revision is made of: another one is another revision.
            public var templateHash: String?
            /// Percent of the requests that it is to get.
            public var weight: Int?
            /// What made the model.
            public var producer: String?

            public init(revision: String) { self.revision = revision }
        }

        /// The revision of the roll-out that is under way.
        public struct Candidate: Codable, Sendable, Hashable {
            public var revision: String
            public var modelVersion: String?
            public var modelDigest: String?
            public var image: String?
            public var templateHash: String?
            public var weight: Int?
            public var producer: String?
            /// Of the stages, from 0; nil before the first.
            public var step: Int?
            /// Since when the stage's weight is in force.
            public var stepStartTime: Timestamp?
            public var startTime: Timestamp?
            public var smokeTested: Bool?
            /// Smoke tests that did not pass.
            public var failedTries: Int?
            /// Why it is paused.
            public var failureReason: String?
            public var failureMessage: String?

            public init(revision: String) { self.revision = revision }
        }

        public struct Rejection: Codable, Sendable, Hashable {
            public var version: String?
            public var digest: String
            public var templateHash: String?
            public var reason: String
            public var message: String?
            public var time: Timestamp?
        }

        public struct SmokeResult: Codable, Sendable, Hashable {
            public var name: String
            /// `Passed` or `Failed`.
            public var result: String
            public var message: String?
            public var latencyMilliseconds: Int?
            public var time: Timestamp?
        }

        /// A service beside the predictor.
        public struct Component: Codable, Sendable, Hashable {
            public var name: String
            public var ready: Bool?
            public var reason: String?
            public var url: String?
        }

        public struct Cost: Codable, Sendable, Hashable {
            public var currencyCode: String?
            /// Of the instances that run also without requests.
            public var hourlyRate: String?
            /// `2026-11`: the month (UTC) that is counted.
            public var month: String?
            /// Estimated, up to `updateTime`.
            public var monthToDate: String?
            public var updateTime: Timestamp?
            /// The budget that stopped it.
            public var limitReached: String?
            public var display: String?

            public init() {}
        }

        /// The warm window that is open.
        public struct Warm: Codable, Sendable, Hashable {
            public var name: String
            public var minReplicas: Int?
            public var endTime: Timestamp?
        }

        public var observedGeneration: Int64
        public var state: String?
        @OrEmpty public var conditions: [Kubernetes.Condition]
        public var url: String?
        public var traffic: String?
        public var replicas: Int?
        public var active: Revision?
        public var candidate: Candidate?
        public var lastGoodRevision: String?
        @OrEmpty public var rejectedModels: [Rejection]
        @OrEmpty public var smokeTests: [SmokeResult]
        /// Members that may hold the role because of this object.
        @OrEmpty public var invokers: [String]
        /// Of what the service was last seen to follow: a difference from then on is drift.
        public var settingsHash: String?
        /// Since when the service's settings are being set to what is described; nil while they are so.
        public var updateStartTime: Timestamp?
        @OrEmpty public var drift: [SettingDrift]
        public var cost: Cost?
        public var warmWindow: Warm?
        @OrEmpty public var components: [Component]
        public var plan: PlanStatus?
        @OrEmpty public var resources: [CloudResource]

        public init() {
            observedGeneration = -1
            conditions = []
            rejectedModels = []
            smokeTests = []
            invokers = []
            drift = []
            components = []
            resources = []
        }

        /// What must survive even when the API server refuses the full status.
        public var minimal: Status {
            var status = Status()
            status.observedGeneration = observedGeneration
            status.conditions = conditions
            status.url = url
            status.active = active
            status.candidate = candidate
            status.lastGoodRevision = lastGoodRevision
            status.rejectedModels = rejectedModels
            status.invokers = invokers
            status.settingsHash = settingsHash
            status.cost = cost
            status.updateStartTime = updateStartTime
            status.resources = resources
            return status
        }
    }
}
