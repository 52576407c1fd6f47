import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// What lies at a place: versions that must stay as published, and how much it is.
@Suite(.timeLimit(.minutes(2))) struct ArtifactContentsTests {
    private static func manifests(_ more: String = "", type: String = "RunOutput") -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: runs}
        spec:
          artifactType: \(type)
          bucket: {name: runs-bucket, location: us-central1, versioning: {enabled: true}}
          layout: ByRun
          aliases: [{name: production, policy: LatestVerified}]
        \(more.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
        ---
        apiVersion: trainyard.dev/v1alpha1
        kind: TrainingJob
        metadata: {name: mnist}
        spec:
          accelerator: {gpu: {type: nvidia-l4, count: 1}}
          outputs: {artifactRef: {name: runs}}
        """
    }

    private func condition(_ world: ArtifactWorld, _ type: String) async throws -> String? {
        try await world.artifact()?.status?.conditions.first(ofType: type).map {
            "\($0.status.rawValue)/\($0.reason): \($0.message)"
        }
    }

    private func published(_ more: String = "") async throws -> ArtifactWorld {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifests(more))
        try await world.settle()
        try await world.finishRun("mnist-1-r1")
        try await world.settle()
        return world
    }

    // MARK: Verified

    @Test(arguments: [
        ("overwritten", "model.safetensors has other bytes than were published"),
        ("written again", "model.safetensors was written again"), ("removed", "model.safetensors is gone"),
        ("manifest changed", "its manifest gs://runs-bucket/manifests/mnist-1-r1.json was changed"),
        ("manifest removed", "its manifest gs://runs-bucket/manifests/mnist-1-r1.json is gone"),
    ]) func `a version that is not as published any more is told with the path, and loses its alias`(
        _ what: String, message: String
    ) async throws {
        let world = try await published()
        #expect(try await condition(world, "Verified") == "True/Verified: as published: mnist-1-r1")
        #expect(try await world.artifact()?.status?.aliases.map(\.version) == ["mnist-1-r1"])
        let name = "runs/mnist-1-r1/model.safetensors", manifest = "manifests/mnist-1-r1.json"
        let bytes = try #require(try world.cloud.readObject(bucket: "runs-bucket", name: name))
        switch what {
        case "overwritten": try world.cloud.putObject(bucket: "runs-bucket", name: name, bytes: [1])
        case "written again": try world.cloud.putObject(bucket: "runs-bucket", name: name, bytes: bytes)
        case "removed": try await world.storage.deleteObject(name, in: "runs-bucket")
        case "manifest changed": try world.cloud.putObject(bucket: "runs-bucket", name: manifest, bytes: [1])
        default: try await world.storage.deleteObject(manifest, in: "runs-bucket")
        }
        try await world.settle(horizon: .seconds(700))
        let verdict = try #require(try await condition(world, "Verified"))
        #expect(verdict.hasPrefix("False/VersionChanged: version mnist-1-r1: \(message)"), "\(verdict)")
        let status = try #require(try await world.artifact()?.status)
        #expect(status.versions.map(\.verified) == [false])
        #expect(status.latestVersion?.reason == "VersionChanged")
        #expect(status.aliases == [])
        #expect(status.conditions.isTrue("Ready"))
        let events = try await world.admin.list(EventObject.self).items.filter { $0.reason == "VersionChanged" }
        #expect(events.count == 1)
    }

    @Test func `a version without a required file is not published`() async throws {
        let world = try await published("verification: {requiredFiles: [metrics.json, config.json]}")
        let obstacle = try #require(try await condition(world, "VersionsPublished"))
        #expect(obstacle.hasPrefix("False/RequiredFileMissing: mnist-1-r1 has no config.json"))
        #expect(try await world.artifact()?.status?.versions == [])
        try world.cloud.putObject(bucket: "runs-bucket", name: "runs/mnist-1-r1/config.json", bytes: [1])
        try await world.settle(horizon: .seconds(100))
        #expect(try await world.artifact()?.status?.versions.map(\.name) == ["mnist-1-r1"])
    }

    @Test func `a model whose file is none is not published`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifests(type: "Model"))
        try await world.settle()
        try await world.finishRun("mnist-1-r1")
        try await world.settle()
        let obstacle = try #require(try await condition(world, "VersionsPublished"))
        #expect(obstacle.hasPrefix("False/MalformedModel: mnist-1-r1: model.safetensors is no safetensors file"))
        #expect(!world.cloud.objectNames(bucket: "runs-bucket").contains { $0.hasPrefix("manifests/") })
    }

    // MARK: Size

    @Test func `without a budget it is counted when there is a version, and not again for hours`() async throws {
        let world = try await published()
        let storage = try #require(try await world.artifact()?.status?.storage)
        #expect(storage.objectCount == 4)
        #expect(storage.size?.hasSuffix(" B") == true)
        #expect(storage.atLeast == nil)
        try world.cloud.putObject(bucket: "runs-bucket", name: "more", bytes: [1, 2, 3])
        let lists = world.cloud.callCount("storage.objects.list")
        try await world.settle(horizon: .seconds(7200))
        #expect(try await world.artifact()?.status?.storage == storage)
        // What is verified about every ten minutes.
        #expect(world.cloud.callCount("storage.objects.list") - lists <= 13)
        try await world.settle(horizon: .seconds(7200))
        #expect(try await world.artifact()?.status?.storage?.objectCount == 5)
    }

    @Test func `a place without objects and versions is told nothing about, and asked for nothing at first`()
        async throws
    {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifests())
        try await world.settle()
        let lists = world.cloud.callCount("storage.objects.list")
        try await world.settle(horizon: .seconds(1300))
        #expect(world.cloud.callCount("storage.objects.list") == lists)
        world.crash.clear()
        try await world.settle(horizon: .seconds(12_000))
        #expect(world.crash.log == [])
        #expect(try await world.artifact()?.status?.storage == nil)
    }

    @Test func `what was only begun to be counted is within no budget`() {
        var usage = StorageUsage()
        usage.objectCount = 200_000
        usage.bytesByClass = ["STANDARD": 5]
        usage.isPartial = true
        var status = GCSArtifact.Status()
        GCSArtifactUsage.apply(&status, Artifacts.observation { $0.usage = usage })
        #expect(status.storage?.atLeast == true)
        #expect(
            status.storage.flatMap { GCSArtifactUsage.excess(.init(maxSizeGiB: 1), $0) }
                == "it may hold more: only its first 200000 objects were counted")
    }

    @Test func `size, cost and budget are told, and change nothing`() async throws {
        let world = try await published("budget: {maxSizeGiB: 1, maxMonthlyCost: \"0.01\"}")
        try await world.settle(horizon: .seconds(4300))
        #expect(try await condition(world, "WithinBudget")?.hasPrefix("True/WithinBudget: it holds") == true)
        let storage = try #require(try await world.artifact()?.status?.storage)
        #expect(storage.objectCount == 4)
        #expect(storage.byClass.map(\.storageClass) == ["STANDARD"])
        #expect(storage.byClass.first?.sizeBytes == storage.sizeBytes)
        #expect(storage.monthlyCost == "0.00")
    }

    @Test func `prices and excess are those of the classes`() {
        let gibibyte: Int64 = 1 << 30
        let bytes = ["STANDARD": 100 * gibibyte, "NEARLINE": 100 * gibibyte, "ARCHIVE": 1000 * gibibyte]
        #expect(GCSArtifactUsage.monthlyCost(bytes, locationType: "region") == Money(decimal: "4.20"))
        #expect(GCSArtifactUsage.monthlyCost(bytes, locationType: "multi-region") == Money(decimal: "4.80"))
        var storage = GCSArtifact.Status.Storage()
        storage.sizeBytes = 10 * gibibyte
        storage.size = GCSArtifactUsage.text(10 * gibibyte)
        storage.monthlyCost = "0.20"
        #expect(storage.size == "10.0 GiB")
        #expect(GCSArtifactUsage.excess(.init(maxSizeGiB: 10), storage) == nil)
        #expect(GCSArtifactUsage.excess(.init(maxSizeGiB: 9), storage) == "it holds 10.0 GiB, more than 9 GiB")
        #expect(GCSArtifactUsage.excess(.init(maxMonthlyCost: "0.2"), storage) == nil)
        #expect(
            GCSArtifactUsage.excess(.init(maxMonthlyCost: "0.19"), storage)
                == "it costs about $0.20 a month, more than $0.19")
        #expect(GCSArtifactUsage.text(0) == "0 B")
        #expect(GCSArtifactUsage.text(1023) == "1023 B")
        #expect(GCSArtifactUsage.text(1024) == "1.0 KiB")
        #expect(GCSArtifactUsage.text(.max).count <= 16)
    }

    // MARK: Safetensors

    @Test(
        arguments: [
            (
                "right", #"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"__metadata__":{"format":"pt"}}"#,
                24, nil
            ),
            ("empty", "{}", 0, nil), ("scalar", #"{"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}"#, 2, nil),
            ("no JSON", "{", 0, "its header is no JSON object"),
            (
                "cut off", #"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#, 20,
                "the bytes of a are missing"
            ),
            (
                "more", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5,
                "its header describes 4 bytes of tensors, and there are 5"
            ),
            (
                "wrong shape", #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4,
                "its header does not describe a"
            ),
            (
                "overflow",
                #"{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,4]}}"#, 4,
                "its header does not describe a"
            ),
            (
                "unknown type", #"{"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}}"#, 4,
                "its header does not describe a"
            ),
            ("no offsets", #"{"a":{"dtype":"F32","shape":[1]}}"#, 4, "its header does not describe a"),
        ] as [(String, String, Int64, String?)])
    func `a header must describe exactly the bytes`(_ name: String, text: String, dataSize: Int64, problem: String?) {
        #expect(SafetensorsHeader.problem(Array(text.utf8), dataSize: dataSize) == problem)
    }

    @Test func `a length that cannot be is found from eight bytes`() {
        func length(_ value: UInt64, fileSize: Int64) -> Int64? {
            SafetensorsHeader.length((0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }, fileSize: fileSize)
        }
        #expect(length(100, fileSize: 108) == 100)
        #expect(length(101, fileSize: 108) == nil)
        #expect(length(.max, fileSize: .max) == nil)
        #expect(length(1, fileSize: 100) == nil)
        #expect(SafetensorsHeader.length([1, 2], fileSize: 100) == nil)
    }
}
