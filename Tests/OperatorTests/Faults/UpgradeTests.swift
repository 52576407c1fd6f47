import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime
@testable import Operator

/// Operators and definitions of different versions side by side.
@Suite(.timeLimit(.minutes(5))) struct UpgradeTests {
    private static let definition = ObjectReference(
        type: ResourceType(
            group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
            plural: "customresourcedefinitions", isNamespaced: false), namespace: nil,
        name: "trainingjobs.trainyard.dev")

    /// The definition as a newer version has it: `change` gets the object's schema.
    private func changeDefinition(_ world: FaultWorld, _ change: (inout JSONValue) -> Void) async throws {
        let name = Self.definition.name
        var definition = try #require(try await world.admin.find(Self.definition.type, namespace: nil, name: name))
        var version = try #require(definition.value(at: ["spec", "versions"])?[0])
        var schema = try #require(version.value(at: ["schema", "openAPIV3Schema"]))
        change(&schema)
        version.set(schema, at: ["schema", "openAPIV3Schema"])
        definition.set([version], at: ["spec", "versions"])
        try await world.admin.update(Self.definition.type, definition)
    }

    private func unendingWorld() async throws -> FaultWorld {
        let world = try await FaultWorld(program: Trainers.interrupted())
        world.runsArtifacts = false
        try await world.prepareArtifacts()
        return world
    }

    private func status(_ world: FaultWorld, _ path: [String]) async throws -> JSONValue? {
        try await world.admin.find(TrainingJob.resourceType, namespace: world.namespace, name: "mnist")?
            .value(at: ["status"] + path)
    }

    @Test func `what a newer version has written stays while an older one works`() async throws {
        let world = try await unendingWorld()
        try await changeDefinition(world) { schema in
            let place: JSONValue = ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
            schema.set(place, at: ["properties", "status", "properties", "tomorrow"])
            schema.set(["type": "string"], at: ["properties", "status", "properties", "run", "properties", "tomorrow"])
        }
        try await world.createJob()
        try await world.expectJob("a pool") { _ in !world.ownPools.isEmpty }
        try await world.admin.mergePatch(
            world.reference(TrainingJob.resourceType, "mnist"),
            ["status": ["tomorrow": ["ledger": ["a"]], "run": ["tomorrow": "x"]]], subresource: "status")
        try await world.expectJob("training") { $0?.status?.state == "Training" }
        try await world.patchJob(["spec": ["suspend": true]])
        try await world.expectJob("suspended") { $0?.isTrue("Suspended") == true }
        #expect(try await status(world, ["tomorrow"]) == ["ledger": ["a"]])
        #expect(try await status(world, ["run", "tomorrow"]) == "x")
        #expect(world.oracle.violations == [])
    }

    @Test func `a resource that only a newer version knows is neither forgotten nor hidden`() async throws {
        let world = try await unendingWorld()
        try await world.createJob()
        try await world.expectJob("training") { $0?.status?.state == "Training" }
        let reference = "//compute.googleapis.com/projects/sandbox-project/zones/us-central1-a/instances/trainer"
        var known = try #require(try await status(world, ["resources"])?.arrayValue)
        known.append(["externalRef": .string(reference), "role": "VirtualMachine", "state": "RUNNING"])
        let job = world.reference(TrainingJob.resourceType, "mnist")
        try await world.admin.mergePatch(job, ["status": ["resources": .array(known)]], subresource: "status")
        try await world.deleteJob()
        try await world.expectJob("the blocked release") { job in
            job?.status?.conditions.first(ofType: "Stalled")?.message.contains(reference) == true
        }
        #expect(world.ownPools == [], "what it knows is released")
        _ = try await world.run(atMost: 600, until: { false })
        #expect(try await world.job()?.status?.resources.map(\.externalRef) == [reference])
        // The newer version comes back and releases it.
        try await world.admin.mergePatch(job, ["status": ["resources": []]], subresource: "status")
        try await world.expectJob("nothing") { $0 == nil }
        #expect(world.oracle.violations == [])
    }

    @Test func `a definition with a new required field holds up nothing where servers ratchet`() async throws {
        let world = try await unendingWorld()
        try await world.createJob()
        try await world.expectJob("training") { $0?.status?.state == "Training" }
        try await world.expectRunningPod()
        try await changeDefinition(world) { schema in
            schema.set(["type": "string"], at: ["properties", "spec", "properties", "tomorrow"])
            let required = schema.value(at: ["properties", "spec", "required"])?.arrayValue ?? []
            schema.set(.array(required + ["tomorrow"]), at: ["properties", "spec", "required"])
        }
        _ = try await world.run(atMost: 120, until: { false })
        try await world.deleteJob()
        try await world.expectJob("nothing") { $0 == nil }
        #expect(world.ownPools == [])
        #expect(world.oracle.violations == [])
    }

    /// As servers before 1.30 answer, which check the whole object on each write.
    @Test func `where every write is refused the machines of a deleted object go, and an event tells`() async throws {
        let world = try await unendingWorld()
        try await world.createJob()
        try await world.expectJob("training") { $0?.status?.state == "Training" }
        try await world.expectRunningPod()
        world.transport.plan { _, request in
            request.method == .patch && request.path.contains("/trainingjobs/") ? .fail(status: 422) : nil
        }
        try await world.deleteJob()
        #expect(try await world.run(until: { world.ownPools.isEmpty }), "although nothing can be written")
        func isTold() async throws -> Bool {
            try await world.admin.list(EventObject.resourceType).items.contains { event in
                event["reason"] == "StatusRefused" && event["note"]?.stringValue?.contains("injected") == true
            }
        }
        #expect(try await world.run(until: { try await isTold() }))
        #expect(try await world.job() != nil, "its finalizer cannot go either")
        world.transport.plan { _, _ in nil }
        #expect(try await world.run(atMost: 7200, until: { try await world.job() == nil }))
        #expect(world.oracle.violations == [])
    }
}
