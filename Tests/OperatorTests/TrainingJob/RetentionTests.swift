import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime
@testable import Operator

/// When the machines go after a run's end, and what is said of a run that has left something in the bucket.
@Suite struct RetentionTests {
    /// Run 1 has ended at second 60 and still has its machines.
    private func ended(
        _ result: TrainingJob.RunResult = .failed, reason: Reason = .containerFailed, now: Timestamp = moment(61),
        _ change: (inout TrainingJob) -> Void = { _ in }
    ) -> TrainingJobObservation {
        trainingObservation(attemptJob(condition: "Failed"), pods: [attemptPod(phase: "Failed", exitCode: 1)], now: now)
        { job in
            job.status?.attempts[0].endTime = moment(60)
            job.status?.run?.result = result.rawValue
            job.status?.run?.reason = reason.rawValue
            job.status?.run?.completionTime = moment(60)
            job.spec.cleanup = .standard
            change(&job)
        }
    }

    private func retaining(_ job: inout TrainingJob) {
        job.spec.cleanup?.compute = .retain
        job.spec.cleanup?.retainSeconds = 600
    }

    private func situation(_ observation: TrainingJobObservation) -> String {
        let plan = TrainingJobPlan.plan(observation)
        let released = plan.status.conditions.first { $0.type == "ComputeReleased" }
        return "\(plan.status.state ?? "") \(released?.reason ?? "") \(plan.steps.count)"
    }

    @Test func `machines are retained for as long as the spec says, and then go`() {
        #expect(situation(ended(now: moment(61), retaining)) == "Retained ComputeRetained 0")
        #expect(situation(ended(now: moment(659), retaining)) == "Retained ComputeRetained 0")
        #expect(situation(ended(now: moment(660), retaining)) == "Releasing ReleasingCompute 1")
        #expect(situation(ended(now: moment(61))) == "Releasing ReleasingCompute 1")
    }

    @Test(arguments: [
        "suspended", "changed", "no budget left", "without nodes", "the clock was set back", "immediately",
    ])
    func `retained machines go at once when they help nobody or are not paid for`(why: String) {
        var observation = ended { job in
            retaining(&job)
            switch why {
            case "suspended": job.spec.suspend = true
            case "changed":
                job.spec.rerunToken = "2"
                job.metadata.generation = 2
            case "no budget left":
                job.spec.budget = .init(currencyCode: "USD", maxCost: "0.01", onExceeded: .checkpointAndSuspend)
            case "the clock was set back": job.status?.run?.completionTime = moment(90)
            case "immediately":
                job.spec.cleanup?.compute = .immediately
                job.spec.cleanup?.retainSeconds = nil
            default: break
            }
        }
        if why == "without nodes" { observation.nodes = [] }
        #expect(situation(observation) == "Releasing ReleasingCompute 1")
    }

    @Test func `pods of a retained run are stopped`() {
        var observation = ended(now: moment(70), retaining)
        observation.jobs = [attemptJob()]
        observation.pods = [attemptPod()]
        let plan = TrainingJobPlan.plan(observation)
        #expect(plan.status.state == "Retained")
        #expect(
            plan.steps.contains { if case .delete(let reference) = $0 { reference.type.kind == "Job" } else { false } })
    }

    @Test(arguments: [(TrainingJob.Cleanup.Compute.afterVerification, 0), (.immediately, 1)])
    func `a bucket that cannot be read holds machines only where the spec says so`(
        compute: TrainingJob.Cleanup.Compute, stepCount: Int
    ) {
        var job = trainingJob(status: succeededStatus())
        job.spec.cleanup = .standard
        job.spec.cleanup?.compute = compute
        var observation = trainingObservation(attemptJob(condition: "Complete"), pods: [], now: moment(61)) { $0 = job }
        observation.outputs = .unreadable(APIError(.unavailable, operation: "storage.objects.list", message: "503"))
        let plan = TrainingJobPlan.plan(observation)
        #expect(plan.steps.count == stepCount && plan.status.state == "Verifying")
    }

    // MARK: Partial outputs

    private let files = ["metrics.json": OutputFile(sizeBytes: 10, crc32c: "AAAAAA==", generation: 1)]

    private func verified(_ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> Condition? {
        plan.status.conditions.first { $0.type == "OutputsVerified" }
    }

    @Test(arguments: [Reason.containerFailed, .cancelled, .deadlineExceeded])
    func `what a run that ended early has left is recorded beside the release`(reason: Reason) {
        var observation = ended(reason: reason)
        observation.outputs = .found(files: files, documents: ["metrics.json": .json(["test_accuracy": [90]])])
        let plan = TrainingJobPlan.plan(observation)
        #expect(plan.steps.count == 1 && plan.status.state == "Releasing")
        #expect(plan.status.outputs?.verifiedCount == 1)
        #expect(plan.status.outputs?.files.map { $0.verified ?? false } == [true, false])
        #expect(verified(plan)?.reason == "PartialOutputs" && verified(plan)?.status == .false)
        #expect(plan.status.run?.reason == reason.rawValue)
    }

    @Test func `pods that still run may still write`() {
        var observation = ended()
        observation.jobs = [attemptJob()]
        observation.pods = [attemptPod()]
        observation.outputs = .found(files: files, documents: [:])
        #expect(TrainingJobPlan.plan(observation).status.outputs == nil)
    }

    @Test func `a bucket that cannot be read is waited for, and not for ever`() {
        var observation = ended(now: moment(100)) { $0.status?.resources = [] }
        observation.pools = []
        observation.nodes = []
        observation.outputs = .unreadable(APIError(.unavailable, operation: "storage.objects.list", message: "503"))
        let waiting = TrainingJobPlan.plan(observation)
        #expect(waiting.status.outputs == nil && waiting.next == .after(.seconds(2)))
        observation.now = moment(60 + 900 + 625)
        let plan = TrainingJobPlan.plan(observation)
        #expect(plan.status.outputs == TrainingJob.OutputsStatus() && plan.status.state == "Failed")
        #expect(verified(plan)?.message == "the run failed, and its outputs could not be read")
        observation.job.status = plan.status
        #expect(TrainingJobPlan.plan(observation).next == .whenChanged)
    }

    @Test func `a cancelled run says what is in the bucket`() async throws {
        let world = try await OperatorWorld { context in
            let write = PodResult.Step(after: .seconds(4)) {
                try? context.putObject((context.environment["ML_OUTPUT_URI"] ?? "") + "model.safetensors", [1, 2, 3])
            }
            return PodResult(
                exitCode: 0, after: .seconds(100_000), steps: [write],
                onTerminate: .init(exitCode: 75, after: .seconds(2)))
        }
        try await world.create()
        try await world.run { $0?.status?.state == "Training" }
        try await world.pass(seconds: 10)
        let id = try #require(try await world.job()?.status?.run?.id)
        try await world.patch(["metadata": ["annotations": [Ownership.cancelAnnotation: .string(id)]]])
        try await world.run { $0?.isOver == true && $0?.status?.outputs != nil }
        let status = try #require(try await world.job()?.status)
        #expect(status.outputs?.files.first { $0.path == "model.safetensors" }?.verified == true)
        #expect(status.conditions.first { $0.type == "OutputsVerified" }?.reason == "PartialOutputs")
        #expect(world.world.computeResources() == [])
    }
}
