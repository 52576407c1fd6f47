public import Encoding
public import GoogleCloud
public import HTTP
public import Kubernetes
public import TrainingContract

/// All that the plan of a TrainingJob may look at.
public struct TrainingJobObservation: Sendable, Equatable {
    public var job: TrainingJob
    public var configuration: OperatorConfiguration
    public var now: Timestamp
    /// By name: the ones of the current run and of the present spec, where they exist.
    public var revisions: [String: RunSpec] = [:]
    /// By name: those of them that exist and cannot be used, with the reason.
    public var unreadableRevisions: [String: String] = [:]
    /// By name: every artifact that the spec refers to.
    public var artifacts: [String: ArtifactObservation] = [:]
    /// Ours, of all runs.
    public var jobs: [Job] = []
    /// Ours, of all runs, also those whose Job is gone.
    public var pods: [Pod] = []
    /// Names of our headless Services.
    public var services: Set<String> = []
    /// Whether the cluster knows Kueue's Workloads.
    public var isQueueServed = false
    /// Of the current run.
    public var workload: Workload?
    /// What the Workload is to have; looked at before it is made.
    public var workloadPriority = WorkloadPriority.none
    /// Whether the cluster knows ProvisioningRequests, as GKE's do.
    public var isProvisioningServed = true
    /// Of the object's node pools, by their names.
    public var provisioningRequests: [String: ProvisioningRequest] = [:]
    /// Nodes of our node pools, and those that our pods are on.
    public var nodes: [Node] = []
    /// Node pools that carry our owner label or one of our derived names.
    public var pools: [NodePool] = []
    /// The cluster's recent operations.
    public var operations: [ContainerOperation] = []
    /// By pool name: creates that the cloud definitely refused. Kept in memory only: after a restart the same create is
    /// refused again.
    public var refusals: [String: APIError] = [:]
    /// What the trainer wrote last, where there is such a file.
    public var progress: ProgressReport?
    /// How long the active attempt's step has stood still while all its pods ran, as far as this process has seen.
    public var sameStepFor: Duration?
    /// The end of the first pod's log; read only when the attempt stands still for too long.
    public var logTail: String?
    public var outputs: OutputsObservation = .notLooked
    /// The completion marker of the present spec before an object's first run, of the run after its success.
    public var marker: MarkerObservation = .notLooked
    /// Why it could not be written, when that was tried last. Kept in memory only.
    public var markerRefusal: MarkerRefusal?
    /// Steps of the wall clock that this process has noticed.
    public var clockJumps: [ClockJump] = []
    /// Between a run's inputs and its machines; else nil.
    public var preflight: PreflightObservation?

    public init(job: TrainingJob, configuration: OperatorConfiguration, now: Timestamp) {
        self.job = job
        self.configuration = configuration
        self.now = now
    }
}

/// A GCSArtifact that a TrainingJob refers to.
public struct ArtifactObservation: Sendable, Hashable {
    public var isReady: Bool
    /// `gs://bucket/prefix/`.
    public var uri: String?
    /// The Ready condition's message.
    public var message: String
    public var version: String?
    public var digest: String?
    /// Whether at least one object lies below `uri`; looked at for inputs only.
    public var hasObjects: Bool

    public init(
        isReady: Bool, uri: String?, message: String = "", version: String? = nil, digest: String? = nil,
        hasObjects: Bool = true
    ) {
        self.isReady = isReady
        self.uri = uri
        self.message = message
        self.version = version
        self.digest = digest
        self.hasObjects = hasObjects
    }
}

/// What the bucket holds below the run's prefix, once the container has ended.
public enum OutputsObservation: Sendable, Hashable {
    /// Nothing to verify now.
    case notLooked
    /// The bucket could not be read: not the user's fault yet.
    case unreadable(APIError)
    /// - files: by path below the prefix.
    /// - documents: the texts of the files that assertions name.
    case found(files: [String: OutputFile], documents: [String: OutputDocument])
}

/// One object below the run's prefix.
public struct OutputFile: Sendable, Hashable {
    public var sizeBytes: Int64
    public var crc32c: String
    public var generation: Int64

    public init(sizeBytes: Int64, crc32c: String, generation: Int64) {
        self.sizeBytes = sizeBytes
        self.crc32c = crc32c
        self.generation = generation
    }
}

/// A file that an assertion reads.
public enum OutputDocument: Sendable, Hashable {
    case json(JSONValue)
    /// Why it is none: a sentence.
    case unusable(String)
}

