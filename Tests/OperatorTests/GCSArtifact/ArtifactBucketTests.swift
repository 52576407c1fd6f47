import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// A bucket's settings over time, in the simulated cloud.
@Suite(.timeLimit(.minutes(2))) struct ArtifactBucketTests {
    private static let day: Duration = .seconds(86_400)

    private static func manifest(
        _ name: String = "runs", bucket: String = "{name: runs-bucket, location: us-central1}", more: String = ""
    ) -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: \(name)}
        spec:
          bucket: \(bucket)
        \(more.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
        """
    }

    private func reason(_ world: ArtifactWorld, _ name: String = "runs") async throws -> String? {
        try await world.artifact(name)?.status?.conditions.first(ofType: "Ready")?.reason
    }

    // MARK: Lifecycle

    @Test func `objects of the lifecycle example grow cheaper and go on the days that its rules name`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(try Repository.text("crds/examples/lifecycle.yaml"))
        try await world.settle()
        #expect(try await world.artifact("model-store")?.status?.conditions.isTrue("Ready") == true)
        let bucket = "my-project-model-store"
        let names = ["models/a/model.safetensors", "temp/x", "models-old/a", "datasets/d", "not/temp/x"]
        for name in names { try world.cloud.putObject(bucket: bucket, name: name, bytes: [1]) }
        var seen: [Int: [String]] = [:]
        for day in 0...91 {
            if [0, 6, 7, 29, 30, 89, 90].contains(day) {
                world.cloud.tick()
                seen[day] = try await world.storage.objects(in: bucket).objects.map {
                    "\($0.name) \($0.storageClass ?? "")"
                }
            }
            world.clock.advance(by: Self.day)
        }
        let others = ["datasets/d STANDARD", "models-old/a STANDARD"]
        func expected(_ models: String, temp: Bool) -> [String] {
            [others[0], others[1], "models/a/model.safetensors \(models)", "not/temp/x STANDARD"]
                + (temp ? ["temp/x STANDARD"] : [])
        }
        #expect(
            seen == [
                0: expected("STANDARD", temp: true), 6: expected("STANDARD", temp: true),
                7: expected("STANDARD", temp: false), 29: expected("STANDARD", temp: false),
                30: expected("NEARLINE", temp: false), 89: expected("NEARLINE", temp: false),
                90: expected("COLDLINE", temp: false),
            ])
    }

    // MARK: Silence

    @Test func `a ready object writes nothing in ten minutes, in whatever words the server says the same`() async throws
    {
        let world = try ArtifactWorld(dresses: true)
        try await world.apply(
            Self.manifest(
                bucket: """
                    {name: runs-bucket, location: us-central1, storageClass: Standard, versioning: {enabled: false}, \
                    softDelete: {retentionSeconds: 604800}, labels: {team: a}, retention: {retentionSeconds: 60}, \
                    autoclass: {enabled: false}, kmsKeyName: projects/p/locations/us/keyRings/r/cryptoKeys/k, \
                    lifecycleRules: [\
                    {action: {type: Delete}, condition: {ageDays: 0, matchesPrefix: [temp/, cache/]}}, \
                    {action: {type: SetStorageClass, storageClass: Nearline}, condition: {ageDays: 30, \
                    matchesStorageClass: [Standard, Archive]}}]}
                    """, more: "aliases: [{name: production, policy: LatestVerified}]\ndriftPolicy: Report"))
        try await world.settle(horizon: .seconds(1300))
        let before = try #require(try await world.artifact())
        #expect(
            Artifacts.conditions(try #require(before.status)) == [
                "AliasesResolved=False/VersionNotFound", "Ready=True/Ready", "SettingsApplied=True/Applied",
            ])
        world.crash.clear()
        let reads = world.cloud.callCount("storage.buckets.get")
        for _ in 0..<10 {
            world.clock.advance(by: .seconds(60))
            try await world.settle(horizon: .seconds(1))
        }
        #expect(world.crash.log == [])
        #expect(try await world.artifact() == before)
        #expect(world.cloud.callCount("storage.buckets.get") > reads)
    }

    // MARK: Drift

    private func changeByHand(_ world: ArtifactWorld) async throws {
        let bucket = try await world.storage.bucket("runs-bucket")
        var patch = BucketPatch()
        patch.labels = ["team": "b"]
        patch.lifecycle = Lifecycle(rule: [])
        _ = try await world.storage.patchBucket("runs-bucket", patch, ifMetagenerationMatch: bucket.metageneration)
    }

    private static let described = """
        {name: runs-bucket, location: us-central1, labels: {team: a}, \
        lifecycleRules: [{action: {type: Delete}, condition: {ageDays: 7}}]}
        """

    @Test func `what somebody changed is set again once, and told`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest(bucket: Self.described, more: "layout: ByRun"))
        try await world.settle()
        try await changeByHand(world)
        world.crash.clear()
        try await world.settle(horizon: .seconds(1800))
        let status = try #require(try await world.artifact()?.status)
        #expect(
            status.drift.map { "\($0.path) \($0.desired ?? "") \($0.observed ?? "") \($0.action)" } == [
                "bucket.labels team=a team=b Corrected",
                "bucket.lifecycleRules 1 rules 0 rules, 0 of them others Corrected",
            ])
        #expect(status.conditions.isTrue("Ready"))
        #expect(world.crash.log.filter { $0.contains("storage.googleapis.com") }.count == 1)
        let events = try await world.admin.list(EventObject.self).items.filter { $0.reason == "Drifted" }
        #expect(!events.isEmpty)
        #expect(try await world.storage.bucket("runs-bucket").labels?["team"] == "a")
    }

    @Test func `drift that is to be reported is left so, and a changed spec is carried out all the same`() async throws
    {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest(bucket: Self.described, more: "layout: ByRun\ndriftPolicy: Report"))
        try await world.settle()
        try await changeByHand(world)
        world.crash.clear()
        try await world.settle(horizon: .seconds(1800))
        #expect(world.crash.log.filter { $0.contains("storage.googleapis.com") } == [])
        let status = try #require(try await world.artifact()?.status)
        #expect(status.drift.map(\.action) == ["Reported", "Reported"])
        #expect(Artifacts.conditions(status) == ["Ready=True/Ready", "SettingsApplied=False/Drifted"])
        try await world.patch(["spec": ["bucket": ["versioning": ["enabled": true]]]])
        try await world.settle()
        let bucket = try await world.storage.bucket("runs-bucket")
        #expect(bucket.versioning?.enabled == true)
        #expect(bucket.labels?["team"] == "a")
        #expect(try await world.artifact()?.status?.drift == [])
    }

    // MARK: Who manages it

    @Test func `of two objects that want one bucket the first gets it, the other says so and deletes nothing`()
        async throws
    {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest("first", more: "prefix: a/"))
        world.clock.advance(by: .seconds(5))
        try await world.apply(Self.manifest("second", more: "prefix: b/\ndeletionPolicy: DeleteBucket"))
        try await world.settle(horizon: .seconds(200))
        #expect(try await reason(world, "first") == "Ready")
        #expect(try await reason(world, "second") == "ManagementConflict")
        #expect(world.cloud.callCount("storage.buckets.patch") == 0)
        try await world.admin.mergePatch(
            ObjectReference(type: GCSArtifact.resourceType, namespace: "default", name: "second"),
            ["metadata": ["annotations": [Ownership.confirmDeletionAnnotation: "second"]]])
        try await world.delete("second")
        try await world.settle()
        #expect(try await world.artifact("second") == nil)
        #expect(world.cloud.bucketExists("runs-bucket"))
        #expect(world.cloud.callCount("storage.buckets.delete") == 0)
    }

    @Test func `an observed bucket is used and never written to`() async throws {
        let world = try ArtifactWorld()
        let bucket = "{name: runs-bucket, managementPolicy: Observe}"
        try await world.apply(Self.manifest(bucket: bucket, more: "layout: Flat"))
        try await world.settle(horizon: .seconds(100))
        #expect(try await reason(world) == "BucketNotReady")
        #expect(!world.cloud.bucketExists("runs-bucket"))
        _ = try await world.storage.insertBucket(
            .init(name: "runs-bucket", location: "us-central1", iamConfiguration: nil), project: "sandbox-project")
        try await world.settle(horizon: .seconds(100))
        let status = try #require(try await world.artifact()?.status)
        #expect(status.conditions.isTrue("Ready"))
        #expect(status.bucket?.owned == false)
        #expect(status.resources == [])
        #expect(status.uri == "gs://runs-bucket/")
        try await world.delete()
        try await world.settle()
        #expect(try await world.artifact() == nil)
        #expect(world.crash.log.filter { $0.contains("storage.googleapis.com") } == [])
        #expect(try await world.storage.bucket("runs-bucket").labels == nil)
    }

    @Test func `a bucket that is only created is not changed later`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(
            Self.manifest(
                bucket: "{name: runs-bucket, location: us-central1, managementPolicy: CreateOnly, labels: {team: a}}"))
        try await world.settle()
        try await changeByHand(world)
        try await world.settle(horizon: .seconds(1800))
        #expect(try await world.storage.bucket("runs-bucket").labels?["team"] == "b")
        #expect(try await reason(world) == "Ready")
        #expect(world.crash.log.filter { $0.contains("storage.googleapis.com") }.count == 1)
    }

    // MARK: Retention

    @Test func `a locked retention is locked once and for ever, and keeps what is in the bucket`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(
            Self.manifest(
                bucket: "{name: runs-bucket, location: us-central1, retention: {retentionSeconds: 3600, locked: true}}")
        )
        try await world.settle()
        let bucket = try await world.storage.bucket("runs-bucket")
        #expect(bucket.retentionPolicy == RetentionPolicy(retentionPeriod: 3600, isLocked: true))
        #expect(world.cloud.callCount("storage.buckets.lockRetentionPolicy") == 1)
        #expect(try await reason(world) == "Ready")
        try await world.patch(["spec": ["bucket": ["retention": ["retentionSeconds": 7200]]]])
        try await world.settle()
        #expect(try await world.storage.bucket("runs-bucket").retentionPolicy?.retentionPeriod == 7200)
        try world.cloud.putObject(bucket: "runs-bucket", name: "kept", bytes: [1])
        let error = await #expect(throws: APIError.self) {
            try await world.storage.deleteObject("kept", in: "runs-bucket")
        }
        #expect(error?.code == .forbidden)
    }

    @Test func `a deletion says how far it is, and does not go back after a restart`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(
            """
            apiVersion: trainyard.dev/v1alpha1
            kind: GCSArtifact
            metadata:
              name: runs
              annotations: {trainyard.dev/confirm-deletion: runs}
            spec:
              artifactType: Dataset
              bucket: {name: runs-bucket, location: us-central1}
              prefix: data/
              layout: Flat
              deletionPolicy: DeleteObjects
            """)
        try await world.settle()
        for number in 0..<130 {
            try world.cloud.putObject(bucket: "runs-bucket", name: "data/\(number)", bytes: [1, 2])
        }
        // The first batch is gone, and the operator with it.
        let before = world.crash.changeCount
        world.crash.arm(before + 53, .beforeReply)
        try await world.delete()
        try await world.settle(horizon: .seconds(0))
        let first = try await world.artifact()?.status?.deletion
        #expect(first == nil || first?.phase == "DeletingObjects")
        #expect((first?.objectsDeleted ?? 0) <= 130)
        try await world.settle()
        #expect(try await world.artifact() == nil)
        #expect(world.cloud.objectNames(bucket: "runs-bucket") == [])
    }

    @Test func `how far a deletion is only grows, and is told every ten seconds`() throws {
        var status = Artifacts.status(uri: "gs://runs-bucket/a/")
        func deletion(_ deleted: Int64, after seconds: Int, _ count: Int = 3) -> GCSArtifact.Status.Deletion? {
            let artifact = Artifacts.artifact(
                prefix: "a/", deletionPolicy: .deleteObjects, isDeleting: true, isConfirmed: true, status: status)
            let observation = Artifacts.observation(artifact) {
                $0.now = $0.now + .seconds(seconds)
                $0.contents = (0..<count).map { ObjectGeneration(name: "a/\($0)", generation: 1, sizeBytes: 10) }
                $0.deleted = .init()
                $0.deleted?.objectsDeleted = deleted
                $0.deleted?.bytesDeleted = deleted * 10
            }
            status.deletion = GCSArtifactPlan.plan(observation).status.deletion
            return status.deletion
        }
        let first = deletion(0, after: 0)
        #expect(first?.phase == "DeletingObjects")
        #expect(first?.objectsLeft == 3)
        #expect(first?.bytesLeft == 30)
        #expect(deletion(50, after: 5) == first)
        #expect(deletion(100, after: 12)?.objectsDeleted == 100)
        #expect(deletion(0, after: 30)?.objectsDeleted == 100, "after a restart")
        #expect(status.deletion?.bytesDeleted == 1000)
    }

    @Test func `a bucket that holds more than this object's prefix is not deleted`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(
            Self.manifest(more: "prefix: mine/\ndeletionPolicy: DeleteBucket").replacing(
                "{name: runs}", with: "{name: runs, annotations: {trainyard.dev/confirm-deletion: runs}}"))
        try await world.settle()
        for name in ["mine/a", "theirs"] { try world.cloud.putObject(bucket: "runs-bucket", name: name, bytes: [1]) }
        try await world.delete()
        try await world.settle(horizon: .seconds(100))
        #expect(try await reason(world) == "BucketNotEmpty")
        #expect(world.cloud.objectNames(bucket: "runs-bucket") == ["theirs"])
        try await world.storage.deleteObject("theirs", in: "runs-bucket")
        try await world.settle(horizon: .seconds(100))
        #expect(try await world.artifact() == nil)
        #expect(!world.cloud.bucketExists("runs-bucket"))
    }
}
