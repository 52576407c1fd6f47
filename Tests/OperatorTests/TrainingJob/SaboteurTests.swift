import ControllerRuntime
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Telemetry
import Testing

@testable import Operator

/// Somebody deletes each node pool as it becomes ready: the operator must not buy machines without end.
@Suite(.timeLimit(.minutes(5))) struct SaboteurTests {
    @Test func `pools that are deleted as they become ready are made again a few times only`() async throws {
        let world = try await OperatorWorld(stockouts: []) { _ in
            PodResult(exitCode: 0, after: .seconds(100_000), onTerminate: .init(exitCode: 75, after: .seconds(2)))
        }
        try await world.create()
        let cluster = try #require(ClusterName("projects/sandbox-project/locations/us-central1/clusters/sandbox"))
        let container = ContainerClient(
            GoogleCloudClient(transport: HandlerTransport(world.world), tokens: NoTokens(), clock: world.clock))
        /// Two seconds at a time.
        func pass(minutes: Int) async throws {
            for _ in 0..<(minutes * 30) {
                let isTraining = try await world.job()?.status?.state == "Training"
                for pool in world.world.cloud.nodePools() where pool.status == "RUNNING" && isTraining {
                    // Busy: the next time.
                    _ = try? await container.deleteNodePool(pool.name, in: cluster)
                }
                try await world.pass(seconds: 2)
            }
        }
        try await pass(minutes: 45)
        let budget = TrainingJobCapacity.recreateBudget
        let creates = world.createCount
        #expect((budget...budget + 1).contains(creates), "\(creates)")
        let job = try #require(try await world.job())
        let ready = job.status?.conditions.first(ofType: "Ready")
        #expect(ready?.reason == "RecreateBudgetExceeded", "\(String(describing: ready))")
        #expect(job.isTrue("Stalled"))
        #expect(job.isTrue("ComputeReleased"))
        #expect(job.status?.run?.result == nil)
        #expect(ready?.message.contains("the next try is at") == true)
        // One more an hour, and the run goes on once nobody takes its machines away.
        try await pass(minutes: 60)
        #expect((creates + 1...creates + 2).contains(world.createCount), "\(world.createCount)")
        for _ in 0..<70 where try await world.job()?.status?.state != "Training" { try await world.pass(seconds: 60) }
        try await world.pass(seconds: 120)
        #expect(try await world.job()?.status?.state == "Training")
    }

    /// Losses of an attempt's machines and pools that vanished before their nodes were ready count together, from the last
    /// attempt that kept its machines.
    @Test(arguments: [
        (lost: 6, vanished: 0, secondsLater: 10, isOver: true), (lost: 5, vanished: 0, secondsLater: 10, isOver: false),
        (lost: 0, vanished: 6, secondsLater: 10, isOver: true), (lost: 3, vanished: 3, secondsLater: 10, isOver: true),
        (lost: 0, vanished: 5, secondsLater: 10, isOver: false),
        (lost: 6, vanished: 0, secondsLater: 3599, isOver: true),
        (lost: 6, vanished: 0, secondsLater: 3600, isOver: false),
        (lost: 6, vanished: 0, secondsLater: -10, isOver: false),
    ])
    func `the budget is six in a row, then one try an hour`(
        lost: Int, vanished: Int, secondsLater: Int, isOver: Bool
    ) {
        var status = TrainingJob.Status()
        // One that trained for an hour does not count, nor what came before it.
        var long = TrainingJob.Attempt(number: 1)
        (long.startTime, long.endTime, long.cause) = (moment(0), moment(3600), Reason.preempted.rawValue)
        status.attempts = [long]
        for number in 0..<lost {
            var attempt = TrainingJob.Attempt(number: number + 2)
            attempt.startTime = moment(10_000 - 60 * (lost - number))
            attempt.endTime = moment(10_000 - 60 * (lost - number) + 60)
            attempt.cause = Reason.nodeUnhealthy.rawValue
            status.attempts.append(attempt)
        }
        var capacity = TrainingJob.CapacityStatus()
        capacity.attempts = [
            .init(
                candidate: "old", result: Reason.capacityUnavailable.rawValue,
                code: TrainingJobCapacity.vanishedCode, count: 9, lastTime: moment(3000)),
            .init(
                candidate: "spot", result: Reason.capacityUnavailable.rawValue,
                code: TrainingJobCapacity.vanishedCode, count: vanished, lastTime: moment(10_000)),
        ]
        status.capacity = capacity
        let seen = observation(trainingJob(status: status), now: moment(10_000 + secondsLater))
        let budget = TrainingJobCapacity.recreateBudgetEnd(seen)
        #expect((budget != nil) == isOver)
        if let budget {
            #expect(budget.lostCount == lost + vanished)
            #expect(budget.end == moment(13_600))
        }
    }
}
