import Encoding
import GoogleCloud
import Kubernetes
import TrainingContract

@testable import Operator

/// A moment on a round second; tests count from it.
let start = Timestamp(seconds: 1_795_000_000)

func moment(_ seconds: Int) -> Timestamp { start + .seconds(seconds) }

let uid = "a1b2c3d4-0000-4000-8000-000000000001"

func configuration() -> OperatorConfiguration {
    OperatorConfiguration(
        cluster: cluster, clusterUID: "cluster-uid", zones: ["us-central1-a", "us-central1-b"],
        trainerImage: "trainyard.dev/trainer:test", progressInterval: .seconds(30), pollInterval: .seconds(2))
}

private var cluster: ClusterName {
    guard let name = ClusterName("projects/test-project/locations/us-central1/clusters/test") else {
        preconditionFailure("the constant is a valid name")
    }
    return name
}

func metadata(name: String = "mnist") -> ObjectMeta {
    ObjectMeta(
        name: name, namespace: "ml", uid: uid, resourceVersion: "1", generation: 1, creationTimestamp: start,
        finalizers: [Ownership.finalizer])
}

/// Spot in two zones, then on demand; one input, checkpoints, two outputs with an assertion.
func spec() -> TrainingJob.Spec {
    TrainingJob.Spec(
        suspend: false, managedBy: TrainingJob.manager, onSpecChange: .newRun,
        backend: TrainingJob.Backend(type: .gke),
        trainer: TrainingJob.Trainer(hyperparameters: ["epochs": "2"], terminationGracePeriodSeconds: 25),
        accelerator: TrainingJob.AcceleratorSpec(gpu: .init(type: "nvidia-l4", count: 1, driverVersion: "Default")),
        capacity: TrainingJob.Capacity(candidates: [
            .init(name: "spot", provisioningModel: .spot, zones: ["us-central1-a", "us-central1-b"]),
            .init(name: "on-demand", provisioningModel: .standard, zones: ["us-central1-a"]),
        ]),
        inputs: [.init(name: "data", artifactRef: .init(name: "dataset"), mode: .stream)],
        checkpoint: .init(artifactRef: .init(name: "runs"), keepLast: 3),
        outputs: TrainingJob.Outputs(
            artifactRef: .init(name: "runs"), prefix: "runs/{runID}/",
            required: [
                .init(glob: "metrics.json", minBytes: 1, minCount: 1),
                .init(glob: "model.safetensors", minBytes: 1, minCount: 1),
            ],
            assertions: [
                .init(
                    file: "metrics.json", jsonPath: "{.test_accuracy[-1:]}", operator: .greaterThanOrEqual, value: "85")
            ]))
}

func trainingJob(
    _ change: (inout TrainingJob.Spec) -> Void = { _ in }, status: TrainingJob.Status? = nil
) -> TrainingJob {
    var spec = spec()
    change(&spec)
    return TrainingJob(metadata: metadata(), spec: spec, status: status)
}

func observation(_ job: TrainingJob = trainingJob(), now: Timestamp = start) -> TrainingJobObservation {
    var observation = TrainingJobObservation(job: job, configuration: configuration(), now: now)
    observation.marker = .absent
    let spec = RunSpec(job.spec)
    observation.revisions = [Naming.revision(job: job.metadata.name, uid: uid, specHash: SpecHash.hash(spec)): spec]
    return observation
}

func readyArtifact(_ uri: String, hasObjects: Bool = true) -> ArtifactObservation {
    ArtifactObservation(isReady: true, uri: uri, hasObjects: hasObjects)
}

/// A run as it is after its inputs were found.
func run(_ job: TrainingJob = trainingJob(), number: Int = 1) -> TrainingJob.Run {
    let hash = SpecHash.hash(RunSpec(job.spec))
    var run = TrainingJob.Run(
        number: number, id: Naming.runID(job: job.metadata.name, uid: uid, number: number))
    run.generation = 1
    run.specHash = hash
    run.revisionName = Naming.revision(job: job.metadata.name, uid: uid, specHash: hash)
    run.startTime = start
    run.image = "trainyard.dev/trainer:test"
    run.inputs = [.init(name: "data", uri: "gs://data-bucket/")]
    run.prefix = "gs://runs-bucket/runs/\(run.id)/"
    run.checkpointPrefix = "gs://runs-bucket/checkpoints/\(run.id)/"
    return run
}

/// A status with a run and nothing else.
func status(run: TrainingJob.Run? = run()) -> TrainingJob.Status {
    var status = TrainingJob.Status()
    status.observedGeneration = 1
    status.run = run
    return status
}

func poolName(_ candidate: String, _ zone: String, run: Int = 1) -> String {
    Naming.nodePool(uid: uid, run: run, candidate: candidate, zone: zone)
}

func ledgerEntry(_ name: String, state: String = CloudResource.intent, at time: Timestamp = start) -> CloudResource {
    var entry = CloudResource(
        externalRef: Naming.externalReference(nodePool: name, in: configuration().cluster), role: "NodePool", run: 1,
        state: state)
    entry.intentTime = time
    entry.hourlyCost = "0.397336"
    return entry
}

/// A pool of ours as GKE shows it.
func nodePool(_ name: String, zone: String = "us-central1-b", status: NodePoolStatus = .running) -> NodePool {
    var labels = Ownership.googleLabels(ownerUID: uid, clusterUID: "cluster-uid")
    labels[Ownership.googleRunLabel] = run().id
    return NodePool(
        name: name, config: NodeConfig(spot: true, resourceLabels: labels), locations: [zone], status: status)
}