/// Side effects of a TrainingJob in the cloud.
public enum TrainingJobAction: Sendable, Hashable {
    /// Creates a pool whose intent is in the ledger; done when a pool of ours has the name.
    case createNodePool(NodePool, owner: ObjectReference)
    /// Sets a pool's size per zone.
    case setNodePoolSize(name: String, nodeCount: Int, owner: ObjectReference)
    /// Deletes a pool after it was read again and found ours; done when it is gone or going.
    case deleteNodePool(name: String, owner: ObjectReference)
    /// Changes the status of a Workload of Kueue's, as it was read.
    case updateWorkload(WorkloadUpdate)
    /// Stores a small object; done also when it cannot be stored.
    case writeObject(ObjectWrite)
    /// Stores a small object, reads it back and deletes it; what came of it is remembered for the next observation.
    case probe(ObjectWrite)

    /// The object for which it is done.
    var owner: ObjectReference {
        switch self {
        case .createNodePool(_, let owner), .setNodePoolSize(_, _, let owner), .deleteNodePool(_, let owner): owner
        case .updateWorkload(let update): update.owner
        case .writeObject(let write), .probe(let write): write.owner
        }
    }
}

extension TrainingJobObservation {
    var status: TrainingJob.Status { job.status ?? TrainingJob.Status() }
    var spec: TrainingJob.Spec { job.spec }
    var uid: String { job.metadata.ownerUID }
    /// For facts in status: whole seconds.
    var moment: Timestamp { now.wholeSeconds }

    /// How actions name the object.
    var owner: ObjectReference {
        ObjectReference(
            type: TrainingJob.resourceType, namespace: job.metadata.namespace, name: job.metadata.name,
            uid: job.metadata.uid)
    }

    /// The run that has no result yet.
    var activeRun: TrainingJob.Run? { status.run.flatMap { $0.result == nil ? $0 : nil } }

    /// The spec that the current run executes, as its revision holds it; nil when that is not there.
    var recordedSpec: RunSpec? { status.run?.revisionName.flatMap { revisions[$0] } }

    /// The same with the accelerator of the candidate that is tried or in use, where that has one of its own.
    var runSpec: RunSpec? {
        let name = activeAttempt?.candidate ?? status.capacity?.current
        let candidate = TrainingJobNodePool.candidates(spec).first { $0.name == name }
        return recordedSpec.map { recorded in candidate.map(recorded.using) ?? recorded }
    }

    /// The attempt whose pods run or should run.
    var activeAttempt: TrainingJob.Attempt? { status.attempts.last.flatMap { $0.endTime == nil ? $0 : nil } }

    /// The attempt of the active run whose pods have succeeded: its outputs are still to be verified.
    var succeededAttempt: TrainingJob.Attempt? {
        guard activeRun != nil, let last = status.attempts.last, last.endTime != nil,
            last.cause == Reason.succeeded.rawValue
        else { return nil }
        return last
    }

    /// The pool of that name.
    func pool(_ name: String) -> NodePool? { pools.first { $0.name == name } }

    /// Whether a pool carries our labels.
    func isOurs(_ pool: NodePool) -> Bool {
        Ownership.isOurs(pool, ownerUID: uid, clusterUID: configuration.clusterUID)
    }

    /// The pods of a Job.
    func pods(of job: Job) -> [Pod] {
        pods.filter { pod in
            pod.metadata.ownerReferences?.contains { $0.kind == "Job" && $0.uid == job.metadata.uid } == true
        }.sorted { $0.metadata.name < $1.metadata.name }
    }

    /// The nodes of a pool.
    func nodes(of pool: String) -> [Node] {
        nodes.filter { $0.metadata.labels?["cloud.google.com/gke-nodepool"] == pool }
    }
}

extension Job {
    func isTrue(_ condition: String) -> Bool {
        status?.conditions?.contains { $0.type == condition && $0.status == .true } == true
    }

    /// All pods succeeded.
    var isComplete: Bool { isTrue("Complete") }
    /// It failed, or is on its way there.
    var isFailed: Bool { isTrue("Failed") || isTrue("FailureTarget") }
    /// Nothing needs to stop it: it has ended, or its controller is ending its pods.
    var isEnding: Bool { isComplete || isFailed || isTrue("SuccessCriteriaMet") }
}

extension Pod {
    /// Its containers have ended for good.
    var isTerminal: Bool { status?.phase == "Succeeded" || status?.phase == "Failed" }

    func isTrue(_ condition: String) -> Bool {
        status?.conditions?.contains { $0.type == condition && $0.status == .true } == true
    }
}

extension Node {
    var isReady: Bool { status?.conditions?.contains { $0.type == "Ready" && $0.status == .true } == true }
}
