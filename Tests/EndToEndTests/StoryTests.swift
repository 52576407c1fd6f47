import Encoding
import HTTP
import Sandbox
import Testing

/// The main job with the real operator and the real trainer, over loopback.
@Suite(.serialized, .timeLimit(.minutes(5))) struct StoryTests {
    @Test func `a job trains, is verified, its machines go, and then nothing more happens`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job(minimumAccuracy: "85"))
            let job = try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            #expect(job.isTrue("OutputsVerified"))
            #expect(job.value(at: ["status", "resources"])?.arrayValue ?? [] == [])
            #expect(story.traffic.poolChanges(.post).count == 1)
            #expect(story.world.computeResources() == [])

            let runID = job.value(at: ["status", "run", "id"])
            try await story.waitForJob("the published version") { _ in
                try await story.published(in: "runs")?["name"] == runID
            }
            try await Task.sleep(for: .seconds(1))
            let changes = story.traffic.changeCount
            try await Task.sleep(for: .seconds(2))
            #expect(story.traffic.changeCount == changes)
        }
    }

    @Test func `a zone without machines is left behind clean, and the next one is used`() async throws {
        try await Story.run(stockouts: ["spot/us-central1-a"]) { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            let job = try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            let attempts = job.value(at: ["status", "capacity", "attempts"])?.arrayValue ?? []
            #expect(attempts.map { $0["zone"] } == ["us-central1-a", "us-central1-b"])
            #expect(story.traffic.poolChanges(.post).count == 2)
            #expect(Set(story.traffic.poolChanges(.delete).map(\.line)).count == 2)
            #expect(story.world.computeResources() == [])
        }
    }

    @Test func `a missing output fails the run and releases its machines`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job(required: ["metrics.json", "confusion.png"]))
            let job = try await story.waitForJob("Failed and ComputeReleased") { $0.hasFailed }
            #expect(job.condition("Failed")?["reason"] == "OutputMissing")
            #expect(job.isTrue("Stalled"))
            #expect(story.world.computeResources() == [])
        }
    }

    @Test func `an accuracy below the assertion fails the run and releases its machines`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job(minimumAccuracy: "101"))
            let job = try await story.waitForJob("Failed and ComputeReleased") { $0.hasFailed }
            #expect(job.condition("Failed")?["reason"] == "AssertionFailed")
            #expect(story.world.computeResources() == [])
        }
    }

    @Test func `a job deleted while it trains leaves nothing`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job(hyperparameters: ["epochs": "1000"]))
            try await story.waitForJob("Training") { $0.value(at: ["status", "state"]) == "Training" }
            try await story.call(.delete, Story.collection("TrainingJob") + "/train")
            try await story.waitForDeletion()
            let jobs = try await story.call(.get, "/apis/batch/v1/namespaces/default/jobs")
            #expect(jobs.body["items"]?.arrayValue == [])
        }
    }

    @Test func `a reclaimed machine costs no progress, and the run goes on elsewhere`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job(hyperparameters: ["epochs": "14"], minimumAccuracy: "85"))
            try await story.waitForJob("a checkpoint") { job in
                (job.value(at: ["status", "checkpoint", "latest", "step"])?.integerValue ?? 0) > 0
            }
            for pool in story.world.cloud.nodePools() {
                for instance in pool.instances { story.world.cloud.preempt(instance: instance.name) }
            }
            let end = try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            let attempts = end.value(at: ["status", "attempts"])?.arrayValue ?? []
            #expect(attempts.map { $0["cause"] } == ["Preempted", "Succeeded"])
            #expect(end.value(at: ["status", "restartsCountTowardsMax"])?.integerValue ?? 0 == 0)
            #expect((attempts.last?["fromStep"]?.integerValue ?? 0) > 0)
            #expect(story.world.computeResources() == [])
        }
    }
}
