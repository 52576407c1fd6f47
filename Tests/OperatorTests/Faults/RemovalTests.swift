import Encoding
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime
@testable import Operator

/// What is removed from above: the definition of a kind, or a namespace with everything in it.
@Suite(.timeLimit(.minutes(5))) struct RemovalTests {
    private static let definitions = ResourceType(
        group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions", isNamespaced: false)
    private static let namespaces = ResourceType(
        group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false)

    private func remove(_ type: ResourceType, _ name: String, _ world: FaultWorld) async throws {
        try await world.admin.delete(ObjectReference(type: type, namespace: nil, name: name))
    }

    private func isGone(_ type: ResourceType, _ name: String, _ world: FaultWorld) async throws -> Bool {
        try await world.admin.find(type, namespace: nil, name: name) == nil
    }

    @Test func `with the definition of artifacts no data goes, whatever policy and annotation say`() async throws {
        let world = try await FaultWorld()
        world.runsJobs = false
        try await world.createArtifact(policy: "DeleteBucket", isConfirmed: true)
        try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
        try world.world.cloud.putObject(bucket: "runs-bucket", name: "precious", bytes: [1])
        world.oracle.kindIsGoing()
        try await remove(Self.definitions, "gcsartifacts.trainyard.dev", world)
        #expect(
            try await world.run(until: { try await isGone(Self.definitions, "gcsartifacts.trainyard.dev", world) }))
        #expect(world.world.cloud.objectNames(bucket: "runs-bucket") == ["precious"])
        #expect(world.oracle.deletes == [:])
        #expect(world.oracle.violations == [])
    }

    @Test func `who may not read the definition deletes no data`() async throws {
        let world = try await FaultWorld(dropping: ["customresourcedefinitions"])
        world.runsJobs = false
        try await world.createArtifact(policy: "DeleteBucket", isConfirmed: true)
        try await world.expectArtifact("ready") { $0?.status?.conditions.isTrue("Ready") == true }
        try await world.deleteArtifact()
        try await world.expectArtifact("the missing right") {
            $0?.status?.conditions.first(ofType: "Stalled")?.reason == "PermissionDenied"
        }
        _ = try await world.run(atMost: 300, until: { false })
        #expect(world.world.cloud.bucketExists("runs-bucket"))
        #expect(try await world.artifact()?.metadata.finalizers == [Ownership.finalizer])
    }

    @Test func `with the definition of TrainingJobs all their machines go`() async throws {
        let world = try await FaultWorld(program: Trainers.interrupted())
        world.runsArtifacts = false
        try await world.prepareArtifacts()
        try await world.createJob()
        try await world.expectJob("training") { $0?.status?.state == "Training" }
        try await remove(Self.definitions, "trainingjobs.trainyard.dev", world)
        #expect(
            try await world.run(until: { try await isGone(Self.definitions, "trainingjobs.trainyard.dev", world) }))
        #expect(world.ownPools == [])
        #expect(world.oracle.deletes["nodePools"] == 1)
        #expect(world.oracle.violations == [])
    }

    @Test func `with the definition of ModelEndpoints all their services go`() async throws {
        let world = try await Workflow.endpointWorld()()
        try await world.serveFirst()
        try await remove(Self.definitions, "modelendpoints.trainyard.dev", world)
        #expect(
            try await world.run(until: { try await isGone(Self.definitions, "modelendpoints.trainyard.dev", world) }))
        #expect(world.world.cloud.runServiceLines() == [])
        #expect(world.oracle.deletes["services"] == 1)
        #expect(world.oracle.violations == [])
    }

    @Test func `a namespace with a hundred objects goes, and nothing is made in it any more`() async throws {
        let world = try await FaultWorld(program: Trainers.interrupted())
        world.namespace = "crowd"
        try await world.createNamespace()
        try await world.createArtifact("dataset", bucket: "data-bucket", layout: "Flat")
        try await world.createArtifact("runs", bucket: "runs-bucket")
        for number in 0..<48 {
            let deletes = number.isMultiple(of: 2)
            try await world.createArtifact(
                "a\(number)", bucket: "bucket-\(number)", policy: deletes ? "DeleteBucket" : "Retain",
                isConfirmed: deletes)
        }
        for number in 0..<50 { try await world.createJob(named: "job-\(number)") }
        #expect(
            try await world.run(until: {
                world.world.cloud.bucketExists("data-bucket") && world.world.cloud.bucketExists("runs-bucket")
            }))
        try world.world.cloud.putObject(bucket: "runs-bucket", name: "keep", bytes: [1])
        try world.world.cloud.putObject(bucket: "data-bucket", name: "train.gz", bytes: [1])
        #expect(try await world.run(until: { world.ownPools.count >= 3 }))
        try await remove(Self.namespaces, "crowd", world)
        let creates = world.oracle.creates
        // One round at a time: here the waits of all calls for their turn at the cluster add up.
        #expect(try await world.run(atMost: 40_000, until: { try await isGone(Self.namespaces, "crowd", world) }))
        let made = world.oracle.creates.filter { $0.value != creates[$0.key] }
        #expect(made == [:])
        #expect(world.ownPools == [])
        for number in 0..<48 {
            #expect(world.world.cloud.bucketExists("bucket-\(number)") == !number.isMultiple(of: 2))
        }
        #expect(world.world.cloud.objectNames(bucket: "runs-bucket") == ["keep"])
        #expect(world.oracle.violations == [])
    }
}
