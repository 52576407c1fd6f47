import GoogleCloud
import ControllerRuntime
import Encoding
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// Stories of money and time through the real loop over the simulated world.
@Suite(.timeLimit(.minutes(5))) struct TrainingJobMoneyTests {
    private func world(
        _ program: @escaping @Sendable (PodContext) async -> PodResult
    ) async throws -> OperatorWorld {
        try await OperatorWorld(stockouts: [], program: program)
    }

    @Test func `a budget stops the run with a checkpoint, and a higher one lets it go on from there`() async throws {
        let world = try await world(Trainers.checkpointing())
        try await world.create {
            $0.budget = .init(currencyCode: "USD", maxCost: "0.05", onExceeded: .checkpointAndSuspend)
        }
        try await world.run(for: 900) { $0?.readyReason == "BudgetExceeded" && $0?.isTrue("Stalled") == true }
        let stopped = try #require(try await world.job()?.status)
        #expect(stopped.conditions.isTrue("Suspended"))
        #expect(stopped.conditions.isTrue("ComputeReleased"))
        #expect(stopped.resources == [])
        #expect(stopped.attempts.map(\.cause) == ["BudgetExceeded"])
        #expect(stopped.checkpoint?.latest?.step == 150)
        #expect(stopped.checkpoint?.exposureSeconds == nil)
        #expect(stopped.restarts == nil)
        let spent = try #require(stopped.cost?.accrued.flatMap { Money(decimal: $0) })
        #expect(spent < Money(microdollars: 50_000), "the release was paid for too")
        #expect(spent > Money(microdollars: 14_000))
        #expect(stopped.attempts.first?.cost.flatMap { Money(decimal: $0) } ?? .zero <= spent)
        try await world.pass(seconds: 120)
        #expect(world.createCount == 1, "nothing is bought while it is stopped")
        try await world.patch(["spec": ["budget": ["maxCost": "5.00"]]])
        try await world.run(for: 900) { $0?.isOver == true }
        let end = try #require(try await world.job()?.status)
        #expect(end.run?.id == stopped.run?.id)
        #expect(end.run?.result == "Succeeded")
        #expect(end.attempts.last?.fromStep == 150)
        #expect(end.cost?.accrued.flatMap { Money(decimal: $0) } ?? .zero > spent, "the run's cost goes on")
        #expect(end.conditions.isTrue("WithinBudget"))
    }

    @Test func `an operator that was away while the budget ran out stops the run when it is back`() async throws {
        let world = try await world(Trainers.checkpointing())
        try await world.create {
            $0.budget = .init(currencyCode: "USD", maxCost: "1.00", onExceeded: .checkpointAndSuspend)
        }
        try await world.run { $0?.status?.cost?.hourlyRate != nil && $0?.status?.state == "Training" }
        let pool = try #require(world.world.cloud.nodePools().first)
        let limit = try #require(pool.config["maxRunDuration"]?.stringValue.flatMap { Int($0.dropLast()) })
        #expect((9000...9060).contains(limit), "Compute Engine would have ended it")
        world.clock.advance(by: .seconds(3 * 3600))
        world.restart()
        try await world.run(for: 900) { $0?.readyReason == "BudgetExceeded" && $0?.isTrue("ComputeReleased") == true }
        #expect(world.world.cloud.nodePools().isEmpty)
    }

    @Test func `a hang is found, its log is kept, and the run resumes on other machines`() async throws {
        let world = try await world(Trainers.hanging())
        try await world.create { $0.progress = .init(stallDeadlineSeconds: 60) }
        try await world.run(for: 900) { $0?.status?.restarts == 1 }
        let failure = try #require(try await world.job()?.status?.lastFailure)
        #expect(failure.reason == "StepStalled")
        #expect(failure.message?.contains("step 100 of 200") == true)
        #expect(failure.message?.contains("waiting for a peer that is gone") == true)
        #expect(failure.node != nil)
        try await world.run(for: 900) { $0?.isOver == true }
        let end = try #require(try await world.job()?.status)
        #expect(end.run?.result == "Succeeded")
        #expect(end.attempts.map(\.cause) == ["StepStalled", "Succeeded"])
        #expect(end.restartsCountTowardsMax == 1)
        #expect(end.attempts.last?.fromStep == 100)
        #expect(world.createCount == 2, "the pool was replaced")
    }

    @Test func `without a deadline nobody looks for a hang`() async throws {
        let world = try await world(Trainers.hanging())
        try await world.create()
        try await world.run { $0?.status?.trainerStatus?.step == 100 }
        try await world.pass(seconds: 600)
        #expect(try await world.job()?.status?.restarts == nil)
        #expect(try await world.job()?.status?.checkpoint?.exposureSeconds ?? 0 > 500)
    }

    // MARK: Plan

    @Test func `a plan says everything and touches nothing`() async throws {
        let world = try await world(Trainers.succeeding())
        try await world.create { spec in
            spec.mode = .plan
            spec.runtimeLimitSeconds = 3600
        }
        try await world.run { $0?.readyReason == "Planned" }
        let changes = world.faults.log
        #expect(changes == ["PATCH /apis/trainyard.dev/v1alpha1/namespaces/ml/trainingjobs/mnist/status"])
        let job = try #require(try await world.job())
        #expect(job.metadata.finalizers ?? [] == [])
        #expect(job.isTrue("Ready"))
        #expect(job.isTrue("ComputeReleased"))
        #expect(job.status?.run == nil)
        #expect(job.status?.resources == [])
        let plan = try #require(job.status?.plan)
        let names = plan.candidates.map { "\($0.name) \($0.zone ?? "") \($0.machineType ?? "") \($0.hourlyCost ?? "")" }
        #expect(
            names == [
                "spot us-central1-a g2-standard-4 0.397336", "spot us-central1-b g2-standard-4 0.397336",
                "on-demand us-central1-a g2-standard-4 0.706832",
            ])
        #expect(plan.maxCost == "0.88354")
        #expect(plan.problems == [])
        #expect(
            plan.summary
                == "3 candidates, first spot in us-central1-a (1 × g2-standard-4, $0.40 an hour); at most $0.88; "
                + "nothing stands in the way")
        #expect(
            plan.objects.map { $0.prefix { $0 != " " } }.prefix(4) == [
                "ControllerRevision", "Service", "Job", "NodePool",
            ])
        try await world.pass(seconds: 1300)
        #expect(world.faults.log == changes, "a plan that stays the same is not written again")
        #expect(world.createCount == 0)
        try await world.delete()
        #expect(try await world.job() == nil, "nothing holds it")
    }

    @Test func `a plan names what would stop the run`() async throws {
        let world = try await world(Trainers.succeeding())
        try await world.create { spec in
            spec.mode = .plan
            spec.inputs = [.init(name: "data", artifactRef: .init(name: "missing"), mode: .stream)]
            spec.accelerator?.gpu = .init(type: "nvidia-b200", count: 8, driverVersion: "Default")
            spec.capacity?.candidates = [.init(name: "spot", provisioningModel: .spot, zones: ["us-central1-b"])]
            spec.budget = .init(currencyCode: "USD", maxCost: "10", onExceeded: .fail)
            spec.suspend = true
        }
        try await world.run { $0?.readyReason == "Planned" }
        let plan = try #require(try await world.job()?.status?.plan)
        #expect(plan.problems.count == 3)
        #expect(plan.problems.first == "GCSArtifact missing does not exist")
        #expect(plan.problems.contains { $0.contains("has no list price") })
        #expect(plan.problems.last?.contains("spec.suspend is true") == true)
        #expect(plan.candidates.map(\.verdict) == ["PriceUnknown"])
    }

    @Test func `from Plan to Apply the run starts, and there is no way back`() async throws {
        let world = try await world(Trainers.succeeding())
        try await world.create { $0.mode = .plan }
        try await world.run { $0?.readyReason == "Planned" }
        try await world.patch(["spec": ["mode": "Apply"]])
        try await world.run { $0?.isOver == true }
        let job = try #require(try await world.job())
        #expect(job.status?.run?.result == "Succeeded")
        #expect(job.status?.plan == nil)
        #expect(job.metadata.finalizers == [Ownership.finalizer])
        await #expect(throws: (any Error).self) { try await world.patch(["spec": ["mode": "Plan"]]) }
    }

    @Test func `machines that a lost run left are released before a plan is made`() {
        var seen = observation(trainingJob { $0.mode = .plan }, now: moment(10))
        seen.job.status = TrainingJob.Status()
        seen.pools = [nodePool(poolName("spot", "us-central1-b"))]
        let plan = TrainingJobPlan.plan(seen)
        #expect(plan.steps.count == 1)
        #expect(plan.status.plan == nil)
        #expect(plan.status.conditions.first { $0.type == "Ready" }?.status == .false)
    }
}
