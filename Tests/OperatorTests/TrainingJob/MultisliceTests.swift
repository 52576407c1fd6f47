import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Testing

@testable import Operator

/// A run on two slices of four hosts: all of them are there, or none is paid for.
@Suite struct MultisliceTests {
    private static let job = trainingJob { spec in
        spec.trainer = .init(image: "mine", terminationGracePeriodSeconds: 25)
        spec.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 2))
        spec.capacity = .init(candidates: [
            .init(name: "spot", provisioningModel: .spot, zones: ["us-central1-b"]),
            .init(name: "on-demand", provisioningModel: .standard, zones: ["us-central1-b"]),
        ])
    }
    private static let pools = (0..<2).map {
        Naming.nodePool(uid: uid, run: 1, candidate: "spot", zone: "us-central1-b", slice: $0)
    }

    private func world(_ status: TrainingJob.Status? = nil, at second: Int = 0) -> TrainingJobObservation {
        var job = Self.job
        job.status = status ?? freshStatus()
        return observation(job, now: moment(second))
    }

    private func freshStatus() -> TrainingJob.Status { status(run: run(Self.job)) }

    private func nodes(_ pool: String, _ count: Int) -> [Node] { (0..<count).map { node(pool, index: $0) } }

    @Test func `both pools are intended in one write, then made one after the other at their size`() throws {
        var seen = world()
        let intent = TrainingJobPlan.plan(seen)
        #expect(intent.steps == [])
        #expect(intent.status.resources.map(\.name) == Self.pools)
        #expect(intent.status.resources.map(\.hourlyCost) == ["2.176", "2.176"])
        #expect(intent.status.nodes == .init(desired: 8, ready: 0))
        seen.job.status = intent.status
        for slice in 0..<2 {
            guard case .cloud(.createNodePool(let pool, _)) = TrainingJobPlan.plan(seen).steps.first else {
                Issue.record("no create of slice \(slice)")
                return
            }
            #expect(pool.name == Self.pools[slice])
            #expect(pool.initialNodeCount == 4)
            #expect(pool.placementPolicy == PlacementPolicy(type: "COMPACT", tpuTopology: "4x4"))
            #expect(pool.config?.machineType == "ct6e-standard-4t")
            #expect(pool.config?.accelerators == nil)
            seen.pools.append(nodePool(pool.name, status: .provisioning))
            seen.operations.append(operation("CREATE_NODE_POOL", on: pool.name, status: .running, at: slice))
            #expect(TrainingJobPlan.plan(seen).steps == [])
            seen.operations[slice].status = .done
            seen.pools[slice].status = .running
        }
        seen.nodes = nodes(Self.pools[0], 4) + nodes(Self.pools[1], 3)
        let waiting = TrainingJobPlan.plan(seen)
        #expect(waiting.steps == [])
        #expect(
            waiting.status.conditions.first { $0.type == "Ready" }?.message
                == "waiting for spot (2 × ct6e-standard-4t 4x4, us-central1-b): 7 of 8 nodes are ready")
        seen.nodes += [node(Self.pools[1], index: 3)]
        let acquired = TrainingJobPlan.plan(seen)
        #expect(acquired.steps == [])
        #expect(acquired.status.attempts.map(\.candidate) == ["spot"])
    }

    @Test func `one slice that cannot be had gives up all of them before the next candidate`() {
        var status = freshStatus()
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.current = "spot"
        status.capacity?.zone = "us-central1-b"
        status.capacity?.startTime = start
        status.capacity?.attemptCount = 1
        status.resources = Self.pools.map { ledgerEntry($0, state: "RUNNING") }
        var seen = world(status, at: 30)
        seen.pools = [nodePool(Self.pools[0]), nodePool(Self.pools[1], status: .error)]
        seen.pools[1].conditions = [
            StatusCondition(code: "GCE_STOCKOUT", message: "Atomic resize failed with [GCE_STOCKOUT]")
        ]
        seen.nodes = nodes(Self.pools[0], 4)
        let failed = TrainingJobPlan.plan(seen)
        #expect(failed.steps == [])
        #expect(failed.status.capacity?.attempts.map(\.result) == ["StockedOut"])
        #expect(failed.status.capacity?.current == nil)
        seen.job.status = failed.status
        for name in Self.pools {
            let release = TrainingJobPlan.plan(seen)
            #expect(release.steps == [.cloud(.deleteNodePool(name: name, owner: seen.owner))])
            #expect(release.status.capacity?.current == nil)
            seen.pools.removeAll { $0.name == name }
            seen.job.status = release.status
        }
        let next = TrainingJobPlan.plan(seen)
        #expect(next.status.capacity?.current == "on-demand")
        #expect(next.status.resources.count == 2)
    }

    @Test func `a status that was lost finds its slices again`() {
        var seen = world(at: 30)
        seen.pools = [nodePool(Self.pools[1])]
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.steps == [])
        #expect(plan.status.capacity?.current == "spot")
        #expect(plan.status.resources.map(\.name) == Self.pools)
    }

    @Test func `hosts that do not register are not waited for without end`() {
        var status = freshStatus()
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.current = "spot"
        status.capacity?.zone = "us-central1-b"
        status.capacity?.startTime = start
        status.capacity?.attemptCount = 1
        status.resources = Self.pools.map { ledgerEntry($0, state: "RUNNING") }
        var seen = world(status, at: 5401)
        seen.pools = Self.pools.map { nodePool($0) }
        #expect(TrainingJobPlan.plan(seen).status.capacity?.attempts.map(\.result) == ["TimedOut"])
        seen.now = moment(5399)
        #expect(TrainingJobPlan.plan(seen).status.capacity?.attempts == [])
    }
}