func operation(
    _ type: String, on pool: String, status: ContainerOperation.Status = .done, at second: Int = 0,
    error: ContainerOperation.RPCStatus? = nil
) -> ContainerOperation {
    ContainerOperation(
        name: "operation-\(type.lowercased().filter { $0 != "_" })-\(second)", operationType: type, status: status,
        targetLink:
            "https://container.googleapis.com/v1/projects/1/locations/us-central1/clusters/test/nodePools/\(pool)",
        startTime: moment(second).description, error: error)
}

func node(_ pool: String, index: Int = 0, isReady: Bool = true) -> Node {
    Node(
        metadata: ObjectMeta(
            name: "\(pool)-\(index)",
            labels: ["cloud.google.com/gke-nodepool": pool, Ownership.jobLabel: "mnist"]),
        status: .init(conditions: [ObjectCondition(type: "Ready", status: isReady ? .true : .false)]))
}

/// The Job of an attempt as the Job controller shows it.
func attemptJob(_ number: Int = 1, condition: String? = nil, message: String? = nil) -> Job {
    Job(
        metadata: ObjectMeta(
            name: Naming.attemptJob(runID: run().id, attempt: number), namespace: "ml", uid: "job-\(number)",
            labels: [Ownership.jobLabel: "mnist"]),
        spec: .init(parallelism: 1, completions: 1),
        status: .init(
            startTime: start, completionTime: condition == "Complete" ? moment(60) : nil,
            conditions: condition.map { [ObjectCondition(type: $0, status: .true, message: message)] }))
}

/// A pod of an attempt.
func attemptPod(
    _ number: Int = 1, phase: String = "Running", exitCode: Int32? = nil, reason: String? = nil,
    waiting: ContainerState.Waiting? = nil, conditions: [ObjectCondition]? = nil, podReason: String? = nil
) -> Pod {
    let job = Naming.attemptJob(runID: run().id, attempt: number)
    let state = ContainerState(
        waiting: waiting, running: phase == "Running" ? .init() : nil,
        terminated: exitCode.map { .init(exitCode: $0, reason: reason, finishedAt: moment(30)) })
    return Pod(
        metadata: ObjectMeta(
            name: "\(job)-0-abcde", namespace: "ml", uid: "pod-\(number)", labels: [Ownership.jobLabel: "mnist"],
            ownerReferences: [OwnerReference(apiVersion: "batch/v1", kind: "Job", name: job, uid: "job-\(number)")]),
        spec: .init(nodeName: "node-0"),
        status: .init(
            phase: phase, reason: podReason, conditions: conditions,
            containerStatuses: [ContainerStatus(name: "trainer", state: state)]))
}

/// A status in which attempt 1 runs on spot in zone b.
func trainingStatus(attempt number: Int = 1) -> TrainingJob.Status {
    var status = status()
    var capacity = TrainingJob.CapacityStatus()
    capacity.current = "spot"
    capacity.zone = "us-central1-b"
    capacity.attemptCount = 1
    status.capacity = capacity
    var attempt = TrainingJob.Attempt(number: number)
    attempt.startTime = start
    attempt.candidate = "spot"
    attempt.zone = "us-central1-b"
    status.attempts = [attempt]
    status.attemptCount = number
    status.resources = [ledgerEntry(poolName("spot", "us-central1-b"), state: "RUNNING")]
    return status
}

/// A status in which attempt 1 has succeeded and nothing is verified yet.
func succeededStatus() -> TrainingJob.Status {
    var status = trainingStatus()
    status.attempts[0].endTime = moment(60)
    status.attempts[0].cause = "Succeeded"
    status.attempts[0].exitCode = 0
    status.run?.activeSeconds = 60
    return status
}

/// The world in which attempt 1 trains.
func trainingObservation(
    _ job: Job = attemptJob(), pods: [Pod] = [attemptPod()], now: Timestamp = moment(60),
    _ change: (inout TrainingJob) -> Void = { _ in }
) -> TrainingJobObservation {
    var trainingJob = trainingJob(status: trainingStatus())
    change(&trainingJob)
    var result = observation(trainingJob, now: now)
    let pool = poolName("spot", "us-central1-b")
    result.jobs = [job]
    result.pods = pods
    result.services = [run().id]
    result.pools = [nodePool(pool)]
    result.nodes = [node(pool)]
    result.operations = [operation("CREATE_NODE_POOL", on: pool), operation("SET_NODE_POOL_SIZE", on: pool, at: 2)]
    return result
}

func report(step: Int = 100, epoch: Int = 1) -> ProgressReport {
    ProgressReport(
        runID: run().id, attempt: 1, updatedAt: moment(50).description, epoch: epoch, totalEpochs: 2, step: step,
        totalSteps: 200, fromStep: 0, imagesPerSecond: 1011.6, trainLoss: 0.5, estimatedRemainingSeconds: 37.2,
        history: [
            .init(epoch: 1, step: 100, metrics: ["train_loss": 0.48213, "test_loss": 0.40019, "test_accuracy": 86.71])
        ],
        checkpoint: .init(
            step: step, uri: "gs://runs-bucket/checkpoints/x/step-00000100/", time: moment(45).description))
}
