import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime
@testable import Operator

/// A spec that was trained is not trained again, whatever became of the object's status.
@Suite struct CompletionMarkerTests {
    private static let place = "gs://runs-bucket/.trainyard/completed/ml/mnist/v1-"

    private func earlier() -> CompletionMarker? {
        var status = status()
        status.run?.id = "mnist-99999-r4"
        status.run?.prefix = "gs://runs-bucket/runs/mnist-99999-r4/"
        status.run?.completionTime = moment(-86_400)
        status.outputs = TrainingJob.OutputsStatus()
        status.outputs?.count = 2
        status.outputs?.verifiedCount = 2
        return CompletionMarker(of: status, namespace: "ml", name: "mnist")
    }

    /// Run 1 was recorded, and nothing else was done.
    private func first(_ marker: MarkerObservation, now: Timestamp = start, number: Int = 1) -> TrainingJobObservation {
        var run = run(number: number)
        run.image = nil
        run.prefix = nil
        run.checkpointPrefix = nil
        run.inputs = []
        var result = observation(trainingJob(status: status(run: run)), now: now)
        result.artifacts = ["dataset": readyArtifact("gs://data-bucket/"), "runs": readyArtifact("gs://runs-bucket/")]
        result.marker = marker
        return result
    }

    /// Run 1 has succeeded and holds nothing.
    private func succeeded(_ marker: MarkerObservation, now: Timestamp = moment(61)) -> TrainingJobObservation {
        var status = succeededStatus()
        status.resources = []
        status.run?.result = "Succeeded"
        status.run?.reason = "Succeeded"
        status.run?.completionTime = moment(60)
        var observation = observation(trainingJob(status: status), now: now)
        let pending = TrainingJobMarker.pending(observation)
        observation.job.status?.run?.marker = pending
        observation.marker = marker
        return observation
    }

    private func conditions(_ plan: Plan<TrainingJob.Status, TrainingJobAction>) -> [String] {
        plan.status.conditions.map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" }
    }

