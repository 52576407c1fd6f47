public import Encoding
public import Kubernetes

extension TrainingJob {
    /// What the operator observed, and what happened once and cannot be observed again.
    public struct Status: CustomResourceStatus, Hashable {
        public var observedGeneration: Int64
        public var state: String?
        @OrEmpty public var conditions: [Condition]
        public var run: Run?
        public var pendingRun: PendingRun?
        public var plan: PlanStatus?
        @OrEmpty public var preflight: [PreflightStatus]
        public var queue: Queue?
        public var capacity: CapacityStatus?
        public var nodes: Nodes?
        public var restarts: Int?
        public var restartsCountTowardsMax: Int?
        public var attemptCount: Int?
        @OrEmpty public var attempts: [Attempt]
        public var trainerStatus: TrainerStatus?
        public var checkpoint: CheckpointStatus?
        public var outputs: OutputsStatus?
        public var cost: Cost?
        @OrEmpty public var resources: [CloudResource]
        public var lastFailure: Failure?
        @OrEmpty public var runs: [FinishedRun]

        public init() {
            observedGeneration = -1
            conditions = []
            preflight = []
            attempts = []
            resources = []
            runs = []
        }

        /// What must survive even when the API server refuses the full status: run, counters, ledger, conditions.
        public var minimal: Status {
            var status = Status()
            status.observedGeneration = observedGeneration
            status.conditions = conditions
            status.run = run
            status.preflight = preflight
            status.queue = queue
            status.capacity = capacity
            status.restarts = restarts
            status.restartsCountTowardsMax = restartsCountTowardsMax
            status.attemptCount = attemptCount
            status.attempts = attempts
            status.resources = resources
            status.cost = cost
            return status
        }
    }

    /// The current or last run.
    public struct Run: Codable, Sendable, Hashable {
        public struct Input: Codable, Sendable, Hashable {
            public var name: String
            public var uri: String?
            public var version: String?
            public var digest: String?
        }

        public var number: Int
        public var id: String
        public var generation: Int64?
        public var specHash: String?
        public var revisionName: String?
        public var result: String?
        public var reason: String?
        public var startTime: Timestamp?
        public var completionTime: Timestamp?
        public var activeSeconds: Int64?
        public var image: String?
        @OrEmpty public var inputs: [Input]
        public var prefix: String?
        public var checkpointPrefix: String?
        /// The run that did the work, where the bucket remembered one.
        public var completedBy: String?
        public var marker: Marker?

        public init(number: Int, id: String) {
            self.number = number
            self.id = id
            inputs = []
        }
    }

    /// How a run ended.
    public enum RunResult: String, Sendable, Hashable {
        case succeeded = "Succeeded"
        case failed = "Failed"
        case superseded = "Superseded"
    }

    /// A changed run-relevant spec that waits for the current run to end.
    public struct PendingRun: Codable, Sendable, Hashable {
        public var generation: Int64?
        public var specHash: String?
        public var requestTime: Timestamp?
    }

    /// Kueue's admission of the current run.
    public struct Queue: Codable, Sendable, Hashable {
        public var workload: String
        public var clusterQueue: String?
        /// The ResourceFlavor of the accelerators.
        public var flavor: String?
        public var admittedTime: Timestamp?
    }

    /// The search for machines.
    public struct CapacityStatus: Codable, Sendable, Hashable {
        public struct Attempt: Codable, Sendable, Hashable {
            public var candidate: String
            public var zone: String?
            public var result: String
            public var code: String?
            public var message: String?
            public var count: Int
            public var firstTime: Timestamp?
            public var lastTime: Timestamp?
        }

        public var current: String?
        public var zone: String?
        public var summary: String?
        public var nextAttemptTime: Timestamp?
        public var startTime: Timestamp?
        public var pendingSince: Timestamp?
        public var poolRun: Int?
        public var attemptCount: Int?
        @OrEmpty public var attempts: [Attempt]

        public init() { attempts = [] }
    }

    /// Nodes of the run.
    public struct Nodes: Codable, Sendable, Hashable {
        public var desired: Int?
        public var ready: Int?
    }

