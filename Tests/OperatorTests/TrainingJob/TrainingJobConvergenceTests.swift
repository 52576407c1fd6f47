import ControllerRuntime
import Encoding
import Kubernetes
import Testing

@testable import Operator

/// From every start state, with a crash after every action and with a stale read in every round: the same end, the same
/// creates, nothing left.
@Suite struct TrainingJobConvergenceTests {
    /// A story: the object, how its pods end, and what comes of it.
    struct Story: Sendable, CustomTestStringConvertible {
        var name: String
        var make: @Sendable () -> PlanWorld
        var reason: String
        /// Creates in all, over the candidates tried.
        var createCount: Int
        var testDescription: String { name }
    }

    static let stories: [Story] = [
        Story(
            name: "spot is stocked out in zone a, zone b trains",
            make: { PlanWorld(trainingJob()) }, reason: "Succeeded", createCount: 2),
        Story(
            name: "an output is missing",
            make: {
                var world = PlanWorld(trainingJob())
                world.filesArePresent = false
                return world
            }, reason: "OutputMissing", createCount: 2),
        Story(
            name: "the accuracy is too low",
            make: {
                var world = PlanWorld(trainingJob())
                world.accuracy = 60
                return world
            }, reason: "AssertionFailed", createCount: 2),
        Story(
            name: "bad data ends the run at once",
            make: { PlanWorld(trainingJob(), scripts: [.exit(65)]) }, reason: "ContainerFailed", createCount: 2),
        Story(
            name: "a failure is tried again on the same machines",
            make: { PlanWorld(trainingJob(), scripts: [.exit(1), .exit(70)]) }, reason: "Succeeded", createCount: 2),
        Story(
            name: "failures beyond the limit",
            make: {
                PlanWorld(
                    trainingJob { $0.failurePolicy = .init(maxRestarts: 1) }, scripts: [.exit(1), .exit(1), .exit(1)])
            }, reason: "RestartLimitExceeded", createCount: 2),
        Story(
            name: "the budget ends the run",
            make: {
                PlanWorld(
                    trainingJob { $0.budget = .init(currencyCode: "USD", maxCost: "0.05", onExceeded: .fail) },
                    scripts: [.runForever])
            }, reason: "BudgetExceeded", createCount: 2),
        Story(
            name: "the machine is taken away: new machines, nothing counted",
            make: {
                PlanWorld(trainingJob { $0.failurePolicy = .init(maxRestarts: 0) }, scripts: [.disrupt, .succeed])
            }, reason: "Succeeded", createCount: 4),
    ]

    @Test(arguments: stories)
    func `reaches its end and stays there`(story: Story) async throws {
        var world = story.make()
        await world.expectSettled()
        let status = try #require(world.job.status)
        #expect(status.run?.reason == story.reason)
        #expect(world.createCounts.values.reduce(0, +) == story.createCount)
        #expect(world.createCounts == world.deleteCounts)
        #expect(world.pools.isEmpty)
        #expect(status.resources.isEmpty)
        let writes = world.statusWriteCount
        let actions = world.actionCount
        world.now = world.now + .seconds(3600)
        await world.expectSettled()
        #expect(world.statusWriteCount == writes)
        #expect(world.actionCount == actions)
    }

    @Test(arguments: stories)
    func `a crash after any action changes nothing in the end`(story: Story) async throws {
        var reference = story.make()
        await reference.expectSettled()
        for crash in 0..<reference.actionCount {
            var world = story.make()
            await world.expectSettled(crashAt: crash)
            #expect(timeless(world.job.status) == timeless(reference.job.status), "crash at \(crash)")
            #expect(world.createCounts == reference.createCounts, "crash at \(crash)")
            #expect(world.pools.isEmpty, "crash at \(crash)")
        }
    }

    @Test(arguments: stories)
    func `a stale read in any round changes nothing in the end`(story: Story) async throws {
        var reference = story.make()
        await reference.expectSettled()
        for round in 1..<60 {
            var world = story.make()
            await world.expectSettled(staleAt: round)
            #expect(timeless(world.job.status) == timeless(reference.job.status), "stale in round \(round)")
            #expect(world.createCounts == reference.createCounts, "stale in round \(round)")
        }
    }

