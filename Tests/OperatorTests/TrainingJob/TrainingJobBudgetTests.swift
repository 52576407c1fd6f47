import GoogleCloud
import ControllerRuntime
import Encoding
import Kubernetes
import Testing

@testable import Operator

@Suite struct TrainingJobBudgetTests {
    /// A run that has spent some, at $0.397336 an hour. Grace and release of one node cost $0.035871.
    private func seen(
        maxCost: String, onExceeded: TrainingJob.Budget.OnExceeded = .checkpointAndSuspend, accrued: String = "1.00",
        at second: Int = 60, _ change: (inout TrainingJob) -> Void = { _ in }
    ) -> TrainingJobObservation {
        trainingObservation(now: moment(second)) { job in
            job.spec.budget = .init(currencyCode: "USD", maxCost: maxCost, onExceeded: onExceeded)
            var cost = TrainingJob.Cost()
            cost.accrued = accrued
            cost.hourlyRate = "0.397336"
            cost.updateTime = moment(60)
            job.status?.cost = cost
            change(&job)
        }
    }

    private func ready(_ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> String? {
        plan.status.conditions.first { $0.type == "Ready" }?.reason
    }

    private func within(_ status: TrainingJob.Status) -> String? {
        status.conditions.first { $0.type == "WithinBudget" }.map { "\($0.status.rawValue)/\($0.reason)" }
    }

    @Test func `the run goes on until only its own end can still be paid for`() {
        let before = TrainingJobPlan.plan(seen(maxCost: "1.035872"))
        #expect(before.status.attempts.last?.endTime == nil)
        #expect(within(before.status) == "True/WithinBudget")
        let after = TrainingJobPlan.plan(seen(maxCost: "1.03587"))
        #expect(after.status.attempts.last?.cause == "BudgetExceeded")
        #expect(after.steps == [], "first the facts, then the acts")
        #expect(after.status.cost?.limitReached == "1.03587")
        #expect(after.status.capacity?.current == nil)
        #expect(after.status.lastFailure?.class == "Budget")
        #expect(after.status.restarts == nil)
        #expect(within(after.status) == "False/BudgetExceeded")
        #expect(after.events.contains { $0.reason == "BudgetExceeded" })
    }

    @Test func `what was spent since the last write counts`() {
        #expect(TrainingJobPlan.plan(seen(maxCost: "1.20", at: 60)).status.attempts.last?.endTime == nil)
        #expect(TrainingJobPlan.plan(seen(maxCost: "1.20", at: 60 + 1800)).status.attempts.last?.endTime != nil)
    }

    @Test func `after the stop the pods go, then the machines, then it waits for a higher budget`() throws {
        var world = seen(maxCost: "1.00")
        world.job.status = TrainingJobPlan.plan(world).status
        let stopping = TrainingJobPlan.plan(world)
        #expect(stopping.steps == [.delete(ObjectReference(attemptJob()))])
        #expect(stopping.status.state == "Suspending")
        world.jobs = []
        world.pods = []
        let pool = poolName("spot", "us-central1-b")
        #expect(
            TrainingJobPlan.plan(world).steps == [.cloud(.deleteNodePool(name: pool, owner: world.owner))])
        world.pools = []
        world.nodes = []
        world.operations = []
        world.job.status = TrainingJobPlan.plan(world).status
        let stopped = TrainingJobPlan.plan(world)
        #expect(stopped.steps == [])
        #expect(stopped.status.state == "Suspended")
        #expect(
            stopped.status.conditions.map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" } == [
                "ComputeReleased=True/Released", "Ready=False/BudgetExceeded", "Stalled=True/BudgetExceeded",
                "Suspended=True/BudgetExceeded", "WithinBudget=False/BudgetExceeded",
            ])
        world.job.status = stopped.status
        world.now = moment(9000)
        #expect(
            TrainingJobPlan.plan(world).status == stopped.status.at(moment(9000)), "nothing changes, nothing is written"
        )
        world.job.spec.budget?.maxCost = "0.50"
        #expect(ready(TrainingJobPlan.plan(world)) == "BudgetExceeded")
        world.job.spec.budget?.maxCost = "5.00"
        let raised = TrainingJobPlan.plan(world)
        #expect(raised.status.capacity?.current == "spot")
        #expect(raised.status.run?.id == run().id)
        #expect(within(raised.status) == "True/WithinBudget")
    }

    @Test func `Fail ends the run`() {
        let plan = TrainingJobPlan.plan(seen(maxCost: "1.00", onExceeded: .fail))
        #expect(plan.status.run?.result == "Failed")
        #expect(plan.status.run?.reason == "BudgetExceeded")
        #expect(plan.status.attempts.last?.cause == "BudgetExceeded")
        #expect(plan.steps == [])
    }

    @Test func `Warn tells it once and stops nothing`() {
        var world = seen(maxCost: "1.00", onExceeded: .warn)
        let first = TrainingJobPlan.plan(world)
        #expect(within(first.status) == "False/BudgetExceeded")
        #expect(first.status.attempts.last?.endTime == nil)
        #expect(first.events.map(\.reason) == ["BudgetExceeded"])
        world.job.status = first.status
        world.now = moment(200)
        #expect(TrainingJobPlan.plan(world).events == [])
        #expect(within(TrainingJobPlan.plan(seen(maxCost: "1.02", onExceeded: .warn)).status) == "True/WithinBudget")
    }

    @Test func `a suspension by the user comes before one by the budget`() {
        let plan = TrainingJobPlan.plan(seen(maxCost: "1.00") { $0.spec.suspend = true })
        #expect(plan.status.attempts.last?.cause == "Suspended")
    }

    @Test func `a changed spec ends a run that the budget has stopped`() {
        var world = seen(maxCost: "1.00") { job in
            job.status?.cost?.limitReached = "1.00"
            job.spec.rerunToken = "again"
            job.metadata.generation = 2
        }
        world.revisions.merge(observation().revisions) { own, _ in own }
        let plan = TrainingJobPlan.plan(world)
        #expect(plan.status.run?.reason == "Superseded")
    }

    // MARK: Before money is spent

    private func fresh(
        _ budget: TrainingJob.Budget, _ change: (inout TrainingJob.Spec) -> Void = { _ in }
    ) -> Plan<TrainingJob.Status, TrainingJobAction> {
        let job = trainingJob { spec in
            change(&spec)
            spec.budget = budget
        }
        var fresh = job
        fresh.status = status(run: run(job))
        return TrainingJobPlan.plan(observation(fresh))
    }

    @Test func `a budget that does not even pay for starting and stopping buys nothing`() {
        let plan = fresh(.init(currencyCode: "USD", maxCost: "0.03", onExceeded: .checkpointAndSuspend))
        #expect(plan.status.resources.isEmpty)
        #expect(ready(plan) == "BudgetExceeded")
        #expect(plan.steps == [])
        let failed = fresh(.init(currencyCode: "USD", maxCost: "0.03", onExceeded: .fail))
        #expect(failed.status.run?.reason == "BudgetExceeded")
        let enough = fresh(.init(currencyCode: "USD", maxCost: "0.04", onExceeded: .checkpointAndSuspend))
        #expect(enough.status.resources.count == 1)
    }

    @Test func `a machine without a price is refused with a budget, before it is bought, unless it only warns`() {
        func change(_ spec: inout TrainingJob.Spec) {
            spec.accelerator?.gpu = .init(type: "nvidia-b200", count: 8, driverVersion: "Default")
            spec.capacity?.candidates = [.init(name: "spot", provisioningModel: .spot, zones: ["us-central1-b"])]
        }
        let refused = fresh(.init(currencyCode: "USD", maxCost: "100", onExceeded: .fail), change)
        #expect(ready(refused) == "PriceUnknown")
        #expect(refused.status.resources.isEmpty)
        let message = refused.status.conditions.first { $0.type == "Ready" }?.message ?? ""
        #expect(message.contains("spot (a4-highgpu-8g, us-central1-b) has no list price"))
        #expect(
            fresh(.init(currencyCode: "USD", maxCost: "100", onExceeded: .warn), change).status.resources.count == 1)
    }

    @Test func `nodes that are not ours are not counted, so a budget that stops is refused with them`() {
        func change(_ spec: inout TrainingJob.Spec) {
            spec.capacity = nil
            spec.backend.gke = .init(nodePool: .init(policy: .computeClass, computeClassName: "gpu"))
        }
        let refused = fresh(.init(currencyCode: "USD", maxCost: "100", onExceeded: .fail), change)
        #expect(ready(refused) == "PriceUnknown")
        #expect(refused.status.attempts == [])
        let message = refused.status.conditions.first { $0.type == "Ready" }?.message ?? ""
        #expect(message.contains("nodePool.policy ComputeClass"))
        #expect(ready(fresh(.init(currencyCode: "USD", maxCost: "100", onExceeded: .warn), change)) == "Training")
    }

    @Test func `a budget in another currency is refused`() {
        let plan = fresh(.init(currencyCode: "EUR", maxCost: "100", onExceeded: .fail))
        #expect(ready(plan) == "PriceUnknown")
        #expect(plan.status.resources.isEmpty)
    }

    // MARK: Pools

    @Test(
        arguments: [
            ("1.00", nil, 1, 9060), ("1.00", 3600, 1, 4500), ("1.00", 36000, 1, 9060), ("1.00", nil, 2, 4530),
            ("0.000001", nil, 1, 60), ("999999999", nil, 1, 10_368_000),
        ] as [(String, Int?, Int, Int)])
    func `every pool ends by itself when the rest of the budget is used up`(
        maxCost: String, limit: Int?, nodes: Int, seconds: Int
    ) throws {
        let job = trainingJob { spec in
            spec.budget = .init(currencyCode: "USD", maxCost: maxCost, onExceeded: .fail)
            spec.runtimeLimitSeconds = limit
            spec.trainer?.numNodes = nodes
            spec.trainer?.image = "example.com/own:1"
        }
        let seen = observation(job)
        let option = try #require(try TrainingJobNodePool.options(for: run(job), RunSpec(job.spec), seen).get().first)
        let request = TrainingJobNodePool.request(option, run: run(job), RunSpec(job.spec), seen)
        #expect(request.config?.maxRunDuration == "\(seconds)s")
    }

    // MARK: Cost

    @Test func `money belongs to the latest attempt, and the projection to the end of the run`() {
        var world = seen(maxCost: "9", at: 60)
        let first = TrainingJobPlan.plan(world).status
        #expect(first.attempts.last?.cost == nil)
        world.job.status = first
        world.now = moment(60 + 3600)
        world.progress = report()
        let later = TrainingJobPlan.plan(world).status
        #expect(later.attempts.last?.cost == "0.397336")
        #expect(later.cost?.accrued == "1.397336")
        #expect(later.cost?.projected == "1.40153")
        #expect(later.checkpoint?.exposureSeconds == 3615)
        #expect(later.checkpoint?.exposureCost == "0.398992")
    }

    @Test func `the column is not zero while money is spent`() {
        var world = trainingObservation()
        let first = TrainingJobPlan.plan(world).status
        #expect(first.cost?.display == "<$0.01")
        world.job.status = first
        world.now = moment(100)
        #expect(TrainingJobPlan.plan(world).status.cost?.display == "$0.0044")
    }
}

extension TrainingJob.Status {
    /// As a plan at that moment writes it: conditions carry the moment, the runtime keeps the old one.
    fileprivate func at(_ moment: Timestamp) -> TrainingJob.Status {
        var status = self
        for index in status.conditions.indices { status.conditions[index].lastTransitionTime = moment }
        return status
    }
}
