import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Testing

@testable import Operator

struct GCSArtifactPlanTests {
    private typealias PlanOf = Plan<GCSArtifact.Status, GCSArtifactAction>

    private func plan(_ observation: GCSArtifactObservation) -> PlanOf { GCSArtifactController.plan(observation) }

    private func firstRule(_ observation: GCSArtifactObservation) -> String {
        GCSArtifactPlan.rules.rules.first { $0.decide(observation) != nil }?.name ?? "ready"
    }

    @Test func `the order of the rules is part of the safety`() {
        #expect(
            GCSArtifactPlan.rules.names == [
                "deleting", "invalidSpec", "managementConflict", "prefixConflict", "waitingForBucket", "observedBucket",
                "adoptingBucket", "bucketNotOurs", "recordingIntent", "creatingBucket", "locationMismatch",
                "retentionLocked", "updatingBucket", "lockingRetention", "grantingAccess", "configuringNotifications",
                "recordingVersions", "publishingVersions", "removingVersions", "signingURLs", "copyingSource",
            ])
    }

    @Test func `a new bucket: the intent is written before the create is sent`() {
        let first = plan(Artifacts.observation(bucket: .absent))
        #expect(first.steps == [])
        #expect(first.next == .after(.zero))
        #expect(first.status.resources.map(\.state) == ["Intent"])
        #expect(first.status.resources.first?.externalRef == Artifacts.reference)
        #expect(first.status.uri == nil)
        let second = plan(Artifacts.observation(Artifacts.artifact(status: first.status), bucket: .absent))
        let configuration = BucketConfiguration(
            name: "runs-bucket", location: "us-central1",
            labels: [
                "trainyard-owner-uid": Artifacts.uid, "trainyard-cluster-uid": Artifacts.clusterUID,
                "trainyard-object": "18ab5dc776a32b5dd0c4c63d3e1a2e3f",
            ])
        let owner = Artifacts.observation().owner
        #expect(second.steps == [.cloud(.createBucket(configuration, owner: owner))])
        #expect(second.status.resources == first.status.resources)
        #expect(
            Artifacts.conditions(second.status) == ["Ready=False/CreatingBucket", "Reconciling=True/CreatingBucket"])
    }

    @Test func `a bucket as described is ready`() {
        let plan = plan(Artifacts.observation(Artifacts.artifact(status: Artifacts.status(state: "Intent"))))
        #expect(plan.steps == [])
        #expect(plan.next == .whenChanged)
        #expect(plan.status.uri == "gs://runs-bucket/")
        #expect(plan.status.resources.map(\.state) == ["Active"])
        #expect(plan.status.bucket?.owned == true)
        #expect(plan.status.bucket?.projectNumber == "123456789012")
        #expect(Artifacts.conditions(plan.status) == ["Ready=True/Ready"])
        #expect(plan.events.map(\.reason) == ["BucketReady"])
    }

    @Test func `a ready object is planned the same again, without an event`() {
        let first = plan(Artifacts.observation(Artifacts.artifact(status: Artifacts.status())))
        let again = plan(Artifacts.observation(Artifacts.artifact(status: first.status)))
        #expect(again.status == first.status)
        #expect(again.steps == [])
        #expect(again.events == [])
    }

    @Test func `a bucket with our labels and no ledger is adopted`() {
        let plan = plan(Artifacts.observation())
        #expect(plan.status.resources.map(\.externalRef) == [Artifacts.reference])
        #expect(plan.status.uri == "gs://runs-bucket/")
    }

    @Test(arguments: [
        ("without labels", BucketObservation.found(Artifacts.bucket(labels: nil), isInProject: true)),
        (
            "of another object",
            .found(
                Artifacts.bucket(labels: Ownership.googleLabels(ownerUID: "x", clusterUID: Artifacts.clusterUID)),
                isInProject: true)
        ),
        (
            "of another cluster",
            .found(
                Artifacts.bucket(labels: Ownership.googleLabels(ownerUID: Artifacts.uid, clusterUID: "x")),
                isInProject: true)
        ),
        ("with our labels, in another project", .found(Artifacts.bucket(), isInProject: false)),
        ("that we may not see", .forbidden("no access")),
    ]) func `a bucket that is not ours is never touched`(_ name: String, bucket: BucketObservation) {
        let changed = Artifacts.bucketSpec(storageClass: .coldline, versioning: true)
        for artifact in [
            Artifacts.artifact(bucket: changed, status: Artifacts.status()),
            Artifacts.artifact(
                bucket: changed, deletionPolicy: .deleteBucket, isDeleting: true, isConfirmed: true,
                status: Artifacts.status(uri: "gs://runs-bucket/")),
        ] {
            let plan = plan(Artifacts.observation(artifact, bucket: bucket) { $0.runs = [Artifacts.run()] })
            #expect(plan.steps == [])
            #expect(plan.status.resources == [])
            if artifact.metadata.isDeleting {
                #expect(plan.next == .finalized)
            } else {
                #expect(
                    Artifacts.conditions(plan.status) == ["Ready=False/BucketNotOurs", "Stalled=True/BucketNotOurs"])
            }
        }
    }

    @Test func `the message says how to hand a bucket over`() {
        let plan = plan(Artifacts.observation(bucket: .found(Artifacts.bucket(labels: nil), isInProject: true)))
        #expect(
            plan.status.conditions.first?.message.contains(
                "--update-labels=trainyard-cluster-uid=cluster-1,trainyard-owner-uid=11111111-aaaa") == true)
    }

    @Test func `a bucket that somebody deleted is made again from a fresh intent`() {
        let artifact = Artifacts.artifact(status: Artifacts.status(intent: Artifacts.now + .seconds(-900)))
        let plan = plan(Artifacts.observation(artifact, bucket: .absent))
        #expect(plan.steps == [])
        #expect(plan.status.resources.map(\.state) == ["Intent"])
        #expect(plan.status.resources.first?.intentTime == Artifacts.now)
    }

    @Test func `an intent that is no longer fresh is written again before its create is sent`() {
        let late = Artifacts.now + .seconds(-16)
        let artifact = Artifacts.artifact(status: Artifacts.status(intent: late, state: "Intent"))
        let renewal = plan(Artifacts.observation(artifact, bucket: .absent))
        #expect(renewal.steps == [])
        #expect(renewal.next == .after(.zero))
        #expect(renewal.status.resources.map(\.intentTime) == [Artifacts.now])
        let create = plan(Artifacts.observation(Artifacts.artifact(status: renewal.status), bucket: .absent))
        #expect(create.steps.count == 1)
    }

    @Test func `a bucket elsewhere cannot be moved`() {
        let plan = plan(Artifacts.observation(bucket: .found(Artifacts.bucket(location: "EU"), isInProject: true)))
        #expect(Artifacts.conditions(plan.status) == ["Ready=False/LocationMismatch", "Stalled=True/LocationMismatch"])
        #expect(plan.steps == [])
    }

    // MARK: Settings

    @Test(arguments: Drift.cases)
    func `only what differs and was asked for is set`(_ drift: Drift) {
        let artifact = Artifacts.artifact(bucket: drift.spec, status: Artifacts.status())
        let observation = Artifacts.observation(artifact, bucket: .found(drift.bucket, isInProject: true))
        let plan = plan(observation)
        let expected: [PlanOf.Step] =
            drift.patch.isEmpty
            ? []
            : [.cloud(.patchBucket("runs-bucket", drift.patch, metageneration: 4, owner: observation.owner))]
        #expect(plan.steps == expected)
        #expect(plan.status.conditions.isTrue("Ready") == drift.patch.isEmpty)
    }

    // MARK: The spec

    @Test(arguments: [
        ("both", Artifacts.artifact(bucketRef: "x", prefix: "a/")),
        ("neither", Artifacts.artifact(bucket: nil)),
        ("no prefix", Artifacts.artifact(bucket: nil, bucketRef: "x")),
        ("an open prefix", Artifacts.artifact(prefix: "a")),
        ("dots", Artifacts.artifact(prefix: "a/../b/")),
        ("root", Artifacts.artifact(prefix: "/")),
        ("objects without a prefix", Artifacts.artifact(deletionPolicy: .deleteObjects)),
        (
            "a bucket of another",
            Artifacts.artifact(bucket: nil, bucketRef: "x", prefix: "a/", deletionPolicy: .deleteBucket)
        ),
        (
            "versions at risk",
            Artifacts.artifact(bucket: Artifacts.bucketSpec(rules: [Artifacts.deleteOld]), layout: .versioned)
        ),
    ]) func `a wrong spec stalls`(_ name: String, artifact: GCSArtifact) {
        let plan = plan(Artifacts.observation(artifact, bucket: .absent))
        #expect(Artifacts.conditions(plan.status) == ["Ready=False/InvalidSpec", "Stalled=True/InvalidSpec"])
        #expect(plan.steps == [])
    }

    @Test func `the younger of two overlapping artifacts stalls, and is finalized without touching anything`() {
        var observation = Artifacts.observation(Artifacts.artifact(prefix: "models/"), bucket: .absent)
        observation.conflict = "ml/older"
        #expect(
            Artifacts.conditions(plan(observation).status) == [
                "Ready=False/PrefixConflict", "Stalled=True/PrefixConflict",
            ])
        let deleted = Artifacts.artifact(
            prefix: "models/", deletionPolicy: .deleteObjects, isDeleting: true, isConfirmed: true)
        let plan = plan(Artifacts.observation(deleted, bucket: .notLooked))
        #expect(plan.next == .finalized)
        #expect(plan.steps == [])
    }

    // MARK: Prefix mode

    @Test(
        arguments: [
            ("missing", nil, "Ready=False/BucketNotReady"),
            (
                "not ready", ReferencedBucket(name: "b", bucket: "runs-bucket", isReady: false),
                "Ready=False/BucketNotReady"
            ),
            ("a prefix itself", ReferencedBucket(name: "b", bucket: nil, isReady: true), "Ready=False/InvalidSpec"),
            ("ready", ReferencedBucket(name: "b", bucket: "runs-bucket", isReady: true), "Ready=True/Ready"),
        ] as [(String, ReferencedBucket?, String)])
    func `a prefix waits for its bucket`(_ name: String, referenced: ReferencedBucket?, ready: String) {
        let artifact = Artifacts.artifact(bucket: nil, bucketRef: "b", prefix: "team/a/")
        let plan = plan(Artifacts.observation(artifact, bucket: .notLooked) { $0.referenced = referenced })
        #expect(Artifacts.conditions(plan.status).first == ready)
        #expect(plan.status.uri == (ready == "Ready=True/Ready" ? "gs://runs-bucket/team/a/" : nil))
        #expect(plan.status.resources == [])
        #expect(plan.steps == [])
    }

    // MARK: Deletion

    @Test(arguments: Deletion.cases) func `a deletion does what was asked for and confirmed`(_ deletion: Deletion) {
        let plan = plan(deletion.observation)
        #expect(plan.steps == deletion.steps.map { .cloud($0) })
        #expect((plan.next == .finalized) == deletion.isFinalized)
        #expect(plan.status.conditions.first?.reason == deletion.ready)
        #expect(plan.status.resources.isEmpty == deletion.isFinalized)
        #expect(firstRule(deletion.observation) == "deleting")
    }
}
