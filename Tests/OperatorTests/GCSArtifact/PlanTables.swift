import Encoding
import GoogleCloud
import Testing

@testable import Operator

/// A setting that differs, and what is sent for it.
struct Drift: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let spec: GCSArtifact.Bucket
    let bucket: GoogleCloud.Bucket
    let patch: BucketPatch

    init(_ name: String, _ spec: GCSArtifact.Bucket, _ bucket: GoogleCloud.Bucket, _ patch: BucketPatch) {
        testDescription = name
        self.spec = spec
        self.bucket = bucket
        self.patch = patch
    }

    static let deleteRule = LifecycleRule(action: .init(type: "Delete"), condition: .init(age: 7))
    static let otherRule = LifecycleRule(
        action: .init(type: "SetStorageClass", storageClass: "NEARLINE"), condition: .init(age: 0))

    static let cases: [Drift] = [
        Drift(
            "nothing", Artifacts.bucketSpec(),
            Artifacts.bucket(storageClass: "COLDLINE", versioning: .init(enabled: true)), BucketPatch()),
        Drift(
            "class", Artifacts.bucketSpec(storageClass: .nearline), Artifacts.bucket(),
            BucketPatch(storageClass: "NEARLINE")),
        Drift(
            "versioning on", Artifacts.bucketSpec(versioning: true), Artifacts.bucket(),
            BucketPatch(versioning: .init(enabled: true))),
        Drift("versioning off is off", Artifacts.bucketSpec(versioning: false), Artifacts.bucket(), BucketPatch()),
        Drift(
            "public access", Artifacts.bucketSpec(), Artifacts.bucket(iam: nil), BucketPatch(iamConfiguration: .locked)),
        Drift(
            "a label", Artifacts.bucketSpec(labels: ["team": "a"]), Artifacts.bucket(),
            BucketPatch(labels: ["team": "a"])),
        Drift(
            "rules", Artifacts.bucketSpec(rules: [Artifacts.deleteOld]), Artifacts.bucket(),
            BucketPatch(lifecycle: Lifecycle(rule: [deleteRule]))),
        Drift("no rules are no rules", Artifacts.bucketSpec(rules: []), Artifacts.bucket(), BucketPatch()),
        Drift(
            "foreign rules", Artifacts.bucketSpec(rules: []), Artifacts.bucket(lifecycle: Lifecycle(rule: [otherRule])),
            BucketPatch(lifecycle: Lifecycle(rule: []))),
    ]
}

/// What a deletion sees and does.
struct Deletion: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let observation: GCSArtifactObservation
    let steps: [GCSArtifactAction]
    let ready: String
    let isFinalized: Bool

    static let cases: [Deletion] = {
        func case_(
            _ name: String, _ policy: GCSArtifact.DeletionPolicy, confirmed: Bool = true,
            status: GCSArtifact.Status? = Artifacts.status(uri: "gs://runs-bucket/a/") {
                $0.bucket = .init(); $0.bucket?.owned = true
            },
            bucket: BucketObservation = .found(Artifacts.bucket(), isInProject: true), users: [String] = [],
            contents: [ObjectGeneration] = [], isKindGoing: Bool = false, steps: [GCSArtifactAction] = [],
            ready: String = "Deleting", isFinalized: Bool = false, ofBucket reference: String? = nil
        ) -> Deletion {
            let artifact = Artifacts.artifact(
                bucket: reference == nil ? Artifacts.bucketSpec() : nil, bucketRef: reference, prefix: "a/",
                deletionPolicy: policy, isDeleting: true, isConfirmed: confirmed, status: status)
            let observation = Artifacts.observation(artifact, bucket: bucket) {
                $0.users = users
                $0.contents = contents
                $0.isKindGoing = isKindGoing
            }
            return Deletion(
                testDescription: name, observation: observation, steps: steps, ready: ready, isFinalized: isFinalized)
        }
        let owner = Artifacts.observation().owner
        let objects = (0..<60).map { ObjectGeneration(name: "a/\($0)", generation: 1) }
        return [
            case_("retain keeps everything", .retain, isFinalized: true),
            case_("nothing was ever made", .deleteBucket, status: nil, isFinalized: true),
            case_(
                "unconfirmed objects stay", .deleteObjects, confirmed: false, contents: objects,
                ready: "ConfirmationRequired"),
            case_("an unconfirmed bucket stays", .deleteBucket, confirmed: false, ready: "ConfirmationRequired"),
            case_("used data stays", .deleteBucket, users: ["TrainingJob x"], contents: objects, ready: "InUse"),
            case_(
                "objects go in batches", .deleteObjects, contents: objects,
                steps: [.deleteObjects(Array(objects.prefix(50)), in: "runs-bucket", owner: owner)]),
            case_(
                "with its kind goes no data", .deleteBucket, contents: objects, isKindGoing: true, isFinalized: true),
            case_("no object is left", .deleteObjects, isFinalized: true),
            case_(
                "the bucket goes when it is empty", .deleteBucket, steps: [.deleteBucket("runs-bucket", owner: owner)]),
            case_(
                "the bucket is gone", .deleteBucket, status: Artifacts.status(intent: nil, uri: "gs://runs-bucket/a/"),
                bucket: .absent, isFinalized: true),
            case_("a create may be on its way", .deleteBucket, status: Artifacts.status(), bucket: .absent),
            case_(
                "our bucket may not be read any more", .deleteBucket, bucket: .forbidden("no"),
                ready: "PermissionDenied"),
            case_(
                "a prefix that may not be read any more", .deleteObjects,
                status: Artifacts.status(uri: "gs://runs-bucket/a/"), bucket: .forbidden("no"),
                ready: "PermissionDenied", ofBucket: "home"),
        ]
    }()
}