    /// One start of the run's pods.
    public struct Attempt: Codable, Sendable, Hashable {
        public var number: Int
        public var startTime: Timestamp?
        public var endTime: Timestamp?
        public var cause: String?
        public var `class`: String?
        public var candidate: String?
        public var zone: String?
        public var node: String?
        public var exitCode: Int?
        /// What `failurePolicy` made of its end.
        public var action: String?
        /// `FailedNodes` where pods that fail are started again one by one.
        public var restartScope: String?
        /// Failed pods that were counted, as long as they are there.
        public var restartedPods: [String]?
        public var fromStep: Int64?
        public var toStep: Int64?
        public var cost: String?

        public init(number: Int) { self.number = number }
    }

    /// A metric's name and value as text.
    public struct NamedValue: Codable, Sendable, Hashable {
        public var name: String
        public var value: String
    }

    /// What the training code reports.
    public struct TrainerStatus: Codable, Sendable, Hashable {
        public struct Series: Codable, Sendable, Hashable {
            public var name: String
            public var steps: [Int64]
            public var values: [String]
        }

        public var progressPercentage: Int?
        public var progress: String?
        public var estimatedRemainingSeconds: Int?
        public var eta: String?
        public var step: Int64?
        public var totalSteps: Int64?
        public var epoch: Int?
        public var totalEpochs: Int?
        public var rate: String?
        @OrEmpty public var metrics: [NamedValue]
        @OrEmpty public var series: [Series]
        public var lastUpdatedTime: Timestamp?

        public init() {
            metrics = []
            series = []
        }
    }

    /// What a restart would resume from.
    public struct CheckpointStatus: Codable, Sendable, Hashable {
        public struct Latest: Codable, Sendable, Hashable {
            public var step: Int64?
            public var uri: String?
            public var time: Timestamp?
        }

        public var latest: Latest?
        public var exposureSeconds: Int64?
        public var exposureCost: String?
    }

    /// The declared outputs as found in the bucket.
    public struct OutputsStatus: Codable, Sendable, Hashable {
        public struct File: Codable, Sendable, Hashable {
            public var path: String
            public var generation: String?
            public var sizeBytes: Int64?
            public var crc32c: String?
            public var verified: Bool?
            public var reason: String?

            public init(path: String) { self.path = path }
        }

        public var count: Int?
        public var verifiedCount: Int?
        public var sizeBytes: Int64?
        @OrEmpty public var files: [File]

        public init() { files = [] }
    }

    /// An estimate in list prices.
    public struct Cost: Codable, Sendable, Hashable {
        public var currencyCode: String?
        public var accrued: String?
        public var hourlyRate: String?
        public var projected: String?
        /// The `budget.maxCost` at which the run was stopped.
        public var limitReached: String?
        public var basis: String?
        public var updateTime: Timestamp?
        public var display: String?
    }

    /// The latest failure, with what to do about it.
    public struct Failure: Codable, Sendable, Hashable {
        public var `class`: String?
        public var component: String?
        public var reason: String?
        public var message: String?
        public var exitCode: Int?
        public var signal: Int?
        public var node: String?
        public var zone: String?
        public var logURL: String?
        public var hint: String?
        public var time: Timestamp?
    }

    /// A run in the history.
    public struct FinishedRun: Codable, Sendable, Hashable {
        public var number: Int
        public var id: String
        public var result: String?
        public var reason: String?
        public var specHash: String?
        public var completionTime: Timestamp?
        public var metric: String?
        public var cost: String?

        public init(number: Int, id: String) {
            self.number = number
            self.id = id
        }
    }
}

/// An entry of the intent ledger: a cloud resource that exists or may exist. Written before the create is sent, removed
/// only after the cloud said 404.
public struct CloudResource: Codable, Sendable, Hashable {
    /// The state before the resource was first seen.
    public static let intent = "Intent"

    /// Full resource name, e.g. `//container.googleapis.com/projects/…/nodePools/…`.
    public var externalRef: String
    public var role: String?
    public var run: Int?
    /// Google's word, or `Intent`.
    public var state: String
    public var operation: String?
    public var intentTime: Timestamp?
    /// List price of one of its nodes, a decimal string.
    public var hourlyCost: String?

    public init(externalRef: String, role: String? = nil, run: Int? = nil, state: String = CloudResource.intent) {
        self.externalRef = externalRef
        self.role = role
        self.run = run
        self.state = state
    }

    /// The last segment of the name.
    public var name: String { externalRef.split(separator: "/").last.map(String.init) ?? externalRef }
}
