import ControllerRuntime
import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// The examples of budget, plan and suspension reach the ends that their comments promise.
@Suite(.timeLimit(.minutes(5))) struct MoneyExampleTests {
    /// Everything of a file, applied; the data is in its bucket.
    private struct Applied {
        let world: FaultWorld
        let name: String

        init(_ file: String, _ program: @escaping @Sendable (PodContext) async -> PodResult) async throws {
            let world = try await FaultWorld(program: program)
            var name = ""
            for var document in try Repository.yaml("crds/examples/\(file)") {
                document.set(.string(world.namespace), at: ["metadata", "namespace"])
                let isJob = document["kind"] == "TrainingJob"
                let made = try await world.admin.create(
                    isJob ? TrainingJob.resourceType : GCSArtifact.resourceType, document)
                world.oracle.know(
                    made.value(at: ["metadata", "uid"])?.stringValue ?? "", as: isJob ? "job" : "artifact")
                if isJob { name = document.value(at: ["metadata", "name"])?.stringValue ?? "" }
            }
            self.world = world
            self.name = name
            let isThere = try await world.run { world.world.cloud.bucketExists("trainyard-fashion-mnist-data") }
            try #require(isThere)
            try world.world.cloud.putObject(bucket: "trainyard-fashion-mnist-data", name: "train.gz", bytes: [1])
        }

        func job() async throws -> TrainingJob? {
            try await world.admin.find(TrainingJob.self, namespace: world.namespace, name: name)
        }

        func expect(_ what: String, atMost seconds: Int = 1500, _ isReached: (TrainingJob) -> Bool) async throws {
            let isThere = try await world.run(atMost: seconds) { try await job().map(isReached) ?? false }
            let conditions = try await job()?.status?.conditions ?? []
            #expect(isThere, "\(what): \(FaultWorld.text(conditions))")
            #expect(world.oracle.violations == [])
        }

        func patch(_ spec: JSONValue) async throws {
            try await world.admin.mergePatch(world.reference(TrainingJob.resourceType, name), ["spec": spec])
        }
    }

    @Test func `budget`() async throws {
        let example = try await Applied("budget.yaml", Trainers.checkpointing())
        try await example.expect("stopped", atMost: 12_000) {
            $0.readyReason == "BudgetExceeded" && $0.isTrue("Suspended") && $0.isTrue("ComputeReleased")
        }
        let cost = try await example.job()?.status?.cost
        #expect(cost?.display?.hasPrefix("$0.9") == true, "\(cost?.display ?? "")")
        try await example.patch(["budget": ["maxCost": "5.00"]])
        try await example.expect("the end", \.isOver)
        let status = try #require(try await example.job()?.status)
        #expect(status.run?.result == "Succeeded")
        #expect(status.attempts.last?.fromStep == 150)
    }

    @Test func `plan`() async throws {
        let example = try await Applied("plan.yaml", Trainers.succeeding())
        try await example.expect("a plan without problems") { $0.status?.plan?.problems == [] }
        let plan = try await example.job()?.status?.plan
        #expect(
            plan?.summary
                == "3 candidates, first spot in us-central1-a (1 × g2-standard-4, $0.40 an hour); at most $1.59; "
                + "nothing stands in the way")
        #expect(example.world.world.cloud.nodePools().isEmpty)
        try await example.patch(["mode": "Apply"])
        try await example.expect("the end", \.isOver)
        #expect(try await example.job()?.status?.run?.result == "Succeeded")
    }

    @Test func `suspend and resume`() async throws {
        let example = try await Applied("suspend-resume.yaml", Trainers.checkpointing())
        try await example.expect("training") { $0.status?.trainerStatus?.step == 100 }
        try await example.patch(["suspend": true])
        try await example.expect("suspended") { $0.isTrue("Suspended") }
        #expect(example.world.world.cloud.nodePools().isEmpty)
        try await example.patch(["suspend": false])
        try await example.expect("the end", \.isOver)
        let status = try #require(try await example.job()?.status)
        #expect(status.run?.number == 1)
        #expect(status.attempts.map(\.cause) == ["Suspended", "Succeeded"])
        #expect(status.attempts.last?.fromStep == 150)
    }
}
