import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime
@testable import Operator

/// The controller in its loop against the simulated world: API server with the operator's role, GKE, nodes, buckets.
@Suite struct TrainingJobSandboxTests {
    @Test func `a job trains on the second candidate, is verified and leaves nothing`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        try await world.create()
        try await world.run { $0?.isOver == true }
        let job = try #require(try await world.job())
        let status = try #require(job.status)
        #expect(status.run?.reason == "Succeeded")
        #expect(job.isTrue("Ready") && job.isTrue("Complete") && job.isTrue("OutputsVerified"))
        #expect(world.world.computeResources() == [])
        #expect(world.createCount == 2)
        #expect(
            status.capacity?.attempts.map { "\($0.candidate) \($0.zone ?? "") \($0.result)" } == [
                "spot us-central1-a StockedOut", "spot us-central1-b Acquired",
            ])
        #expect(status.outputs?.verifiedCount == 2)
        #expect(status.trainerStatus?.rate == "1012 images/s")
        #expect(status.trainerStatus?.metrics.first { $0.name == "test_accuracy" }?.value == "86.71")
        #expect(status.cost?.accrued != "0.00")
        #expect(status.cost?.hourlyRate == nil)
        #expect(job.metadata.finalizers == [Ownership.finalizer])
    }

    @Test func `a finished job is left in peace`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        try await world.create()
        try await world.run { $0?.isOver == true }
        let count = world.faults.count
        let version = try await world.job()?.metadata.resourceVersion
        world.restart()
        try await world.pass(seconds: 700)
        #expect(world.faults.count == count)
        #expect(try await world.job()?.metadata.resourceVersion == version)
    }

    @Test(arguments: [("OutputMissing", false), ("AssertionFailed", true)])
    func `outputs that are not as declared end the run as failed, and release`(
        reason: String, writes: Bool
    ) async throws {
        let program = Trainers.succeeding(accuracy: 60)
        let world = try await OperatorWorld { context in
            writes ? await program(context) : PodResult(exitCode: 0, after: .seconds(2))
        }
        try await world.create()
        try await world.run { $0?.isOver == true }
        let job = try #require(try await world.job())
        #expect(job.readyReason == reason)
        #expect(job.isTrue("Failed") && job.isTrue("Stalled"))
        #expect(world.world.computeResources() == [])
    }

    @Test func `a failure is tried again, bad data is not`() async throws {
        let world = try await OperatorWorld(program: Trainers.scripted([1, 65]))
        try await world.create()
        try await world.run { $0?.isOver == true }
        let status = try #require(try await world.job()?.status)
        #expect(status.run?.reason == "ContainerFailed")
        #expect(status.attempts.map(\.exitCode) == [1, 65])
        #expect(status.lastFailure?.exitCode == 65)
        #expect(world.createCount == 2)
        #expect(world.world.computeResources() == [])
    }

    @Test func `a reclaimed machine does not count, and the run goes on elsewhere`() async throws {
        let world = try await OperatorWorld(stockouts: [], program: Trainers.interrupted())
        try await world.create { $0.failurePolicy = .init(maxRestarts: 0) }
        try await world.run { $0?.status?.state == "Training" }
        try await world.pass(seconds: 20)
        let instance = try #require(world.world.cloud.nodePools().first?.instances.first)
        #expect(world.world.cloud.preempt(instance: instance.name))
        try await world.run { $0?.isOver == true }
        let status = try #require(try await world.job()?.status)
        #expect(status.run?.reason == "Succeeded")
        #expect(status.attempts.map(\.cause) == ["Preempted", "Succeeded"])
        #expect(status.restarts == 1)
        #expect(status.restartsCountTowardsMax == 0)
        #expect(world.createCount == 2)
        #expect(world.world.computeResources() == [])
    }

    @Test func `deleting it in the middle leaves nothing`() async throws {
        let world = try await OperatorWorld { _ in PodResult(exitCode: 0, after: .seconds(10_000)) }
        try await world.create()
        try await world.run { $0?.status?.state == "Training" }
        try await world.delete()
        try await world.run { $0 == nil }
        #expect(world.world.computeResources() == [])
    }

    @Test func `suspended, it releases and later resumes the same run`() async throws {
        let world = try await OperatorWorld(stockouts: [], program: Trainers.succeeding())
        try await world.create()
        try await world.run { $0?.status?.state == "Training" }
        try await world.patch(["spec": ["suspend": true]])
        try await world.run { $0?.isTrue("Suspended") == true }
        #expect(world.world.computeResources() == [])
        #expect(try await world.job()?.isTrue("ComputeReleased") == true)
        try await world.patch(["spec": ["suspend": false]])
        try await world.run { $0?.isOver == true }
        let status = try #require(try await world.job()?.status)
        #expect(status.run?.number == 1)
        #expect(status.run?.reason == "Succeeded")
        #expect(status.attempts.map(\.cause) == ["Suspended", "Succeeded"])
    }

    @Test func `an unknown image is said, and ends the run after the grace time`() async throws {
        let world = try await OperatorWorld(stockouts: [], program: Trainers.succeeding())
        try await world.create { $0.trainer?.image = "nobody/knows:this" }
        try await world.run(for: 400) { $0?.isOver == true }
        #expect(try await world.job()?.readyReason == "ImagePullFailed")
        #expect(world.world.computeResources() == [])
    }

    /// More than a run of the example has; what is beyond its last change crashes nothing.
    private static let changeCount = 44

    @Test func `the crash test covers every change of a run`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        try await world.create()
        try await world.run { $0?.isOver == true }
        #expect(world.faults.count > 15)
        #expect(world.faults.count <= Self.changeCount, "\(world.faults.log)")
    }

    // Dying before a change is dying after the one before it: nothing but reads lies between.
    @Test(arguments: [RequestFaults.Crash.before(0)] + (0..<changeCount).map { .after($0) })
    func `killed at any change, it ends the same with one create per candidate`(crash: RequestFaults.Crash) async throws
    {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        world.faults.plan(crash)
        try await world.create()
        try await world.run { $0?.isOver == true }
        let status = try #require(try await world.job()?.status)
        #expect(status.run?.reason == "Succeeded")
        #expect(world.createCount == 2)
        #expect(world.world.computeResources() == [])
        #expect(status.attemptCount == 1)
    }
}
