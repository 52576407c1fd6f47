import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// Old versions go, and nothing that somebody uses.
@Suite(.timeLimit(.minutes(2))) struct ArtifactRetentionTests {
    private static func manifest(_ more: String = "") -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: runs}
        spec:
          artifactType: Dataset
          bucket: {name: runs-bucket, location: us-central1, versioning: {enabled: true}}
          prefix: data/
          source: {type: Upload, upload: {markerFile: _SUCCESS}}
          versionRetention: {keepLast: 2}
        \(more)
        """
    }

    /// Uploads v1 … v5, one after the other.
    private static func world(_ more: String = "", count: Int = 5) async throws -> ArtifactWorld {
        let world = try ArtifactWorld()
        try await world.apply(manifest(more))
        try await world.settle()
        for number in 1...count { try await upload("v\(number)", to: world) }
        return world
    }

    private static func upload(_ version: String, to world: ArtifactWorld) async throws {
        for name in ["a.bin", "b/c.bin", "_SUCCESS"] {
            try world.cloud.putObject(
                bucket: "runs-bucket", name: "data/\(version)/\(name)", bytes: Array("\(version) \(name)".utf8))
        }
        try await world.settle(horizon: .seconds(70))
        world.clock.advance(by: .seconds(30))
    }

    private func names(_ world: ArtifactWorld, _ prefix: String) -> [String] {
        world.cloud.objectNames(bucket: "runs-bucket", prefix: "data/\(prefix)")
    }

    @Test func `older versions go with their objects, and their names do not come back`() async throws {
        let world = try await Self.world()
        try await world.settle(horizon: .seconds(700))
        let status = try #require(try await world.artifact()?.status)
        #expect(status.versions.map(\.name) == ["v5", "v4"])
        #expect(status.retention?.removedCount == 3)
        #expect(status.retention?.removing == nil)
        #expect(status.conditions.isTrue("Verified"))
        #expect(names(world, "manifests/") == ["data/manifests/v4.json", "data/manifests/v5.json"])
        // The marker is no part of a version: it is not ours to delete.
        #expect(names(world, "v1/") == ["data/v1/_SUCCESS"])
        #expect(names(world, ".trainyard/") == (1...3).map { "data/.trainyard/removed/v\($0).json" })
        // Noncurrent versions of their files are gone as well.
        let query = ObjectQuery(prefix: "data/v1/", versions: true)
        #expect(try await world.storage.objects(in: "runs-bucket", query).objects.map(\.name) == ["data/v1/_SUCCESS"])
        // Who uploads to an old name gets no version of it, and loses nothing.
        try await Self.upload("v1", to: world)
        try await world.settle(horizon: .seconds(700))
        #expect(try await world.artifact()?.status?.versions.map(\.name) == ["v5", "v4"])
        #expect(names(world, "v1/").count == 3)
        world.crash.clear()
        try await world.settle(horizon: .seconds(600))
        #expect(world.crash.log == [])
    }

    @Test func `what an alias, a run or an endpoint uses stays`() async throws {
        let world = try await Self.world("  aliases: [{name: production, version: v1}]", count: 2)
        let digest = try #require(try await world.artifact()?.status?.versions.first { $0.name == "v2" }?.digest)
        world.setUses([ArtifactUse(user: "ModelEndpoint mnist", versions: [digest])])
        for number in 3...6 { try await Self.upload("v\(number)", to: world) }
        try await world.settle(horizon: .seconds(700))
        #expect(names(world, "manifests/").map { String($0.suffix(7).dropLast(5)) } == ["v1", "v2", "v5", "v6"])
        // The endpoint goes on to another version: then the old one goes.
        world.setUses([])
        try await world.settle(horizon: .seconds(700))
        #expect(names(world, "manifests/").map { String($0.suffix(7).dropLast(5)) } == ["v1", "v5", "v6"])
    }

    @Test func `an endpoint that names no version holds all of them, and the deletion`() async throws {
        let world = try await Self.world(count: 2)
        world.setUses([ArtifactUse(user: "ModelEndpoint mnist")])
        for number in 3...4 { try await Self.upload("v\(number)", to: world) }
        try await world.settle(horizon: .seconds(700))
        #expect(names(world, "manifests/").count == 4)
        try await world.patch(
            [
                "spec": ["deletionPolicy": "DeleteObjects"],
                "metadata": ["annotations": [.init(Ownership.confirmDeletionAnnotation): "runs"]],
            ])
        try await world.delete()
        try await world.settle()
        let stalled = try await world.artifact()?.status?.conditions.first(ofType: "Stalled")
        #expect(stalled?.reason == "InUse")
        #expect(stalled?.message == "still used by ModelEndpoint mnist")
        #expect(try await world.artifact()?.status?.deletion?.waitsFor == "InUse")
        world.setUses([])
        try await world.settle(horizon: .seconds(100))
        #expect(try await world.artifact() == nil)
        #expect(names(world, "") == [])
    }

    @Test func `an artifact whose data stays waits for its users as well, and says who they are`() async throws {
        let world = try await Self.world(count: 1)
        world.setUses([ArtifactUse(user: "ModelEndpoint b"), ArtifactUse(user: "ModelEndpoint a")])
        try await world.apply(
            """
            apiVersion: trainyard.dev/v1alpha1
            kind: GCSArtifact
            metadata: {name: tenant}
            spec: {artifactType: Generic, bucketRef: {name: runs}, prefix: other/, layout: Flat}
            """)
        try await world.settle()
        try await world.delete()
        try await world.settle()
        let stalled = try await world.artifact()?.status?.conditions.first(ofType: "Stalled")
        #expect(stalled?.reason == "InUse")
        #expect(
            stalled?.message
                == "still used by GCSArtifact tenant, ModelEndpoint a, ModelEndpoint b; its data stays in any case")
        world.setUses([])
        try await world.delete("tenant")
        try await world.settle(horizon: .seconds(130))
        #expect(try await world.artifact() == nil)
        #expect(!names(world, "v1/").isEmpty)
    }

    @Test(arguments: CrashSwitch.Moment.allCases)
    func `a removal that is killed anywhere ends the same, and no version looks whole that is not`(
        _ moment: CrashSwitch.Moment
    ) async throws {
        func story(_ change: Int?) async throws -> (count: Int, names: [String]) {
            let world = try await Self.world("", count: 2)
            let before = world.crash.changeCount
            if let change { world.crash.arm(before + change, moment) }
            try await Self.upload("v3", to: world)
            // Whatever has happened: a manifest's files are all there.
            for manifest in names(world, "manifests/") {
                let version = String(manifest.dropFirst("data/manifests/".count).dropLast(5))
                if !names(world, ".trainyard/removed/\(version).json").isEmpty { continue }
                #expect(names(world, "\(version)/").count == 3, "change \(change ?? 0)")
            }
            try await world.settle(horizon: .seconds(700))
            return (world.crash.changeCount - before, world.cloud.objectNames(bucket: "runs-bucket"))
        }
        let reference = try await story(nil)
        #expect(reference.names.contains("data/.trainyard/removed/v1.json"))
        #expect(!reference.names.contains("data/v1/a.bin"))
        for change in 1...reference.count {
            #expect(try await story(change).names == reference.names, "change \(change)")
        }
    }

    @Test func `a manifest that names other places is left alone`() async throws {
        let world = try await Self.world(count: 4)
        try await world.settle(horizon: .seconds(700))
        let kept = try #require(try world.cloud.readObject(bucket: "runs-bucket", name: "data/manifests/v3.json"))
        // As somebody could write it who may write below the prefix: it names the whole bucket.
        let text = String(decoding: kept, as: UTF8.self)
            .replacing("gs://runs-bucket/data/v3/", with: "gs://runs-bucket/").replacing("\"v3\"", with: "\"evil\"")
        try world.cloud.putObject(bucket: "runs-bucket", name: "data/manifests/evil.json", bytes: Array(text.utf8))
        try world.cloud.putObject(bucket: "runs-bucket", name: "a.bin", bytes: [1])
        for number in 5...7 { try await Self.upload("v\(number)", to: world) }
        try await world.settle(horizon: .seconds(700))
        #expect(names(world, "manifests/").contains("data/manifests/evil.json"))
        #expect(try world.cloud.readObject(bucket: "runs-bucket", name: "a.bin") == [1])
    }

    @Test func `the newest, what aliases name and what the bucket still retains do not go`() {
        let manifests = (1...5).map {
            ManifestPlace(version: "v\($0)", generation: 1, time: Timestamp(seconds: Int64($0) * 100))
        }
        func expendable(_ keepLast: Int, kept: Set<String> = [], period: Int = 0) -> [String] {
            GCSArtifactRetention.expendable(
                manifests.shuffled(), keepLast: keepLast, kept: kept, retentionPeriod: .seconds(period),
                now: Timestamp(seconds: 600)
            ).map(\.version)
        }
        #expect(expendable(2) == ["v1", "v2", "v3"])
        #expect(expendable(2, kept: ["v2"]) == ["v1", "v3"])
        #expect(expendable(0) == ["v1", "v2", "v3", "v4"])
        #expect(expendable(9) == [])
        #expect(expendable(1, period: 400) == ["v1"])
    }

    @Test func `a run holds the version that it reads`() throws {
        var job = TrainingJob(metadata: ObjectMeta(name: "a", namespace: "ml"), spec: spec())
        var run = TrainingJob.Run(number: 1, id: "a-1")
        run.inputs = [.init(name: "data", uri: "gs://b/data/v1/", version: "v1", digest: nil)]
        job.status = TrainingJob.Status()
        job.status?.run = run
        let uses = ArtifactUse.ofJobs([job], at: "gs://b/data/")
        #expect(uses == [ArtifactUse(user: "TrainingJob a", versions: ["v1"])])
        #expect(uses[0].needs("v1", digest: "x", at: "gs://b/data/v1/"))
        #expect(!uses[0].needs("v2", digest: "x", at: "gs://b/data/v2/"))
        job.status?.run?.inputs = [.init(name: "data", uri: "gs://b/data/", version: nil, digest: nil)]
        #expect(ArtifactUse.ofJobs([job], at: "gs://b/data/")[0].needs("v2", digest: "x", at: "gs://b/data/v2/"))
        job.status?.run?.result = "Succeeded"
        #expect(ArtifactUse.ofJobs([job], at: "gs://b/data/") == [])
    }
}