@Suite struct PendingDeadlineTests {
    private func seen(
        _ second: Int, since: Int? = 0, _ change: (inout TrainingJob.Status) -> Void = { _ in }
    ) -> TrainingJobObservation {
        var status = status()
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.pendingSince = since.map { moment($0) }
        change(&status)
        return observation(trainingJob({ $0.pendingDeadlineSeconds = 600 }, status: status), now: moment(second))
    }

    @Test func `the search's beginning is written before anything is tried`() {
        let plan = TrainingJobPlan.plan(seen(5, since: nil))
        #expect(plan.steps == [])
        #expect(plan.status.capacity?.pendingSince == moment(5))
        #expect(plan.status.resources == [])
    }

    @Test func `a run that has no machines in time ends, and says what was tried`() {
        let late = TrainingJobPlan.plan(
            seen(600) { status in
                status.capacity?.attempts = [
                    .init(
                        candidate: "spot", zone: "us-central1-a", result: "StockedOut", count: 3, lastTime: moment(9)),
                    .init(candidate: "on-demand", zone: "us-central1-a", result: "QuotaExceeded", count: 1),
                ]
                status.resources = [ledgerEntry(poolName("spot", "us-central1-a"))]
            })
        #expect(late.steps == [])
        #expect(late.status.run?.result == "Failed")
        #expect(late.status.run?.reason == "PendingDeadlineExceeded")
        #expect(
            late.status.lastFailure?.message
                == "no machines within 600 s: on-demand us-central1-a QuotaExceeded, spot us-central1-a StockedOut 3 times"
        )
        #expect(late.status.conditions.first { $0.type == "ComputeReleased" }?.status == .false)
        #expect(TrainingJobPlan.plan(seen(599)).status.run?.result == nil)
    }

    @Test func `a suspension does not count`() {
        var suspended = seen(10)
        suspended.job.spec.suspend = true
        let ending = TrainingJobPlan.plan(suspended)
        #expect(ending.status.capacity?.pendingSince == nil)
        suspended.job.status = ending.status
        suspended.job.spec.suspend = false
        suspended.now = moment(5000)
        #expect(TrainingJobPlan.plan(suspended).status.capacity?.pendingSince == moment(5000))
    }

    @Test func `machines that came end the wait`() {
        var world = seen(10) { status in
            status.capacity?.current = "spot"
            status.capacity?.zone = "us-central1-b"
            status.resources = [ledgerEntry(poolName("spot", "us-central1-b"), state: "RUNNING")]
        }
        world.pools = [nodePool(poolName("spot", "us-central1-b"))]
        world.nodes = [node(poolName("spot", "us-central1-b"))]
        let plan = TrainingJobPlan.plan(world)
        #expect(plan.status.attempts.count == 1)
        #expect(plan.status.capacity?.pendingSince == nil)
    }
}
