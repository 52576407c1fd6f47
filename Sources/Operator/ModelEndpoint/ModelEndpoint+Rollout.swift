extension ModelEndpoint {
    /// How a new model, or a new predictor, takes over.
    public struct Rollout: Codable, Sendable, Hashable {
        public enum Strategy: String, Codable, Sendable, Hashable, CaseIterable {
            case canary = "Canary"
            case blueGreen = "BlueGreen"
        }

        public enum OnFailure: String, Codable, Sendable, Hashable, CaseIterable {
            case rollback = "Rollback"
            case pause = "Pause"
        }

        public enum Promotion: String, Codable, Sendable, Hashable, CaseIterable {
            case automatic = "Automatic"
            case manual = "Manual"
        }

        public struct Step: Codable, Sendable, Hashable {
            /// Percent of the requests.
            public var weight: Int
            public var holdSeconds: Int
        }

        /// A prediction that must succeed before a revision gets weight.
        public struct SmokeTest: Codable, Sendable, Hashable {
            public var name: String
            public var path: String
            /// Nil: a GET.
            public var body: String?
            public var expectStatus: Int
            public var jsonPath: String?
            public var maxLatencyMilliseconds: Int?
        }

        /// A bound on what Cloud Monitoring says of the new revision.
        public struct Analysis: Codable, Sendable, Hashable {
            public enum Metric: String, Codable, Sendable, Hashable, CaseIterable {
                case errorRatePercent = "ErrorRatePercent"
                case latencyP50Milliseconds = "LatencyP50Milliseconds"
                case latencyP95Milliseconds = "LatencyP95Milliseconds"
                case latencyP99Milliseconds = "LatencyP99Milliseconds"
            }

            public var name: String
            public var metric: Metric
            public var `operator`: NumericComparison
            public var value: String
            public var windowSeconds: Int
            public var minRequests: Int
        }

        public var strategy: Strategy
        public var steps: [Step]?
        public var maxSurgeHourlyCost: String?
        public var smokeTests: [SmokeTest]?
        public var analysis: [Analysis]?
        public var onFailure: OnFailure
        public var promotion: Promotion
        public var progressDeadlineSeconds: Int
        public var revisionHistoryLimit: Int

        /// What an absent block means.
        public static let standard = Rollout(
            strategy: .canary, onFailure: .rollback, promotion: .automatic, progressDeadlineSeconds: 3600,
            revisionHistoryLimit: 5)

        /// The weights that come one after the other, with the last of 100.
        var stages: [Step] {
            (strategy == .canary ? steps ?? Self.usualSteps : []) + [Step(weight: 100, holdSeconds: 0)]
        }

        private static let usualSteps = [Step(weight: 10, holdSeconds: 300), Step(weight: 50, holdSeconds: 300)]
    }
}
