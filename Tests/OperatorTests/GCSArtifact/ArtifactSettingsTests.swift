import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Testing

@testable import Operator

/// Settings that are not as described, planned.
struct ArtifactSettingsTests {
    private func plan(_ observation: GCSArtifactObservation) -> Plan<GCSArtifact.Status, GCSArtifactAction> {
        GCSArtifactController.plan(observation)
    }

    private static func bucket(_ change: (inout GCSArtifact.Bucket) -> Void) -> GCSArtifact.Bucket {
        var bucket = Artifacts.bucketSpec()
        change(&bucket)
        return bucket
    }

    private static func found(_ change: (inout GoogleCloud.Bucket) -> Void) -> GoogleCloud.Bucket {
        var bucket = Artifacts.bucket()
        change(&bucket)
        return bucket
    }

    @Test(
        arguments: [
            Drift(
                "Autoclass", bucket { $0.autoclass = .init(enabled: true, terminalStorageClass: .archive) },
                Artifacts.bucket(), BucketPatch(autoclass: .init(enabled: true, terminalStorageClass: "ARCHIVE"))),
            Drift(
                "no Autoclass is none", bucket { $0.autoclass = .init(enabled: false) }, Artifacts.bucket(),
                BucketPatch()),
            Drift(
                "Autoclass to its own end", bucket { $0.autoclass = .init(enabled: true) },
                found { $0.autoclass = .init(enabled: true, terminalStorageClass: "NEARLINE") }, BucketPatch()),
            Drift(
                "a longer retention", bucket { $0.retention = .init(retentionSeconds: 100) },
                found { $0.retentionPolicy = .init(retentionPeriod: 60, isLocked: true) },
                BucketPatch(retentionPolicy: .init(retentionPeriod: 100))),
            Drift(
                "a key", bucket { $0.kmsKeyName = "k" }, found { $0.encryption = .init(defaultKmsKeyName: "other") },
                BucketPatch(encryption: .init(defaultKmsKeyName: "k"))),
            Drift(
                "rules in other words",
                bucket {
                    $0.lifecycleRules = [
                        .init(action: .init(type: .delete), condition: .init(ageDays: 0, matchesPrefix: ["a/", "b/"]))
                    ]
                },
                found {
                    $0.lifecycle = Lifecycle(rule: [
                        .init(
                            action: .init(type: "Delete"),
                            condition: .init(age: 0, matchesPrefix: ["b/", "a/"], matchesSuffix: []))
                    ])
                }, BucketPatch()),
        ]) func `only what differs is set`(_ drift: Drift)
    {
        let artifact = Artifacts.artifact(bucket: drift.spec, status: Artifacts.status())
        let observation = Artifacts.observation(artifact, bucket: .found(drift.bucket, isInProject: true))
        let plan = plan(observation)
        #expect(
            plan.steps
                == (drift.patch.isEmpty
                    ? []
                    : [.cloud(.patchBucket("runs-bucket", drift.patch, metageneration: 4, owner: observation.owner))]))
    }

    @Test func `drift is in the status before it is corrected`() throws {
        let artifact = Artifacts.artifact(bucket: Artifacts.bucketSpec(versioning: true))
        let good = plan(
            Artifacts.observation(
                artifact, bucket: .found(Artifacts.bucket(versioning: .init(enabled: true)), isInProject: true)))
        let hash = try #require(good.status.bucket?.settingsHash)
        #expect(hash.count == 32)
        var drifted = artifact
        drifted.status = good.status
        let first = plan(Artifacts.observation(drifted))
        #expect(first.steps == [])
        #expect(first.status.drift.map(\.action) == ["Correcting"])
        #expect(first.events.map(\.reason) == ["UpdatingBucket", "Drifted"])
        drifted.status = first.status
        let second = plan(Artifacts.observation(drifted))
        #expect(second.steps.count == 1)
        #expect(second.status.drift == first.status.drift)
        drifted.status = second.status
        let third = plan(
            Artifacts.observation(
                drifted, bucket: .found(Artifacts.bucket(versioning: .init(enabled: true)), isInProject: true)))
        #expect(third.status.drift.map(\.action) == ["Corrected"])
        #expect(third.status.bucket?.settingsHash == hash)
    }

    @Test func `public access is closed again even where drift is only told of`() {
        var artifact = Artifacts.artifact(bucket: Artifacts.bucketSpec(versioning: true))
        artifact.spec.driftPolicy = .report
        let good = Artifacts.bucket(versioning: .init(enabled: true))
        artifact.status = plan(Artifacts.observation(artifact, bucket: .found(good, isInProject: true))).status
        let observation = Artifacts.observation(
            artifact, bucket: .found(Artifacts.bucket(iam: nil), isInProject: true))
        #expect(
            plan(observation).steps == [
                .cloud(
                    .patchBucket(
                        "runs-bucket", BucketPatch(iamConfiguration: .locked), metageneration: 4,
                        owner: observation.owner))
            ])
    }

    @Test func `the list of drift is bounded, and the newest is first`() throws {
        var status = Artifacts.status()
        status.drift = (0..<16).map {
            .init(path: "bucket.old\($0)", desired: "", observed: "", action: "Corrected", time: Artifacts.now)
        }
        var described = GCSArtifact.Status.BucketStatus()
        described.settingsHash = GCSArtifactSettings.hash(Artifacts.bucketSpec(versioning: true))
        status.bucket = described
        let artifact = Artifacts.artifact(bucket: Artifacts.bucketSpec(versioning: true), status: status)
        let drift = plan(Artifacts.observation(artifact)).status.drift
        #expect(drift.count == 16)
        #expect(drift.first?.path == "bucket.versioning")
    }

    @Test func `a setting that is never kept is not set without end`() {
        var status = Artifacts.status()
        status.observedGeneration = 3
        status.conditions = [
            Condition(
                type: "Reconciling", status: .true, reason: "UpdatingBucket", message: "",
                lastTransitionTime: Artifacts.now + .seconds(-600))
        ]
        let spec = Artifacts.bucketSpec(versioning: true)
        let patient = plan(Artifacts.observation(Artifacts.artifact(bucket: spec, status: status)))
        #expect(patient.steps.count == 1)
        #expect(patient.next == .after(.seconds(600)))
        status.conditions[0].lastTransitionTime = Artifacts.now + .seconds(-901)
        let refused = plan(Artifacts.observation(Artifacts.artifact(bucket: spec, status: status)))
        #expect(refused.steps == [])
        #expect(Artifacts.conditions(refused.status) == ["Ready=False/SettingRefused", "Stalled=True/SettingRefused"])
        let again = plan(Artifacts.observation(Artifacts.artifact(bucket: spec, status: refused.status)))
        #expect(again.steps == [])
        #expect(again.status == refused.status)
    }

    @Test func `a retention that somebody locked for longer stalls`() {
        let spec = Self.bucket { $0.retention = .init(retentionSeconds: 60) }
        let found = Self.found { $0.retentionPolicy = .init(retentionPeriod: 100, isLocked: true) }
        let plan = plan(
            Artifacts.observation(Artifacts.artifact(bucket: spec), bucket: .found(found, isInProject: true)))
        #expect(plan.steps == [])
        #expect(Artifacts.conditions(plan.status) == ["Ready=False/RetentionLocked", "Stalled=True/RetentionLocked"])
    }

    @Test(
        arguments: [
            (
                "settings of an observed bucket",
                bucket {
                    $0.managementPolicy = .observe; $0.labels = ["a": "b"]
                }
            ),
            ("no location", bucket { $0.location = nil }),
            (
                "a lock without management",
                bucket {
                    $0.managementPolicy = .createOnly
                    $0.retention = .init(retentionSeconds: 1, locked: true)
                }
            ),
            (
                "two ways to cool",
                bucket {
                    $0.autoclass = .init(enabled: true)
                    $0.lifecycleRules = [
                        .init(
                            action: .init(type: .setStorageClass, storageClass: .nearline),
                            condition: .init(ageDays: 1, matchesPrefix: ["a"]))
                    ]
                }
            ),
            (
                "a cold bucket with Autoclass",
                bucket {
                    $0.autoclass = .init(enabled: true); $0.storageClass = .archive
                }
            ),
        ]) func `a wrong bucket stalls`(_ name: String, bucket: GCSArtifact.Bucket)
    {
        let plan = plan(Artifacts.observation(Artifacts.artifact(bucket: bucket), bucket: .absent))
        #expect(Artifacts.conditions(plan.status) == ["Ready=False/InvalidSpec", "Stalled=True/InvalidSpec"])
        #expect(plan.steps == [])
    }
}
