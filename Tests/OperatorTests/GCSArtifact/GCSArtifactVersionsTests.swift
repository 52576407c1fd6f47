import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Testing

@testable import Operator

struct GCSArtifactVersionsTests {
    private func plan(_ observation: GCSArtifactObservation) -> Plan<GCSArtifact.Status, GCSArtifactAction> {
        GCSArtifactController.plan(observation)
    }

    private func observation(
        _ runs: [VerifiedRun], aliases: [GCSArtifact.Alias]? = nil, status: GCSArtifact.Status = Artifacts.status()
    ) -> GCSArtifactObservation {
        Artifacts.observation(Artifacts.artifact(aliases: aliases, status: status)) { $0.runs = runs }
    }

    @Test func `the manifest is canonical and names every file`() {
        #expect(
            String(decoding: Artifacts.manifest(), as: UTF8.self)
                == #"{"artifact":"runs","artifactType":"RunOutput","files":[{"crc32c":"AAAAAA==","generation":"11","path":"metrics.json","sizeBytes":120},{"crc32c":"BBBBBB==","generation":"12","path":"model.safetensors","sizeBytes":4800}],"metrics":{"test_accuracy":"91.2"},"producer":{"kind":"TrainingJob","name":"mnist","runID":"mnist-11111-r1","specHash":"v1:sha256:00"},"schema":"trainyard.dev/manifest/v1","time":"2026-11-21T10:00:00Z","uri":"gs://runs-bucket/runs/mnist-11111-r1/","version":"mnist-11111-r1"}"#
        )
        #expect(GCSArtifactManifest(Artifacts.manifest())?.bytes == Artifacts.manifest())
        #expect(GCSArtifactManifest(Array("{}".utf8)) == nil)
    }

    @Test func `a verified run gets its manifest while the object stays ready`() throws {
        let plan = plan(observation([Artifacts.run()]))
        let place = try #require(StorageURI("gs://runs-bucket/manifests/mnist-11111-r1.json"))
        #expect(
            plan.steps == [
                .cloud(.writeManifest(Artifacts.manifest(), to: place, owner: Artifacts.observation().owner))
            ])
        #expect(plan.next == .after(.zero))
        #expect(Artifacts.conditions(plan.status) == ["Ready=True/Ready", "VersionsPublished=False/Publishing"])
        #expect(plan.status.versions == [])
    }

    @Test func `a manifest in the bucket becomes the version, its digest taken from its bytes`() {
        let plan = plan(observation([Artifacts.run(1, .written(Artifacts.manifest()))]))
        #expect(plan.steps == [])
        #expect(plan.next == .after(.zero))
        #expect(plan.status.versions.map(\.name) == ["mnist-11111-r1"])
        #expect(plan.status.versionCount == 1)
        var latest = GCSArtifact.Status.LatestVersion(
            name: "mnist-11111-r1", digest: "sha256:" + SHA256.hexadecimal(of: Artifacts.manifest()))
        latest.manifestURI = "gs://runs-bucket/manifests/mnist-11111-r1.json"
        latest.objectCount = 2
        latest.sizeBytes = 4920
        latest.verified = true
        latest.producer = .init(kind: "TrainingJob", name: "mnist", runID: "mnist-11111-r1")
        latest.metrics = [.init(name: "test_accuracy", value: "91.2")]
        latest.time = Artifacts.now
        #expect(plan.status.latestVersion == latest)
        #expect(Artifacts.conditions(plan.status) == ["Ready=True/Ready", "VersionsPublished=True/Published"])
        #expect(plan.events.map(\.reason) == ["BucketReady", "Published"])
    }

    @Test(
        arguments: [
            ("another content", ["metrics.json": OutputFile(sizeBytes: 120, crc32c: "AAAAAA==", generation: 99)]),
            ("another checksum", ["metrics.json": OutputFile(sizeBytes: 120, crc32c: "CCCCCC==", generation: 11)]),
            ("a file gone", [:]),
        ] as [(String, [String: OutputFile])])
    func `what changed after it was verified is not published`(_ name: String, change: [String: OutputFile]) {
        var files = Artifacts.files
        files["metrics.json"] = change["metrics.json"]
        let plan = plan(observation([Artifacts.run(1, .absent(files: files))]))
        #expect(plan.steps == [])
        #expect(Artifacts.conditions(plan.status) == ["Ready=True/Ready", "VersionsPublished=False/OutputChanged"])
    }

    @Test func `files that nobody declared belong to the version too`() {
        var files = Artifacts.files
        files["log.txt"] = OutputFile(sizeBytes: 1, crc32c: "D", generation: 13)
        let plan = plan(observation([Artifacts.run(1, .absent(files: files))]))
        guard case .cloud(.writeManifest(let bytes, to: _, owner: _)) = plan.steps.first else {
            Issue.record("no manifest")
            return
        }
        #expect(GCSArtifactManifest(bytes)?.files.map(\.path) == ["log.txt", "metrics.json", "model.safetensors"])
    }

    @Test(arguments: [
        ("no JSON", Array("x".utf8)), ("another run's", Artifacts.manifest(Artifacts.run(2))),
    ]) func `a foreign manifest is never taken for ours`(_ name: String, bytes: [UInt8]) {
        let plan = plan(observation([Artifacts.run(1, .written(bytes))]))
        #expect(plan.steps == [])
        #expect(plan.status.versions == [])
        #expect(Artifacts.conditions(plan.status) == ["Ready=True/Ready", "VersionsPublished=False/ManifestConflict"])
    }

    @Test func `an unreadable bucket delays the version, not the object`() {
        let error = APIError(.unavailable, operation: "storage.objects.get", message: "try later")
        let plan = plan(observation([Artifacts.run(1, .unreadable(error))]))
        #expect(
            Artifacts.conditions(plan.status) == ["Ready=True/Ready", "VersionsPublished=False/StorageUnavailable"])
        #expect(plan.next == .after(GCSArtifactPlan.slowRecheck))
    }

    @Test func `twenty versions are kept, newest first, and an old one does not come back`() {
        var status = Artifacts.status()
        for number in 1...23 {
            let run = Artifacts.run(number, completed: Int64(number))
            let written = Artifacts.run(number, .written(Artifacts.manifest(run)), completed: Int64(number))
            status = plan(observation([written], status: status)).status
        }
        #expect(status.versions.map(\.name) == (4...23).reversed().map { "mnist-11111-r\($0)" })
        #expect(status.versionCount == 23)
        #expect(status.latestVersion?.name == "mnist-11111-r23")
        let first = Artifacts.run(1, completed: 1)
        #expect(GCSArtifactVersions.isKnown(first.id, completed: first.completionTime, in: status))
        let late = Artifacts.run(1, .written(Artifacts.manifest(first)), completed: 1)
        #expect(plan(observation([late], status: status)).status.versions == status.versions)
    }

    @Test func `runs that end out of order are sorted by their end`() {
        let newer = Artifacts.run(2, .written(Artifacts.manifest(Artifacts.run(2, completed: 20))), completed: 20)
        let older = Artifacts.run(1, .written(Artifacts.manifest(Artifacts.run(1, completed: 10))), completed: 10)
        let first = plan(observation([newer])).status
        let second = plan(observation([older], status: first)).status
        #expect(second.versions.map(\.name) == [newer.id, older.id])
        #expect(second.latestVersion?.name == newer.id)
    }

    @Test func `aliases follow the latest verified version or stay where they were told`() {
        let aliases: [GCSArtifact.Alias] = [
            .init(name: "candidate", policy: .latestVerified), .init(name: "production", version: "mnist-11111-r1"),
            .init(name: "next", version: "mnist-11111-r9"),
        ]
        let empty = plan(observation([], aliases: aliases))
        #expect(empty.status.aliases == [])
        #expect(Artifacts.conditions(empty.status) == ["AliasesResolved=False/VersionNotFound", "Ready=True/Ready"])
        let one = Artifacts.run(1, .written(Artifacts.manifest()))
        let first = plan(observation([one], aliases: aliases, status: empty.status)).status
        let two = Artifacts.run(2, .written(Artifacts.manifest(Artifacts.run(2, completed: 5))), completed: 5)
        let second = plan(observation([two], aliases: aliases, status: first))
        #expect(
            first.aliases.map { "\($0.name)=\($0.version)" } == [
                "candidate=mnist-11111-r1", "production=mnist-11111-r1",
            ])
        #expect(
            second.status.aliases.map { "\($0.name)=\($0.version)" }
                == ["candidate=mnist-11111-r2", "production=mnist-11111-r1"])
        #expect(second.events.map(\.reason) == ["Published", "AliasMoved"])
        #expect(second.events.last?.message == "candidate is mnist-11111-r2 (was mnist-11111-r1)")
    }
}
