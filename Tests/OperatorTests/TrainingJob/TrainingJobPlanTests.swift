import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Testing

@testable import Operator

@Suite struct TrainingJobPlanTests {
    @Test func `the chain has its order`() {
        // Deletion first; what has a result never seeks machines; what stops releases.
        #expect(
            TrainingJobPlan.rules.names == [
                "deleting", "planning", "returningQuota", "markingCompletion", "finishedAndReleased", "keepingIdle",
                "retaining", "releasingCompute", "recordingSuccess", "restoringRevision", "verifyingOutputs",
                "cancelled", "overTime", "overBudget", "invalidSpec", "leavingQueue", "suspended", "recordingRun",
                "alreadyComplete", "waitingForInputs", "preflight", "waitingForQueue", "recovering", "pendingTooLong",
                "seekingCapacity",
            ])
    }

    private func ready(_ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> String? {
        plan.status.conditions.first { $0.type == "Ready" }?.reason
    }

    @Test func `a new object first gets a revision, then a run, both without touching the cloud`() {
        var seen = observation()
        seen.revisions = [:]
        let first = TrainingJobPlan.plan(seen)
        #expect(first.status.run == nil)
        guard case .apply(let manifest) = first.steps.first else {
            Issue.record("no revision")
            return
        }
        #expect(first.steps.count == 1)
        #expect(manifest.type.kind == "ControllerRevision")
        #expect(manifest.method == .createOnce)
        let second = TrainingJobPlan.plan(observation())
        #expect(second.steps == [])
        #expect(second.status.run?.id == "mnist-a1b2c-r1")
        #expect(second.status.run?.specHash?.hasPrefix("v1:sha256:") == true)
        #expect(second.next == .after(.zero))
    }

    @Test func `waits for artifacts by name`() {
        var waiting = run()
        waiting.image = nil
        var seen = observation(trainingJob(status: status(run: waiting)))
        #expect(ready(TrainingJobPlan.plan(seen)) == "WaitingForInputs")
        seen.artifacts = [
            "dataset": readyArtifact("gs://data-bucket/", hasObjects: false),
            "runs": readyArtifact("gs://runs-bucket/"),
        ]
        let empty = TrainingJobPlan.plan(seen)
        #expect(empty.status.conditions.first { $0.type == "Ready" }?.message == "GCSArtifact dataset holds no objects")
        seen.artifacts["dataset"] = readyArtifact("gs://data-bucket/")
        let found = TrainingJobPlan.plan(seen)
        #expect(found.status.run == run())
        #expect(found.steps == [])
    }

    @Test func `the intent is written before the create is sent`() {
        var seen = observation(trainingJob(status: status()))
        let name = poolName("spot", "us-central1-a")
        let intent = TrainingJobPlan.plan(seen)
        #expect(intent.steps == [])
        #expect(intent.status.resources.map(\.name) == [name])
        #expect(intent.status.resources.first?.state == "Intent")
        #expect(intent.status.resources.first?.hourlyCost == "0.397336")
        #expect(intent.status.capacity?.current == "spot")
        seen.job.status = intent.status
        let create = TrainingJobPlan.plan(seen)
        guard case .cloud(.createNodePool(let pool, _)) = create.steps.first else {
            Issue.record("no create")
            return
        }
        #expect(pool.name == name)
        #expect(pool.initialNodeCount == 0)
        #expect(pool.locations == ["us-central1-a"])
    }

    /// The states of the pool that is tried, and what follows.
    struct Hold: Sendable, CustomTestStringConvertible {
        var name: String
        var pool: NodePool?
        var operations: [ContainerOperation] = []
        var refusal: APIError?
        var state = "RUNNING"
        var expected: String
        var testDescription: String { name }
    }

    static let pool = poolName("spot", "us-central1-b")
    static let created = operation("CREATE_NODE_POOL", on: pool)
    static let foreign = NodePool(name: pool, config: NodeConfig(resourceLabels: [:]), status: .running)
    static func failed(_ code: String) -> NodePool {
        var pool = nodePool(pool, status: .error)
        pool.conditions = [StatusCondition(code: code, message: "[\(code)]: no")]
        return pool
    }

    static let holds: [Hold] = [
        Hold(name: "not created yet", state: "Intent", expected: "create"),
        Hold(
            name: "create under way, not visible",
            operations: [operation("CREATE_NODE_POOL", on: pool, status: .running)],
            state: "Intent", expected: "wait"),
        Hold(
            name: "another operation in the cluster",
            operations: [operation("CREATE_NODE_POOL", on: "somebody-elses", status: .running)], state: "Intent",
            expected: "wait"),
        Hold(
            name: "provisioning", pool: nodePool(pool, status: .provisioning),
            operations: [operation("CREATE_NODE_POOL", on: pool, status: .running)], expected: "wait"),
        Hold(name: "there, empty", pool: nodePool(pool), operations: [created], expected: "setSize"),
        Hold(
            name: "resizing", pool: nodePool(pool, status: .reconciling),
            operations: [created, operation("SET_NODE_POOL_SIZE", on: pool, status: .running, at: 3)], expected: "wait"),
        Hold(
            name: "resized, nodes register", pool: nodePool(pool),
            operations: [created, operation("SET_NODE_POOL_SIZE", on: pool, at: 3)], expected: "wait"),
        Hold(
            name: "an earlier pool of the name was resized", pool: nodePool(pool),
            operations: [
                operation("SET_NODE_POOL_SIZE", on: pool, at: -9), operation("DELETE_NODE_POOL", on: pool, at: -5),
                created,
            ], expected: "setSize"),
        Hold(name: "stocked out", pool: failed("GCE_STOCKOUT"), operations: [created], expected: "StockedOut"),
        Hold(name: "quota", pool: failed("GCE_QUOTA_EXCEEDED"), operations: [created], expected: "QuotaExceeded"),
        Hold(
            name: "the resize failed but the pool says running", pool: nodePool(pool),
            operations: [
                created,
                operation(
                    "SET_NODE_POOL_SIZE", on: pool, at: 3,
                    error: .init(code: 8, message: "Current errors: [GCE_STOCKOUT]: Instance creation failed")),
            ], expected: "StockedOut"),
        Hold(
            name: "refused", refusal: APIError(.invalid, operation: "create", message: "no such machine type there"),
            state: "Intent", expected: "CapacityUnavailable"),
        Hold(
            name: "the create failed and left nothing",
            operations: [
                operation(
                    "CREATE_NODE_POOL", on: pool, at: 1,
                    error: .init(code: 8, message: "[GCE_QUOTA_EXCEEDED]: Quota 'GPUS_ALL_REGIONS' exceeded"))
            ], state: "Intent", expected: "QuotaExceeded"),
        Hold(
            name: "an earlier create of the name failed",
            operations: [
                operation("CREATE_NODE_POOL", on: pool, at: -90, error: .init(code: 8, message: "[GCE_STOCKOUT]: no"))
            ], state: "Intent", expected: "create"),
        Hold(name: "vanished", state: "RUNNING", expected: "CapacityUnavailable"),
        Hold(name: "somebody else's", pool: foreign, state: "Intent", expected: "NameConflict"),
        Hold(
            name: "going", pool: nodePool(pool, status: .stopping),
            operations: [operation("DELETE_NODE_POOL", on: pool, status: .running, at: 5)], expected: "wait"),
    ]

    @Test(arguments: holds)
    func `a pool that is tried is created, sized, waited for or given up`(hold: Hold) {
        var status = status()
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.current = "spot"
        status.capacity?.zone = "us-central1-b"
        status.capacity?.attemptCount = 1
        status.resources = [ledgerEntry(Self.pool, state: hold.state)]
        var seen = observation(trainingJob(status: status), now: moment(10))
        seen.pools = [hold.pool].compactMap { $0 }
        seen.operations = hold.operations
        if let refusal = hold.refusal { seen.refusals = [Self.pool: refusal] }
        let plan = TrainingJobPlan.plan(seen)
        #expect(outcome(plan) == hold.expected)
    }

    @Test func `an intent that is no longer fresh is written again before its create is sent`() {
        var status = status()
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.current = "spot"
        status.capacity?.zone = "us-central1-b"
        status.resources = [ledgerEntry(Self.pool, state: "Intent")]
        let late = moment(46)
        let renewal = TrainingJobPlan.plan(observation(trainingJob(status: status), now: late))
        #expect(renewal.steps == [])
        #expect(renewal.status.resources.map(\.intentTime) == [late])
        let create = TrainingJobPlan.plan(observation(trainingJob(status: renewal.status), now: late))
        #expect(outcome(create) == "create")
    }

    private func outcome(_ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> String {
        switch plan.steps.first {
        case .cloud(.createNodePool): return "create"
        case .cloud(.setNodePoolSize): return "setSize"
        case .cloud(.deleteNodePool): return "delete"
        case .cloud(.updateWorkload), .cloud(.writeObject), .cloud(.probe), .apply, .delete, .deleteAtOnce:
            return "unexpected"
        case nil:
            let isStalled = plan.status.conditions.contains { $0.type == "Stalled" }
            if isStalled { return plan.status.conditions.first { $0.type == "Ready" }?.reason ?? "" }
            return plan.status.capacity?.attempts.last?.result ?? "wait"
        }
    }

    @Test func `a failed pool is gone before the next candidate is tried`() {
        let first = poolName("spot", "us-central1-a")
        var status = status()
        status.resources = [ledgerEntry(first, state: "ERROR")]
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.attempts = [
            .init(candidate: "spot", zone: "us-central1-a", result: "StockedOut", count: 1, lastTime: moment(5))
        ]
        var seen = observation(trainingJob(status: status), now: moment(10))
        seen.pools = [Self.failed("GCE_STOCKOUT")]
        seen.pools[0].name = first
        let delete = TrainingJobPlan.plan(seen)
        #expect(delete.steps == [.cloud(.deleteNodePool(name: first, owner: seen.owner))])
        #expect(delete.status.capacity?.current == nil)
        seen.pools[0].status = .stopping
        #expect(TrainingJobPlan.plan(seen).steps == [])
        seen.pools = []
        let next = TrainingJobPlan.plan(seen)
        #expect(next.status.capacity?.zone == "us-central1-b")
        #expect(next.status.resources.map(\.name) == [poolName("spot", "us-central1-b")])
    }

    @Test func `after the last candidate the first comes again, after a pause`() {
        var status = status()
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.attempts = [
            .init(candidate: "spot", zone: "us-central1-a", result: "StockedOut", count: 1, lastTime: moment(10)),
            .init(candidate: "spot", zone: "us-central1-b", result: "StockedOut", count: 1, lastTime: moment(20)),
            .init(
                candidate: "on-demand", zone: "us-central1-a", result: "QuotaExceeded", count: 1, lastTime: moment(30)),
        ]
        let waiting = TrainingJobPlan.plan(observation(trainingJob(status: status), now: moment(40)))
        #expect(waiting.status.capacity?.nextAttemptTime == moment(70))
        #expect(waiting.next == .after(.seconds(30)))
        #expect(waiting.status.resources == [])
        let again = TrainingJobPlan.plan(observation(trainingJob(status: status), now: moment(70)))
        #expect(again.status.capacity?.zone == "us-central1-a")
        #expect(again.status.capacity?.current == "spot")
    }

    @Test func `a spec that no machine type fits is refused before anything is made`() {
        let job = trainingJob { $0.accelerator?.gpu?.count = 3 }
        let plan = TrainingJobPlan.plan(observation(job))
        #expect(ready(plan) == "InvalidSpec")
        #expect(plan.steps == [])
        #expect(plan.status.run == nil)
        #expect(
            plan.status.conditions.first { $0.type == "Ready" }?.message
                == "candidate spot: 3 × nvidia-l4 fit no machine type; possible counts are 1, 2, 4, 8")
    }

    @Test func `a spec made invalid during the search releases what is held, then says so`() {
        var status = trainingStatus()
        status.attempts = []
        var seen = observation(
            trainingJob({ $0.capacity?.candidates[0].machineType = "n1-standard-1" }, status: status), now: moment(10))
        seen.revisions = [run().revisionName ?? "": RunSpec(trainingJob().spec)]
        seen.pools = [nodePool(Self.pool)]
        #expect(outcome(TrainingJobPlan.plan(seen)) == "delete")
        seen.pools = []
        let gone = TrainingJobPlan.plan(seen)
        #expect(gone.status.resources == [])
        seen.job.status = gone.status
        #expect(ready(TrainingJobPlan.plan(seen)) == "InvalidSpec")
    }

    @Test func `a deleted revision is written again, or ends the run when the spec is another one now`() {
        var seen = trainingObservation()
        seen.revisions = [:]
        let again = TrainingJobPlan.plan(seen)
        #expect(again.status.run?.result == nil)
        #expect(again.steps.count == 1)
        seen.job.spec.rerunToken = "2"
        let ended = TrainingJobPlan.plan(seen)
        #expect(ended.status.run?.reason == "ControllerError")
        #expect(ended.steps == [])
    }

    @Test func `a machine without a list price costs an unknown amount, still at intervals`() {
        var seen = trainingObservation()
        seen.job.status?.resources[0].hourlyCost = nil
        let first = TrainingJobPlan.plan(seen)
        #expect(first.status.cost?.display == "unknown")
        #expect(first.status.cost?.basis == "no list price")
        seen.job.status = first.status
        seen.now = moment(70)
        seen.progress = report()
        #expect(TrainingJobPlan.plan(seen).status.trainerStatus == nil)
    }

    @Test func `progress alone is written at intervals`() {
        var seen = trainingObservation()
        let first = TrainingJobPlan.plan(seen)
        seen.job.status = first.status
        seen.now = moment(70)
        seen.progress = report()
        let soon = TrainingJobPlan.plan(seen).status
        #expect(soon.trainerStatus == nil)
        #expect(soon.cost == first.status.cost)
        #expect(soon.state == first.status.state)
        seen.now = moment(91)
        let later = TrainingJobPlan.plan(seen)
        #expect(later.status.trainerStatus?.progress == "50%")
        #expect(later.status.checkpoint?.latest?.step == 100)
        #expect(later.steps == [])
    }

    @Test func `the runtime limit ends the run`() {
        let seen = trainingObservation(now: moment(3601)) { $0.spec.runtimeLimitSeconds = 3600 }
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.status.run?.reason == "DeadlineExceeded")
        #expect(plan.status.run?.activeSeconds == 3601)
        #expect(plan.steps == [])
    }

    @Test func `the cancel annotation ends the run it names, and no other`() {
        func plan(_ id: String) -> TrainingJob.Status {
            TrainingJobPlan.plan(
                trainingObservation { $0.metadata.annotations = [Ownership.cancelAnnotation: id] }
            ).status
        }
        #expect(plan("mnist-a1b2c-r1").run?.reason == "Cancelled")
        #expect(plan("mnist-a1b2c-r0").run?.result == nil)
    }

    @Test func `a pool with our labels that the ledger forgot is deleted all the same`() {
        var job = trainingJob(status: status())
        job.metadata.deletionTimestamp = moment(5)
        var seen = observation(job, now: moment(10))
        seen.pools = [nodePool("ty-forgotten")]
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.steps == [.cloud(.deleteNodePool(name: "ty-forgotten", owner: seen.owner))])
        #expect(plan.next != .finalized)
    }

    @Test func `machines that a lost status forgot are in the ledger at once, and the run goes on with them`() {
        var seen = observation(trainingJob(), now: moment(10))
        seen.pools = [nodePool(Self.pool)]
        let first = TrainingJobPlan.plan(seen)
        #expect(first.steps == [])
        #expect(first.status.resources.map(\.name) == [Self.pool])
        #expect(first.status.conditions.first { $0.type == "ComputeReleased" }?.status == .false)
        seen.job.status = status()
        let second = TrainingJobPlan.plan(seen)
        #expect(second.steps == [])
        #expect(second.status.capacity?.zone == "us-central1-b")
        #expect(second.status.resources.map(\.name) == [Self.pool])
    }

    @Test func `a create that may still arrive keeps the finalizer`() {
        var status = status()
        status.resources = [ledgerEntry(Self.pool, at: start)]
        var job = trainingJob(status: status)
        job.metadata.deletionTimestamp = moment(1)
        #expect(TrainingJobPlan.plan(observation(job, now: moment(10))).next != .finalized)
        #expect(TrainingJobPlan.plan(observation(job, now: moment(91))).next == .finalized)
    }

    @Test func `an object that never made anything goes at once`() {
        var job = trainingJob()
        job.metadata.deletionTimestamp = moment(1)
        let plan = TrainingJobPlan.plan(observation(job, now: moment(1)))
        #expect(plan.next == .finalized)
        #expect(plan.steps == [])
    }

    @Test func `a pool that lost our labels is not touched`() {
        var status = trainingStatus()
        status.run?.result = "Succeeded"
        var seen = observation(trainingJob(status: status), now: moment(60))
        seen.pools = [Self.foreign]
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.steps == [])
        #expect(ready(plan) == "NameConflict")
        #expect(plan.status.resources.count == 1)
    }
}
