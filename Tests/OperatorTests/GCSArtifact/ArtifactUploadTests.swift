import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// Versions that are uploaded.
@Suite(.timeLimit(.minutes(2))) struct ArtifactUploadTests {
    private static func world(_ upload: String, type: String = "Dataset") async throws -> ArtifactWorld {
        let world = try ArtifactWorld()
        try await world.apply(
            """
            apiVersion: trainyard.dev/v1alpha1
            kind: GCSArtifact
            metadata: {name: runs}
            spec:
              artifactType: \(type)
              bucket: {name: runs-bucket, location: us-central1}
              prefix: data/
              source: {type: Upload, upload: \(upload)}
              aliases: [{name: best, policy: LatestVerified}]
            """)
        try await world.settle()
        return world
    }

    private func put(_ world: ArtifactWorld, _ names: String...) throws {
        for name in names {
            try world.cloud.putObject(bucket: "runs-bucket", name: "data/\(name)", bytes: Array(name.utf8))
        }
    }

    private func published(_ world: ArtifactWorld) async throws -> String? {
        try await world.artifact()?.status?.conditions.first(ofType: "VersionsPublished").map {
            "\($0.reason): \($0.message)"
        }
    }

    @Test func `a folder becomes a version when its marker is there, without the marker`() async throws {
        let world = try await Self.world("{markerFile: _SUCCESS}")
        try put(world, "v1/a.bin", "v1/deep/b.bin", "runs/r/x", "loose.txt")
        try await world.settle(horizon: .seconds(700))
        #expect(try await published(world) == "Uploading: waiting for the rest of v1")
        #expect(try await world.artifact()?.status?.versions == [])
        try put(world, "v1/_SUCCESS")
        try await world.settle(horizon: .seconds(200))
        let status = try #require(try await world.artifact()?.status)
        #expect(status.versions.map(\.name) == ["v1"])
        #expect(status.latestVersion?.producer?.kind == "Upload")
        #expect(status.latestVersion?.objectCount == 2)
        #expect(status.aliases.map(\.version) == ["v1"])
        let bytes = try #require(
            try world.cloud.readObject(bucket: "runs-bucket", name: "data/manifests/v1.json"))
        let manifest = try #require(GCSArtifactManifest(bytes))
        #expect(manifest.files.map(\.path) == ["a.bin", "deep/b.bin"])
        #expect(manifest.uri == "gs://runs-bucket/data/v1/")
        #expect(status.latestVersion?.digest == GCSArtifactManifest.digest(bytes))
        // What comes later is no part of it.
        try put(world, "v1/late.bin")
        try await world.settle(horizon: .seconds(700))
        #expect(try await world.artifact()?.status?.versions.map(\.verified) == [true])
        #expect(try await published(world) == "Published: the latest is v1")
        world.crash.clear()
        for _ in 0..<10 {
            world.clock.advance(by: .seconds(60))
            try await world.settle(horizon: .seconds(1))
        }
        #expect(world.crash.log == [])
    }

    @Test func `a folder becomes a version when nothing came for a while`() async throws {
        let world = try await Self.world("{quietSeconds: 300}")
        try put(world, "v1/a")
        world.clock.advance(by: .seconds(200))
        try put(world, "v1/b")
        try await world.settle(horizon: .seconds(230))
        #expect(try await world.artifact()?.status?.versions == [])
        try await world.settle(horizon: .seconds(200))
        #expect(try await world.artifact()?.status?.latestVersion?.objectCount == 2)
        world.clock.advance(by: .seconds(1000))
        try put(world, "v2/a")
        try await world.settle(horizon: .seconds(500))
        #expect(try await world.artifact()?.status?.versions.map(\.name) == ["v2", "v1"])
        #expect(try await world.artifact()?.status?.aliases.map(\.version) == ["v2"])
    }

    @Test func `a folder whose name cannot be a version is told`() async throws {
        let world = try await Self.world("{markerFile: _SUCCESS}")
        try put(world, "my data/a", "my data/_SUCCESS")
        try await world.settle(horizon: .seconds(200))
        #expect(try await published(world)?.hasPrefix("VersionNameInvalid: the folder my data cannot be") == true)
    }

    @Test func `the operator's own folder is no upload, and nothing in one is a file of a version`() async throws {
        let world = try await Self.world("{markerFile: _SUCCESS}")
        try put(world, ".trainyard/completed/ml/a/x.json", "v1/a", "v1/.trainyard/probe/x", "v1/_SUCCESS")
        try await world.settle(horizon: .seconds(200))
        #expect(try await published(world) == "Published: the latest is v1")
        #expect(try await world.artifact()?.status?.latestVersion?.objectCount == 1)
    }

    @Test func `a model that is none becomes no version`() async throws {
        let world = try await Self.world("{markerFile: _SUCCESS}", type: "Model")
        try put(world, "v1/model.safetensors", "v1/_SUCCESS")
        try await world.settle(horizon: .seconds(200))
        #expect(try await published(world)?.hasPrefix("MalformedModel: v1: model.safetensors is no") == true)
        #expect(try await world.artifact()?.status?.versions == [])
    }

    @Test(arguments: [
        ("v1", true), ("2026-11-21_a.b", true), ("", false), (".hidden", false), ("a b", false), ("ü", false),
        (String(repeating: "a", count: 63), true), (String(repeating: "a", count: 64), false),
    ]) func `names of versions are those that aliases may name`(name: String, isGood: Bool) {
        #expect(GCSArtifactUploads.isVersionName(name) == isGood)
    }
}
