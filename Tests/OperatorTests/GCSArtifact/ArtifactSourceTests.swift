import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// Versions that are copied from elsewhere in Cloud Storage.
@Suite(.timeLimit(.minutes(2))) struct ArtifactSourceTests {
    static func manifest(_ source: String, layout: String = "Versioned", type: String = "Dataset") -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: runs}
        spec:
          artifactType: \(type)
          layout: \(layout)
          bucket: {name: runs-bucket, location: us-central1}
          prefix: data/
          source: \(source)
          aliases: [{name: best, policy: LatestVerified}]
        """
    }

    private static let uri = "{type: URI, uri: {uri: gs://their-bucket/set/}}"
    private static let dvc =
        "{type: DVC, dvc: {uri: gs://their-bucket/repo/data.dvc, remote: gs://their-bucket/store/}}"

    private static func world(
        _ source: String, layout: String = "Versioned", hasBucket: Bool = true,
        _ objects: [String: [UInt8]] = [:]
    ) async throws -> ArtifactWorld {
        let world = try ArtifactWorld()
        if hasBucket {
            _ = try await world.storage.insertBucket(
                BucketConfiguration(name: "their-bucket", location: "us-central1"), project: "sandbox-project")
        }
        for (name, bytes) in objects { try world.cloud.putObject(bucket: "their-bucket", name: name, bytes: bytes) }
        try await world.apply(manifest(source, layout: layout))
        return world
    }

    private func published(_ world: ArtifactWorld) async throws -> String {
        let condition = try await world.artifact()?.status?.conditions.first(ofType: "VersionsPublished")
        return condition.map { "\($0.reason): \($0.message)" } ?? ""
    }

    private static let files: [String: [UInt8]] = [
        "set/a.bin": Array(repeating: 1, count: 3000), "set/deep/b.bin": [2], "set/c": [3, 4], "set/": [],
        "set/.trainyard/x": [5], "other": [6],
    ]

    // MARK: URI

    @Test func `what lies elsewhere is copied, compared and published, once`() async throws {
        let world = try await Self.world(Self.uri, Self.files)
        try await world.settle()
        let status = try #require(try await world.artifact()?.status)
        let version = try #require(status.versions.first)
        #expect(version.name.hasPrefix("uri-"))
        #expect(version.sizeBytes == 3003)
        #expect(status.transfer?.phase == "Complete")
        #expect(status.transfer?.version == version.name)
        #expect(status.aliases.map(\.version) == [version.name])
        #expect(status.latestVersion?.producer?.kind == "URI")
        #expect(try await published(world) == "Published: the latest is \(version.name)")
        let home = "data/\(version.name)/"
        let bytes = try #require(
            try world.cloud.readObject(bucket: "runs-bucket", name: "data/manifests/\(version.name).json"))
        let manifest = try #require(GCSArtifactManifest(bytes))
        #expect(manifest.files.map(\.path) == ["a.bin", "c", "deep/b.bin"])
        #expect(try world.cloud.readObject(bucket: "runs-bucket", name: home + "a.bin") == Self.files["set/a.bin"])
        // At rest nothing is written and nothing copied.
        try await world.settle(horizon: .seconds(700))
        world.crash.clear()
        let copies = world.cloud.callCount("storage.objects.rewrite")
        try await world.settle(horizon: .seconds(600))
        #expect(world.crash.log == [])
        #expect(world.cloud.callCount("storage.objects.rewrite") == copies)
        // Other contents become another version; the first stays.
        try world.cloud.putObject(bucket: "their-bucket", name: "set/new", bytes: [9])
        try await world.settle(horizon: .seconds(4000))
        let versions = try #require(try await world.artifact()?.status?.versions)
        #expect(versions.count == 2)
        #expect(versions.last?.name == version.name)
        #expect(versions.allSatisfy { $0.verified == true })
    }

    @Test func `a large object is copied in many requests, and goes on after a crash`() async throws {
        let world = try await Self.world(Self.uri, ["set/large": Array(repeating: 7, count: 9 << 20)])
        world.cloud.updateScript { $0.rewriteBytes = 1 << 20 }
        // Some requests into the copy.
        world.crash.arm(7, .beforeReply)
        try await world.settle()
        #expect(try await world.artifact()?.status?.latestVersion?.sizeBytes == 9 << 20)
        // 9 requests, and what the crash made once more: never all of it.
        #expect(world.cloud.callCount("storage.objects.rewrite") < 16)
    }

    @Test(arguments: CrashSwitch.Moment.allCases)
    func `a copy that is killed anywhere ends the same`(_ moment: CrashSwitch.Moment) async throws {
        let reference = try await Self.world(Self.uri, Self.files)
        try await reference.settle()
        let end = try await reference.artifact()?.status?.versions.map(\.digest)
        let names = reference.cloud.objectNames(bucket: "runs-bucket")
        #expect(end?.count == 1)
        for change in 1...reference.crash.changeCount {
            let world = try await Self.world(Self.uri, Self.files)
            world.crash.arm(change, moment)
            try await world.settle()
            #expect(try await world.artifact()?.status?.versions.count == 1, "change \(change)")
            #expect(world.cloud.objectNames(bucket: "runs-bucket") == names, "change \(change)")
        }
    }

    @Test func `what somebody put in the way is replaced before it is published`() async throws {
        let world = try await Self.world(Self.uri, Self.files)
        try await world.settle()
        let name = try #require(try await world.artifact()?.status?.versions.first?.name)
        // The same again, with wrong bytes already there.
        let second = try await Self.world(Self.uri, Self.files)
        _ = try await second.storage.insertBucket(
            BucketConfiguration(
                name: "runs-bucket", location: "us-central1",
                labels: Ownership.retainableLabels(
                    .init(
                        type: GCSArtifact.resourceType, namespace: "default", name: "runs",
                        uid: try #require(try await second.artifact()?.metadata.uid)),
                    clusterUID: Artifacts.clusterUID)), project: "sandbox-project")
        try second.cloud.putObject(bucket: "runs-bucket", name: "data/\(name)/a.bin", bytes: [0])
        try await second.settle()
        #expect(try await second.artifact()?.status?.versions.map(\.name) == [name])
        #expect(
            try second.cloud.readObject(bucket: "runs-bucket", name: "data/\(name)/a.bin") == Self.files["set/a.bin"])
    }

    @Test(arguments: [
        ("no bucket", "gs://nowhere-at-all/set/", "SourceNotFound: gs://nowhere-at-all/set/ is not there"),
        ("nothing there", "gs://their-bucket/empty/", "SourceNotFound: there is nothing at gs://their-bucket/empty/"),
        ("no object", "gs://their-bucket/missing", "SourceNotFound: gs://their-bucket/missing is not there"),
        ("forbidden", "gs://secret-bucket/set/", "PermissionDenied: gs://secret-bucket/set/ may not be read"),
        ("itself", "gs://runs-bucket/data/v1/", "SourceInvalid: gs://runs-bucket/data/v1/ lies in the artifact's own"),
        ("around it", "gs://runs-bucket/", "SourceInvalid: gs://runs-bucket/ lies in the artifact's own place"),
    ]) func `a source that cannot be copied is told, and the place stays ready`(
        _ name: String, uri: String, message: String
    ) async throws {
        let world = try await Self.world("{type: URI, uri: {uri: \"\(uri)\"}}", Self.files)
        world.cloud.updateScript { $0.foreignBuckets = ["secret-bucket"] }
        try await world.settle(horizon: .seconds(130))
        let told = try await published(world)
        #expect(told.hasPrefix(message), "\(told)")
        #expect(try await world.artifact()?.status?.conditions.isTrue("Ready") == true)
        world.crash.clear()
        try await world.settle(horizon: .seconds(300))
        #expect(world.crash.log == [])
    }

    @Test func `a bucket of another namespace's artifact is not copied from`() async throws {
        func obstacle(_ labels: [String: String]) async throws -> String {
            let world = try await Self.world(Self.uri, hasBucket: false)
            _ = try await world.storage.insertBucket(
                BucketConfiguration(name: "their-bucket", location: "us-central1", labels: labels),
                project: "sandbox-project")
            try world.cloud.putObject(bucket: "their-bucket", name: "set/a", bytes: [1])
            try await world.settle()
            return try await published(world)
        }
        let foreign = Ownership.googleLabels(ownerUID: "another", clusterUID: Artifacts.clusterUID)
        #expect(
            try await obstacle(foreign)
                == "PermissionDenied: the bucket their-bucket is that of an artifact of another namespace")
        #expect(try await obstacle(["team": "a"]).hasPrefix("Published"))
    }

    @Test func `the example becomes two artifacts with a version each, and a URL`() async throws {
        let world = try ArtifactWorld()
        world.cloud.addServiceAccount(ArtifactWorld.signer)
        _ = try await world.storage.insertBucket(
            BucketConfiguration(name: "trainyard-public-data", location: "us-central1"), project: "sandbox-project")
        var objects = ["reviews/index.json": Array("{}".utf8), "reviews/part-1": [1]]
        for (name, bytes) in Self.store() { objects[name] = bytes }
        for (name, bytes) in objects {
            try world.cloud.putObject(bucket: "trainyard-public-data", name: name, bytes: bytes)
        }
        try await world.apply(try Repository.text("crds/examples/versions.yaml"))
        try await world.settle(horizon: .seconds(200))
        for name in ["reviews", "tracked"] {
            let status = try #require(try await world.artifact(name)?.status)
            #expect(status.versions.count == 1, "\(name): \(status.conditions)")
        }
        #expect(try await world.artifact("reviews")?.status?.conditions.isTrue("URLsSigned") == true)
    }

    // MARK: DVC

    private static func md5(_ bytes: [UInt8]) -> String {
        var hash = MD5()
        bytes.withUnsafeBytes { hash.update($0) }
        return hash.digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func place(_ md5: String, _ suffix: String = "") -> String {
        "store/files/md5/\(md5.prefix(2))/\(md5.dropFirst(2))\(suffix)"
    }

    private static let one = Array("one".utf8), two = Array("two".utf8)

    /// A file and a folder with a file, as `dvc push` leaves them.
    private static func store() -> [String: [UInt8]] {
        let list = Array(#"[{"md5": "\#(md5(two))", "relpath": "sub/two.txt"}]"#.utf8)
        let text = """
            outs:
            - {md5: \(md5(one)), size: 3, hash: md5, path: one.txt}
            - {md5: \(md5(list)).dir, size: 3, nfiles: 1, hash: md5, path: folder}
            """
        return [
            "repo/data.dvc": Array(text.utf8), place(md5(one)): one, place(md5(two)): two,
            place(md5(list), ".dir"): list,
        ]
    }

    @Test func `what DVC tracks is found by MD5, copied under its own name and published`() async throws {
        let world = try await Self.world(Self.dvc, layout: "DVC", Self.store())
        try await world.settle()
        let version = try #require(try await world.artifact()?.status?.versions.first?.name)
        #expect(version.hasPrefix("dvc-"))
        let home = "data/\(version)/"
        #expect(
            world.cloud.objectNames(bucket: "runs-bucket", prefix: home)
                == ["\(home)folder/sub/two.txt", "\(home)one.txt"])
        #expect(try world.cloud.readObject(bucket: "runs-bucket", name: "\(home)folder/sub/two.txt") == Self.two)
        #expect(try await world.artifact()?.status?.latestVersion?.producer?.kind == "DVC")
    }

    @Test func `with versionAware exactly the generations of the file are copied`() async throws {
        let world = try await Self.world(Self.dvc, layout: "DVC", hasBucket: false)
        _ = try await world.storage.insertBucket(
            BucketConfiguration(
                name: "their-bucket", location: "us-central1", versioning: .init(enabled: true)),
            project: "sandbox-project")
        try world.cloud.putObject(bucket: "their-bucket", name: "store/one.txt", bytes: Self.one)
        let generation = try await world.storage.object("store/one.txt", in: "their-bucket").generation
        try world.cloud.putObject(bucket: "their-bucket", name: "store/one.txt", bytes: Self.two)
        let text = """
            outs:
            - md5: \(Self.md5(Self.one))
              path: one.txt
              hash: md5
              cloud: {gcs: {version_id: '\(generation)', etag: x}}
            """
        try world.cloud.putObject(bucket: "their-bucket", name: "repo/data.dvc", bytes: Array(text.utf8))
        try await world.patch(["spec": ["source": ["dvc": ["versionAware": true]]]])
        try await world.settle()
        let version = try #require(try await world.artifact()?.status?.versions.first?.name)
        #expect(try world.cloud.readObject(bucket: "runs-bucket", name: "data/\(version)/one.txt") == Self.one)
    }

    @Test(arguments: [
        ("another content", "ChecksumMismatch: one.txt: gs://their-bucket/store/files/md5/"),
        ("composed", "ChecksumMismatch: one.txt: gs://their-bucket/store/files/md5/"),
        ("missing", "SourceNotFound: one.txt: gs://their-bucket/store/files/md5/"),
        ("list changed", "ChecksumMismatch: folder: gs://their-bucket/store/files/md5/"),
        ("no YAML", "SourceInvalid: gs://their-bucket/repo/data.dvc: it is no YAML"),
        ("no file", "SourceNotFound: gs://their-bucket/repo/data.dvc is not there"),
    ]) func `what is not as DVC wrote it down is told, and nothing is copied`(
        _ what: String, message: String
    ) async throws {
        let world = try await Self.world(Self.dvc, layout: "DVC", Self.store())
        let place = Self.place(Self.md5(Self.one))
        switch what {
        case "another content": try world.cloud.putObject(bucket: "their-bucket", name: place, bytes: Self.two)
        case "composed": _ = try await world.storage.compose([.init(name: place)], to: place, in: "their-bucket")
        case "missing": try await world.storage.deleteObject(place, in: "their-bucket")
        case "list changed":
            let list = try #require(
                world.cloud.objectNames(bucket: "their-bucket").first { $0.hasSuffix(".dir") })
            try world.cloud.putObject(bucket: "their-bucket", name: list, bytes: Array("[]".utf8))
        case "no YAML":
            try world.cloud.putObject(bucket: "their-bucket", name: "repo/data.dvc", bytes: Array("a: [".utf8))
        default: try await world.storage.deleteObject("repo/data.dvc", in: "their-bucket")
        }
        try await world.settle(horizon: .seconds(100))
        let told = try await published(world)
        #expect(told.hasPrefix(message), "\(told)")
        #expect(world.cloud.callCount("storage.objects.rewrite") == 0)
        #expect(try await world.artifact()?.status?.conditions.isTrue("Ready") == true)
    }

    private static let hash = String(repeating: "ab", count: 16)

    @Test(arguments: [
        ("nothing", "a: 1", "it has no outs"), ("no path", "outs: [{md5: x}]", "an output has no path"),
        ("above", "outs: [{path: ../a, md5: \(hash)}]", "../a is no relative path"),
        ("absolute", "outs: [{path: /a, md5: \(hash)}]", "/a is no relative path"),
        (
            "no md5", "outs: [{path: a, etag: x}]",
            "a has no md5: only outputs that DVC keeps in its cache can be copied"
        ),
        ("short md5", "outs: [{path: a, md5: abc}]", "the md5 of a is none"),
        ("twice", "outs: [{path: a, md5: \(hash)}, {path: a, md5: \(hash)}]", "a path is in it twice"),
        (
            "two remotes", "outs: [{path: a, md5: \(hash), cloud: {x: {version_id: '1'}, y: {version_id: '2'}}}]",
            "a has versions in several remotes"
        ),
    ]) func `a file that is none is refused with a sentence`(_ name: String, text: String, message: String) {
        let problem = #expect(throws: DVCFile.Problem.self) { try DVCFile(text) }
        #expect(problem?.message == message)
    }

    @Test func `a lock file has the outputs of all its stages`() throws {
        let file = try DVCFile(
            """
            schema: '2.0'
            stages:
              train: {cmd: python t.py, deps: [{path: in, md5: x}], outs: [{path: model, hash: md5, md5: \(Self.hash)}]}
              eval: {outs: [{path: m/x.json, md5: \(Self.hash)}]}
            """)
        #expect(
            file.outputs == [
                .init(path: "m/x.json", md5: Self.hash, isFolder: false, isLegacy: true),
                .init(path: "model", md5: Self.hash, isFolder: false, isLegacy: false),
            ])
        #expect(
            file.outputs.map(DVCFile.cachePath) == [
                "ab/\(Self.hash.dropFirst(2))", "files/md5/ab/\(Self.hash.dropFirst(2))",
            ])
    }
}
