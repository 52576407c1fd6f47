import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import TrainingContract

@testable import Operator

/// Builders for observations of GCSArtifacts.
enum Artifacts {
    static let clusterUID = "cluster-1"
    static let uid = "11111111-aaaa"
    static let projectNumber: Int64 = 123_456_789_012
    static let now = Timestamp(seconds: 1_795_255_200)
    static let reference = "//storage.googleapis.com/projects/_/buckets/runs-bucket"

    static let configuration: OperatorConfiguration = {
        guard let cluster = ClusterName(project: "sandbox-project", location: "us-central1", cluster: "sandbox") else {
            preconditionFailure("a valid cluster name")
        }
        return OperatorConfiguration(
            cluster: cluster, clusterUID: clusterUID, zones: ["us-central1-a"], trainerImage: "trainer:test",
            createGrace: .seconds(30))
    }()

    static func artifact(
        bucket: GCSArtifact.Bucket? = bucketSpec(), bucketRef: String? = nil, prefix: String? = nil,
        layout: GCSArtifact.Layout = .byRun, aliases: [GCSArtifact.Alias]? = nil,
        deletionPolicy: GCSArtifact.DeletionPolicy = .retain, isDeleting: Bool = false, isConfirmed: Bool = false,
        status: GCSArtifact.Status? = nil
    ) -> GCSArtifact {
        GCSArtifact(
            metadata: ObjectMeta(
                name: "runs", namespace: "ml", uid: uid, resourceVersion: "7", generation: 3,
                deletionTimestamp: isDeleting ? now : nil,
                annotations: isConfirmed ? [Ownership.confirmDeletionAnnotation: "runs"] : nil),
            spec: GCSArtifact.Spec(
                artifactType: .runOutput, bucket: bucket, bucketRef: bucketRef.map { .init(name: $0) }, prefix: prefix,
                layout: layout, aliases: aliases, deletionPolicy: deletionPolicy),
            status: status)
    }

    static func bucketSpec(
        storageClass: GCSArtifact.StorageClass? = nil, versioning: Bool? = nil,
        rules: [GCSArtifact.LifecycleRule]? = nil, labels: [String: String]? = nil
    ) -> GCSArtifact.Bucket {
        GCSArtifact.Bucket(
            name: "runs-bucket", location: "us-central1", storageClass: storageClass,
            versioning: versioning.map { .init(enabled: $0) }, lifecycleRules: rules, labels: labels)
    }

    static let deleteOld = GCSArtifact.LifecycleRule(
        action: .init(type: .delete), condition: .init(ageDays: 7))

    static func bucket(
        labels: [String: String]? = Ownership.retainableLabels(
            .init(type: GCSArtifact.resourceType, namespace: "ml", name: "runs", uid: uid), clusterUID: clusterUID),
        metageneration: Int64 = 4, location: String = "US-CENTRAL1", storageClass: String? = "STANDARD",
        iam: IAMConfiguration? = .locked, versioning: Versioning? = nil, lifecycle: Lifecycle? = nil
    ) -> GoogleCloud.Bucket {
        GoogleCloud.Bucket(
            name: "runs-bucket", projectNumber: projectNumber, metageneration: metageneration, location: location,
            storageClass: storageClass, labels: labels, iamConfiguration: iam, versioning: versioning,
            lifecycle: lifecycle)
    }

    static func observation(
        _ artifact: GCSArtifact = artifact(), bucket: BucketObservation = .found(bucket(), isInProject: true),
        _ change: (inout GCSArtifactObservation) -> Void = { _ in }
    ) -> GCSArtifactObservation {
        var observation = GCSArtifactObservation(artifact: artifact, configuration: configuration, now: now)
        observation.bucket = bucket
        change(&observation)
        return observation
    }

    static func status(
        intent: Timestamp? = now, uri: String? = nil, state: String = "Active",
        _ change: (inout GCSArtifact.Status) -> Void = { _ in }
    ) -> GCSArtifact.Status {
        var status = GCSArtifact.Status()
        var entry = CloudResource(externalRef: reference, role: "Bucket", state: state)
        entry.intentTime = intent
        status.resources = [entry]
        status.uri = uri
        change(&status)
        return status
    }

    static let files: [String: OutputFile] = [
        "metrics.json": OutputFile(sizeBytes: 120, crc32c: "AAAAAA==", generation: 11),
        "model.safetensors": OutputFile(sizeBytes: 4800, crc32c: "BBBBBB==", generation: 12),
    ]

    static func run(
        _ number: Int = 1, _ manifest: ManifestObservation = .absent(files: files), completed: Int64 = 0
    ) -> VerifiedRun {
        let id = "mnist-11111-r\(number)"
        let outputs = files.sorted { $0.key < $1.key }.map { path, file in
            var output = TrainingJob.OutputsStatus.File(path: path)
            output.crc32c = file.crc32c
            output.generation = String(file.generation)
            output.sizeBytes = file.sizeBytes
            output.verified = true
            return output
        }
        guard let prefix = StorageURI("gs://runs-bucket/runs/\(id)/") else { preconditionFailure("a valid place") }
        return VerifiedRun(
            job: "mnist", id: id, specHash: "v1:sha256:00", prefix: prefix,
            completionTime: now + .seconds(completed), outputs: outputs,
            metrics: [.init(name: "test_accuracy", value: "91.2")], manifest: manifest)
    }

    static func manifest(_ run: VerifiedRun = run()) -> [UInt8] {
        GCSArtifactManifest(run, files: files, artifact: artifact()).bytes
    }

    /// `Type=Status/Reason` of each condition.
    static func conditions(_ status: GCSArtifact.Status) -> [String] {
        status.conditions.map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" }
    }
}
