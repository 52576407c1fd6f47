import ControllerRuntime
import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing
import TrainingContract

@testable import Operator

/// The examples of distributed runs and of failure policies, applied to the simulated world with both controllers.
@Suite struct RunningExampleTests {
    /// Applies an example, fills its data's bucket as its annotation would, and waits for its end.
    private func status(
        of example: String, program: @escaping @Sendable (PodContext) async -> PodResult
    ) async throws -> TrainingJob.Status {
        let world = try await FaultWorld(program: program)
        for var document in try Repository.yaml("crds/examples/\(example).yaml") {
            document.set(.string(world.namespace), at: ["metadata", "namespace"])
            document.set(nil, at: ["metadata", "annotations"])
            let type = document["kind"] == "TrainingJob" ? TrainingJob.resourceType : GCSArtifact.resourceType
            let object = try await world.admin.create(type, document)
            world.oracle.know(
                object.value(at: ["metadata", "uid"])?.stringValue ?? "",
                as: object.value(at: ["metadata", "name"])?.stringValue ?? "")
        }
        let bucket = "trainyard-\(example)-data"
        _ = try await world.run(atMost: 60, until: { world.world.cloud.bucketExists(bucket) })
        try world.world.cloud.putObject(bucket: bucket, name: "train-images-idx3-ubyte.gz", bytes: [1, 2, 3])
        let isOver = try await world.run(until: {
            try await world.admin.find(TrainingJob.self, namespace: world.namespace, name: example)?.isOver == true
        })
        let job = try #require(
            try await world.admin.find(TrainingJob.self, namespace: world.namespace, name: example))
        let status = try #require(job.status)
        #expect(isOver, "\(FaultWorld.text(status.conditions))")
        #expect(world.world.computeResources() == [])
        #expect(world.oracle.violations == [])
        return status
    }

    @Test func `four nodes train as one`() async throws {
        let ranks = Ranks()
        let succeeding = Trainers.succeeding()
        let status = try await status(of: "four-node") { context in
            await ranks.note(context)
            return context.environment["ML_RANK"] == "0"
                ? await succeeding(context) : PodResult(exitCode: 0, after: .seconds(10))
        }
        #expect(status.run?.reason == "Succeeded")
        #expect(status.nodes?.desired == 4)
        let coordinator = "\(status.run?.id ?? "")-a1-0.\(status.run?.id ?? "").ml.svc:29500"
        #expect(await ranks.seen == (0..<4).map { "\($0) of 4, coordinator \(coordinator)" })
    }

    @Test(
        arguments: [
            ("nothing fails", [0], "Succeeded", [nil], 0),
            ("a disk fails", [74, 0], "Succeeded", ["ReplaceNode", nil], 1),
            (
                "the bucket is away", [69, 69, 0], "Succeeded", ["RestartIgnoringLimit", "RestartIgnoringLimit", nil], 0
            ),
            ("the loss becomes NaN", [76], "ContainerFailed", ["Fail"], 0),
            ("a crash, again and again", [1], "RestartLimitExceeded", ["Restart", "Restart", "Restart", "Restart"], 3),
        ] as [(String, [Int32], String, [String?], Int)])
    func `each failure has its consequence`(
        name: String, exits: [Int32], end: String, actions: [String?], counted: Int
    ) async throws {
        let status = try await status(of: "failure-policy", program: Trainers.scripted(exits))
        #expect(status.run?.reason == end)
        #expect(status.attempts.map(\.action) == actions)
        #expect(status.restartsCountTowardsMax ?? 0 == counted)
    }
}

/// What the pods of a run were told.
private actor Ranks {
    private var told: Set<String> = []

    var seen: [String] { told.sorted() }

    func note(_ context: PodContext) {
        let environment = context.environment
        told.insert(
            "\(environment["ML_RANK"] ?? "") of \(environment["ML_WORLD_SIZE"] ?? ""), "
                + "coordinator \(environment["ML_COORDINATOR"] ?? "")")
    }
}
