import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox
import Testing

@testable import Operator

@Suite(.timeLimit(.minutes(2))) struct GCSArtifactConvergenceTests {
    private static let manifests = """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata:
          name: runs
          annotations: {trainyard.dev/confirm-deletion: runs}
        spec:
          artifactType: RunOutput
          bucket:
            name: runs-bucket
            location: us-central1
            versioning: {enabled: true}
            labels: {team: a}
            lifecycleRules:
            - {action: {type: SetStorageClass, storageClass: Nearline}, condition: {ageDays: 30}}
          layout: ByRun
          aliases: [{name: candidate, policy: LatestVerified}]
          deletionPolicy: DeleteBucket
        ---
        apiVersion: trainyard.dev/v1alpha1
        kind: TrainingJob
        metadata: {name: mnist}
        spec:
          accelerator: {gpu: {type: nvidia-l4, count: 1}}
          outputs: {artifactRef: {name: runs}}
        """

    /// What must be the same whatever went wrong on the way.
    private struct End: Equatable {
        var conditions: [String]
        var state: String?
        var uri: String?
        var versions: [String]
        var versionCount: Int?
        var aliases: [String]
        var resources: [String]
        var objects: [String]
        var insertCount: Int
    }

    private static func end(_ world: ArtifactWorld) async throws -> End {
        let artifact = try #require(try await world.artifact())
        let status = try #require(artifact.status)
        return End(
            conditions: Artifacts.conditions(status), state: status.state, uri: status.uri,
            versions: status.versions.map(\.name), versionCount: status.versionCount,
            aliases: status.aliases.map { "\($0.name)=\($0.version)" },
            resources: status.resources.map { "\($0.externalRef) \($0.state)" },
            objects: world.cloud.objectNames(bucket: "runs-bucket"),
            insertCount: world.cloud.callCount("storage.buckets.insert"))
    }

    private static func story(_ world: ArtifactWorld) async throws -> End {
        try await world.apply(manifests)
        try await world.settle()
        try await world.finishRun("mnist-1-r1")
        try await world.settle()
        let end = try await end(world)
        let digest = try #require(try await world.artifact()?.status?.latestVersion?.digest)
        let manifest = try #require(
            try world.cloud.readObject(bucket: "runs-bucket", name: "manifests/mnist-1-r1.json"))
        #expect(digest == "sha256:" + SHA256.hexadecimal(of: manifest))
        try await world.delete()
        try await world.settle()
        #expect(try await world.artifact() == nil)
        #expect(!world.cloud.bucketExists("runs-bucket"))
        return end
    }

    @Test func `an artifact gets its bucket, publishes a run, and goes with everything`() async throws {
        let world = try ArtifactWorld()
        #expect(
            try await GCSArtifactConvergenceTests.story(world)
                == End(
                    conditions: [
                        "AliasesResolved=True/Resolved", "Ready=True/Ready", "Verified=True/Verified",
                        "VersionsPublished=True/Published",
                    ],
                    state: "Ready", uri: "gs://runs-bucket/", versions: ["mnist-1-r1"], versionCount: 1,
                    aliases: ["candidate=mnist-1-r1"],
                    resources: ["//storage.googleapis.com/projects/_/buckets/runs-bucket Active"],
                    objects: [
                        "manifests/mnist-1-r1.json", "runs/mnist-1-r1/metrics.json",
                        "runs/mnist-1-r1/model.safetensors",
                        "runs/mnist-1-r1/progress.json",
                    ], insertCount: 1))
    }

    @Test(arguments: CrashSwitch.Moment.allCases)
    func `a crash at any change leads to the same end`(_ moment: CrashSwitch.Moment) async throws {
        let reference = try ArtifactWorld()
        let end = try await GCSArtifactConvergenceTests.story(reference)
        let count = reference.crash.changeCount
        #expect(count >= 10)
        for change in 1...count {
            let world = try ArtifactWorld()
            world.crash.arm(change, moment)
            let reached = try await GCSArtifactConvergenceTests.story(world)
            #expect(reached == end, "crash \(moment.rawValue) of change \(change)")
            #expect(!world.crash.isDown)
        }
    }

    @Test func `at rest nothing is written, and little is asked`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(GCSArtifactConvergenceTests.manifests)
        try await world.settle()
        try await world.finishRun("mnist-1-r1")
        // Until the place was counted with the manifest in it.
        try await world.settle(horizon: .seconds(4300))
        let before = try await world.artifact()
        world.crash.clear()
        let reads = world.cloud.callCount("storage.buckets.get")
        try await world.settle(horizon: .seconds(3600))
        #expect(world.crash.log == [])
        #expect(try await world.artifact() == before)
        #expect(world.cloud.callCount("storage.buckets.get") - reads > 3)
    }

    @Test func `settings that somebody changed are set again`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(GCSArtifactConvergenceTests.manifests)
        try await world.settle()
        let bucket = try await world.storage.bucket("runs-bucket")
        _ = try await world.storage.patchBucket(
            "runs-bucket", .init(versioning: .init(enabled: false)), ifMetagenerationMatch: bucket.metageneration)
        try await world.settle(horizon: .seconds(3600))
        let repaired = try await world.storage.bucket("runs-bucket")
        #expect(repaired.versioning?.enabled == true)
        #expect(repaired.lifecycle?.rule?.first?.action.storageClass == "NEARLINE")
        #expect(repaired.labels?["team"] == "a")
        #expect(try await world.artifact()?.status?.conditions.isTrue("Ready") == true)
    }

    @Test func `an object that is made again takes back the bucket that it retained, and no other one does`()
        async throws
    {
        func manifest(_ name: String) -> String {
            """
            apiVersion: trainyard.dev/v1alpha1
            kind: GCSArtifact
            metadata: {name: \(name)}
            spec:
              bucket: {name: runs-bucket, location: us-central1}
            """
        }
        let world = try ArtifactWorld()
        try await world.apply(manifest("runs"))
        try await world.settle()
        try world.cloud.putObject(bucket: "runs-bucket", name: "precious", bytes: [1])
        try await world.delete()
        try await world.settle()
        try await world.apply(manifest("other"))
        try await world.settle()
        #expect(try await world.artifact("other")?.status?.conditions.first(ofType: "Ready")?.reason == "BucketNotOurs")
        try await world.delete("other")
        try await world.apply(manifest("runs"))
        try await world.settle()
        let artifact = try #require(try await world.artifact())
        #expect(artifact.status?.conditions.isTrue("Ready") == true)
        #expect(try await world.storage.bucket("runs-bucket").labels?["trainyard-owner-uid"] == artifact.metadata.uid)
        #expect(world.cloud.objectNames(bucket: "runs-bucket") == ["precious"])
        #expect(world.cloud.callCount("storage.buckets.insert") == 1)
    }

    @Test func `a bucket that was there before is left alone, also by the deletion`() async throws {
        let world = try ArtifactWorld()
        _ = try await world.storage.insertBucket(
            .init(name: "runs-bucket", location: "us-central1"), project: "sandbox-project")
        try world.cloud.putObject(bucket: "runs-bucket", name: "precious", bytes: [1])
        try await world.apply(GCSArtifactConvergenceTests.manifests)
        try await world.settle()
        #expect(
            try await world.artifact().flatMap(\.status).map(Artifacts.conditions)
                == ["Ready=False/BucketNotOurs", "Stalled=True/BucketNotOurs"])
        try await world.delete()
        try await world.settle()
        #expect(try await world.artifact() == nil)
        #expect(world.cloud.objectNames(bucket: "runs-bucket") == ["precious"])
        #expect(world.crash.log.filter { $0.contains("storage") } == [])
    }

    @Test func `a prefix lives in another artifact's bucket and takes only its own objects along`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(
            """
            apiVersion: trainyard.dev/v1alpha1
            kind: GCSArtifact
            metadata: {name: team-a, annotations: {trainyard.dev/confirm-deletion: team-a}}
            spec: {bucketRef: {name: home}, prefix: team/a/, layout: Flat, deletionPolicy: DeleteObjects}
            """)
        try await world.settle()
        #expect(try await world.artifact("team-a")?.status?.conditions.first?.reason == "BucketNotReady")
        try await world.apply(
            """
            apiVersion: trainyard.dev/v1alpha1
            kind: GCSArtifact
            metadata: {name: home}
            spec: {bucket: {name: runs-bucket, location: us-central1}, prefix: home/}
            ---
            apiVersion: trainyard.dev/v1alpha1
            kind: GCSArtifact
            metadata: {name: team-ab}
            spec: {bucketRef: {name: home}, prefix: team/a/b/}
            """)
        try await world.settle(horizon: .seconds(100))
        #expect(try await world.artifact("team-a")?.status?.uri == "gs://runs-bucket/team/a/")
        #expect(try await world.artifact("team-ab")?.status?.conditions.first?.reason == "PrefixConflict")
        for name in ["team/a/1", "team/a/2", "team/ab", "home/x"] {
            try world.cloud.putObject(bucket: "runs-bucket", name: name, bytes: [1])
        }
        try await world.delete("team-ab")
        try await world.delete("team-a")
        try await world.settle(horizon: .seconds(100))
        #expect(try await world.artifact("team-a") == nil)
        #expect(try await world.artifact("team-ab") == nil)
        #expect(world.cloud.objectNames(bucket: "runs-bucket") == ["home/x", "team/ab"])
    }
}