    @Test func `a marker of this spec completes the first run before anything is made`() throws {
        let plan = TrainingJobPlan.plan(first(.found(try #require(earlier()), generation: 7)))
        #expect(plan.steps == [])
        #expect(
            conditions(plan) == [
                "Complete=True/AlreadyComplete", "ComputeReleased=True/NothingCreated",
                "OutputsVerified=True/AlreadyComplete", "Ready=True/AlreadyComplete",
            ])
        let run = try #require(plan.status.run)
        #expect(run.completedBy == "mnist-99999-r4" && run.prefix == "gs://runs-bucket/runs/mnist-99999-r4/")
        #expect(run.completionTime == moment(-86_400) && run.marker?.state == "Written")
        #expect(plan.status.outputs?.verifiedCount == 2)
        #expect(plan.events.map(\.reason) == ["AlreadyComplete"])
    }

    @Test func `what was adopted stays as it is`() throws {
        var observation = first(.found(try #require(earlier()), generation: 7))
        observation.job.status = TrainingJobPlan.plan(observation).status
        let again = TrainingJobPlan.plan(observation)
        #expect(again.status == observation.job.status && again.steps == [] && again.next == .whenChanged)
    }

    @Test func `a later run of an object that knows its runs asks nobody`() throws {
        let plan = TrainingJobPlan.plan(first(.found(try #require(earlier()), generation: 7), number: 2))
        #expect(plan.status.run?.result == nil && plan.status.run?.image != nil)
    }

    @Test(arguments: [
        ("soon", 10, "Pending", "StorageUnavailable", APIError.Code.unavailable),
        ("forbidden", 10, "Pending", "PermissionDenied", .forbidden),
        ("for long", 301, "Stalled", "StorageUnavailable", .unavailable),
    ])
    func `while nobody can read it nothing is bought`(
        name: String, seconds: Int, state: String, reason: String, code: APIError.Code
    ) {
        let error = APIError(code, operation: "storage.objects.get", message: "no answer")
        let plan = TrainingJobPlan.plan(first(.unreadable(error), now: moment(seconds)))
        #expect(plan.steps == [] && plan.status.run?.result == nil && plan.status.state == state)
        let ready = plan.status.conditions.first { $0.type == "Ready" }
        #expect(ready?.reason == reason && ready?.message.contains("no answer") == true)
        #expect(plan.next != .whenChanged)
    }

    @Test func `what is no marker stops the run with the object's name`() {
        let bytes = Array(#"{"namespace":"ml"}"#.utf8)
        let read = MarkerObservation(bytes, generation: 3, namespace: "ml", name: "mnist", specHash: "v1:sha256:0")
        let plan = TrainingJobPlan.plan(first(read))
        let ready = plan.status.conditions.first { $0.type == "Ready" }
        #expect(ready?.reason == "MarkerUnreadable" && ready?.message.contains(Self.place) == true)
        #expect(plan.status.state == "Stalled" && plan.steps == [])
    }

    @Test func `a marker of another object or spec is none`() throws {
        let marker = try #require(earlier())
        let bytes = try JSONValue(encoding: marker).serialized()
        func read(_ name: String, _ hash: String) -> MarkerObservation {
            MarkerObservation(bytes, generation: 3, namespace: "ml", name: name, specHash: hash)
        }
        #expect(read("mnist", marker.specHash) == .found(marker, generation: 3))
        let other = MarkerObservation.unusable("it is of another object or spec", generation: 3)
        #expect(read("cifar", marker.specHash) == other && read("mnist", "v1:sha256:0") == other)
    }

    @Test func `a success writes its marker last, and says when it is there`() throws {
        let absent = succeeded(.absent)
        let plan = TrainingJobPlan.plan(absent)
        guard case .cloud(.writeObject(let write)) = try #require(plan.steps.last) else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(write.place.description.hasPrefix(Self.place) && write.generation == 0)
        let marker = try JSONValue(parsing: write.text).decode(CompletionMarker.self)
        #expect(marker.runID == run().id && plan.status.state == "Complete")
        let there = TrainingJobPlan.plan(succeeded(.found(marker, generation: 5)))
        #expect(there.steps == [] && there.status.run?.marker?.state == "Written")
    }

    @Test func `an older marker is replaced, and no other`() throws {
        let plan = TrainingJobPlan.plan(succeeded(.found(try #require(earlier()), generation: 41)))
        guard case .cloud(.writeObject(let write)) = try #require(plan.steps.last) else {
            Issue.record("\(plan.steps)")
            return
        }
        #expect(write.generation == 41 && write.text.contains(run().id))
    }

    @Test func `a refused marker is tried again for a while, then the object says that there is none`() {
        let error = APIError(.forbidden, operation: "storage.objects.insert", message: "storage.objects.create denied")
        var early = succeeded(.absent, now: moment(80))
        early.markerRefusal = MarkerRefusal(error: error, time: moment(70))
        let waiting = TrainingJobPlan.plan(early)
        #expect(waiting.steps == [] && waiting.next == .after(TrainingJobMarker.retryInterval))
        early.markerRefusal?.time = moment(50)
        #expect(TrainingJobPlan.plan(early).steps.count == 1)
        var late = succeeded(.absent, now: moment(361))
        late.markerRefusal = MarkerRefusal(error: error, time: moment(350))
        let plan = TrainingJobPlan.plan(late)
        #expect(plan.steps == [] && plan.status.run?.marker?.state == "Failed" && plan.status.state == "Complete")
        let complete = plan.status.conditions.first { $0.type == "Complete" }
        #expect(complete?.message.contains("storage.objects.create denied") == true)
    }

    @Test func `the next run waits for the marker of the last`() {
        var observation = succeeded(.absent)
        observation.job.spec.rerunToken = "again"
        observation.job.metadata.generation = 2
        let plan = TrainingJobPlan.plan(observation)
        #expect(plan.status.run?.number == 1 && plan.steps.count == 1)
        observation.job.status?.run?.marker?.state = "Written"
        #expect(TrainingJobPlan.plan(observation).steps != plan.steps)
    }

    @Test func `a marker whose outputs are gone completes nothing`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        try await world.create()
        try await world.run { $0?.status?.run?.marker?.state == "Written" && $0?.isOver == true }
        let run = try #require(try await world.job()?.status?.run)
        let createCount = world.createCount
        try await world.delete()
        try await world.run { $0 == nil }
        let prefix = try #require(run.prefix)
        let model = try #require(StorageURI(prefix)?.appending("model.safetensors"))
        let bytes = try #require(try world.world.cloud.readObject(bucket: model.bucket, name: model.path))
        try world.world.cloud.putObject(bucket: model.bucket, name: model.path, bytes: bytes + [1])
        try await world.create()
        try await world.run { $0?.readyReason == "MarkerUnreadable" }
        let message = try await world.job()?.status?.conditions.first(ofType: "Ready")?.message
        #expect(message?.contains("\(model) is not there any more") == true)
        #expect(world.createCount == createCount)
        try world.world.cloud.putObject(bucket: model.bucket, name: model.path, bytes: bytes)
        try await world.run { $0?.readyReason == "AlreadyComplete" }
        #expect(world.createCount == createCount)
    }

    @Test func `an object that is made again does not train the same spec twice`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        try await world.create()
        try await world.run { $0?.status?.run?.marker?.state == "Written" && $0?.isOver == true }
        let first = try #require(try await world.job()?.status)
        let createCount = world.createCount
        try await world.delete()
        try await world.run { $0 == nil }
        try await world.create()
        try await world.run { $0?.readyReason == "AlreadyComplete" }
        let second = try #require(try await world.job()?.status)
        #expect(world.createCount == createCount)
        #expect(second.run?.completedBy == first.run?.id && second.run?.prefix == first.run?.prefix)
        #expect(second.outputs == first.outputs && second.trainerStatus?.metrics == first.trainerStatus?.metrics)
        try await world.patch(["spec": ["rerunToken": "again"]])
        try await world.run { $0?.status?.run?.number == 2 && $0?.isOver == true }
        #expect(world.createCount > createCount)
    }
}
