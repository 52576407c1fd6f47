import ControllerRuntime
import Encoding
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// The example of a run in a queue, in a cluster with Kueue: what its comments promise.
@Suite struct QueueExampleTests {
    @Test func `it waits for admission, lets go when evicted, and gives its quota back at the end`() async throws {
        let world = try await FaultWorld(hasKueue: true, program: Trainers.interrupted())
        for var document in try Repository.yaml("crds/examples/queue.yaml") {
            document.set(.string(world.namespace), at: ["metadata", "namespace"])
            document.set(nil, at: ["metadata", "annotations"])
            let isJob = document["kind"] == "TrainingJob"
            let made = try await world.admin.create(
                isJob ? TrainingJob.resourceType : GCSArtifact.resourceType, document)
            world.oracle.know(made.value(at: ["metadata", "uid"])?.stringValue ?? "", as: isJob ? "job" : "artifact")
        }
        func expect(_ what: String, _ isReached: (TrainingJob) -> Bool) async throws {
            let isThere = try await world.run {
                try await world.admin.find(TrainingJob.self, namespace: world.namespace, name: "queued").map(isReached)
                    ?? false
            }
            #expect(isThere, "\(what)")
            #expect(world.oracle.violations == [])
        }
        func isWaiting(_ job: TrainingJob) -> Bool {
            job.readyReason == "WaitingForQueue" && job.status?.resources.isEmpty == true && world.ownPools.isEmpty
        }
        _ = try await world.run(atMost: 60) { world.world.cloud.bucketExists("trainyard-queued-data") }
        try world.world.cloud.putObject(bucket: "trainyard-queued-data", name: "train.gz", bytes: [1])
        try await expect("the queue", isWaiting)
        #expect(try await world.workload()?.spec?.queueName == "research")
        try await world.admit(flavor: "spot-l4")
        try await expect("training") { $0.status?.state == "Training" && $0.status?.queue?.flavor == "spot-l4" }
        try await world.expectRunningPod()
        try await world.evict()
        try await expect("the queue again", isWaiting)
        try await world.admit(flavor: "spot-l4")
        try await expect("the end", \.isOver)
        let job = try await world.admin.find(TrainingJob.self, namespace: world.namespace, name: "queued")
        #expect(job?.status?.run?.result == "Succeeded")
        #expect(job?.status?.attempts.map(\.cause) == ["Evicted", "Succeeded"])
        #expect(try await world.run { try await world.workload()?.isFinished == true })
        #expect(world.ownPools.isEmpty)
    }
}