    @Test(arguments: 0..<40)
    func `deleted after any number of actions, nothing is left`(count: Int) async {
        var world = PlanWorld(trainingJob(), scripts: [.runForever])
        _ = await world.settle(crashAt: count, maximumRounds: count)
        world.job.metadata.deletionTimestamp = world.now
        await world.expectSettled()
        #expect(world.isFinalized)
        #expect(world.pools.isEmpty)
    }

    @Test(arguments: 0..<40)
    func `suspended after any number of rounds, everything is released, and the same run goes on`(count: Int)
        async throws
    {
        var world = PlanWorld(trainingJob())
        _ = await world.settle(maximumRounds: count)
        let isOver = world.job.status?.run?.result != nil
        world.job.spec.suspend = true
        world.job.metadata.generation = 2
        await world.expectSettled()
        #expect(world.pools.isEmpty)
        #expect(world.job.status?.resources == [])
        let id = world.job.status?.run?.id
        if !isOver, world.job.status?.run?.result == nil {
            #expect(world.job.status?.conditions.isTrue("Suspended") == true)
        }
        world.job.spec.suspend = false
        world.job.metadata.generation = 3
        await world.expectSettled()
        #expect(world.job.status?.run?.reason == "Succeeded")
        if let id { #expect(world.job.status?.run?.id == id) }
        #expect(world.pools.isEmpty)
    }

    @Test func `a changed spec after the end makes a new run, the same spec none`() async throws {
        var world = PlanWorld(trainingJob())
        await world.expectSettled()
        world.job.metadata.generation = 2
        world.job.spec.failurePolicy = .init(maxRestarts: 7)  // Live: no new run.
        await world.expectSettled()
        #expect(world.job.status?.run?.number == 1)
        world.job.metadata.generation = 3
        world.job.spec.rerunToken = "again"
        await world.expectSettled()
        let status = try #require(world.job.status)
        #expect(status.run?.number == 2)
        #expect(status.run?.reason == "Succeeded")
        #expect(status.runs.map(\.number) == [1])
        #expect(world.pools.isEmpty)
    }

    @Test func `a change during a run waits for its end`() async throws {
        var world = PlanWorld(trainingJob())
        _ = await world.settle(maximumRounds: 12)
        #expect(world.job.status?.run?.result == nil)
        world.job.metadata.generation = 2
        world.job.spec.trainer?.hyperparameters = ["epochs": "3"]
        await world.expectSettled()
        #expect(world.history.contains { $0.pendingRun?.generation == 2 })
        let status = try #require(world.job.status)
        #expect(status.run?.number == 2)
        #expect(status.pendingRun == nil)
    }

    @Test func `an edit while suspended supersedes the run`() async throws {
        var world = PlanWorld(trainingJob(), scripts: [.runForever])
        _ = await world.settle(maximumRounds: 30)
        world.job.spec.suspend = true
        world.job.metadata.generation = 2
        await world.expectSettled()
        world.job.spec.rerunToken = "other"
        world.job.metadata.generation = 3
        await world.expectSettled()
        #expect(world.job.status?.run?.reason == "Superseded")
        #expect(world.job.status?.conditions.isTrue("Ready") == true)
        world.job.spec.suspend = false
        world.scripts = [.succeed]
        await world.expectSettled()
        #expect(world.job.status?.run?.number == 2)
    }

    /// Without what depends on when things happened and how often they were tried.
    private func timeless(_ status: TrainingJob.Status?) -> TrainingJob.Status? {
        guard var status else { return nil }
        status.conditions = status.conditions.map { condition in
            var condition = condition
            condition.lastTransitionTime = start
            return condition
        }
        status.cost = nil
        status.run?.startTime = nil
        status.run?.completionTime = nil
        status.run?.activeSeconds = nil
        status.lastFailure?.time = nil
        status.lastFailure?.logURL = nil
        status.attempts = status.attempts.map { attempt in
            var attempt = attempt
            attempt.startTime = nil
            attempt.endTime = nil
            attempt.cost = nil
            return attempt
        }
        status.capacity?.startTime = nil
        let tries = status.capacity?.attempts ?? []
        status.capacity?.attempts = tries.map { attempt in
            var attempt = attempt
            attempt.firstTime = nil
            attempt.lastTime = nil
            return attempt
        }
        return status
    }
}
