import Encoding
import Kubernetes
import Testing

/// One object, or one change of an object, that a CRD accepts or refuses.
struct CRDRuleCase: Sendable, CustomTestStringConvertible {
    /// One member below the object: numbers are indices, nil removes.
    struct Change: Sendable {
        var path: String
        var value: JSONValue?

        init(_ path: String, _ value: JSONValue?) {
            self.path = path
            self.value = value
        }
    }

    var kind: ResourceType
    /// The rule that it is for: its place in the schema and its number there, `spec.bucket#0`; nil is the schema itself.
    var rule: String?
    /// How the object differs from the example before the change.
    var before: [Change] = []
    /// Written to the status before the change.
    var status: JSONValue?
    var change: [Change]
    /// Whether the object exists before the change.
    var isUpdate = false
    /// Part of the refusal; nil: accepted.
    var refusal: String?

    var testDescription: String {
        let paths = change.map(\.path).joined(separator: " ")
        return "\(kind.kind) \(isUpdate ? "update" : "create") \(rule ?? "") \(paths) \(refusal ?? "accepted")"
    }
}

/// The cases that were tried with a kube-apiserver of version 1.36 and the drafts of the CRDs, as far as the CRDs have
/// their fields, and at least one accepting and one refusing case for every rule that the CRDs have.
enum CRDRuleCases {
    static let job = ResourceType(
        group: "trainyard.dev", version: "v1alpha1", kind: "TrainingJob", plural: "trainingjobs")
    static let artifact = ResourceType(
        group: "trainyard.dev", version: "v1alpha1", kind: "GCSArtifact", plural: "gcsartifacts")

    static let all =
        jobs + capacity + running + money + sources + preflight + ending + artifacts + artifactBuckets
        + artifactContents + jobUpdates + artifactUpdates + endpoints

    static func job(
        _ path: String, _ value: JSONValue?, _ refusal: String? = nil, rule: String? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(kind: job, rule: rule, change: [.init(path, value)], refusal: refusal)
    }

    private static func artifact(
        _ path: String, _ value: JSONValue?, _ refusal: String? = nil, rule: String? = nil,
        with more: [CRDRuleCase.Change] = []
    ) -> CRDRuleCase {
        CRDRuleCase(kind: artifact, rule: rule, change: [.init(path, value)] + more, refusal: refusal)
    }

    private static func updated(
        _ kind: ResourceType, _ path: String, _ value: JSONValue?, _ refusal: String? = nil, rule: String? = nil,
        before: [CRDRuleCase.Change] = [], status: JSONValue? = nil
    ) -> CRDRuleCase {
        CRDRuleCase(
            kind: kind, rule: rule, before: before, status: status, change: [.init(path, value)], isUpdate: true,
            refusal: refusal)
    }

    // MARK: TrainingJob

    private static let longKey = String(repeating: "k", count: 64)
    private static let resourceKey = String(repeating: "k", count: 129)
    private static let longName = String(repeating: "a", count: 41)

    private static let jobs: [CRDRuleCase] = [
        job("metadata.name", "a.b", "RFC 1035", rule: "#0"), job("metadata.name", "1a", "RFC 1035", rule: "#0"),
        job("metadata.name", .string(longName), "RFC 1035", rule: "#0"), job("metadata.name", "a-9", rule: "#0"),
        job("spec", nil, "spec: Required value"), job("spec.suspend", true),
        job("spec.accelerator", nil),
        job("spec.managedBy", "someone", "Unsupported value"),
        job("spec.backend.type", "CloudTPU", "spec.backend.type: Unsupported value"),
        job("spec.backend.gke.nodePool.policy", "Shared", "Unsupported value"),
        job(
            "spec.trainer.hyperparameters", ["bad-key": "1"], "keys must match", rule: "spec.trainer.hyperparameters#0"),
        job(
            "spec.trainer.hyperparameters", [longKey: "1"], "at most 63 characters",
            rule: "spec.trainer.hyperparameters#0"),
        job("spec.trainer.hyperparameters", ["good_key": "1"], rule: "spec.trainer.hyperparameters#0"),
        job("spec.trainer.hyperparameters.epochs", 5, "spec.trainer.hyperparameters.epochs: Invalid value"),
        job("spec.trainer.numNodes", 0, "should be greater than or equal to 1"),
        job(
            "spec.trainer.resourcesPerNode",
            ["requests": ["cpu": 6, "memory": "24Gi"], "limits": ["nvidia.com/gpu": 1]],
            rule: "spec.trainer.resourcesPerNode.requests#0"),
        job(
            "spec.trainer.resourcesPerNode", ["requests": [resourceKey: 1]], "at most 128 characters",
            rule: "spec.trainer.resourcesPerNode.requests#0"),
        job("spec.trainer.resourcesPerNode", ["limits": ["cpu": 1]], rule: "spec.trainer.resourcesPerNode.limits#0"),
        job(
            "spec.trainer.resourcesPerNode", ["limits": [resourceKey: 1]], "at most 128 characters",
            rule: "spec.trainer.resourcesPerNode.limits#0"),
        job(
            "spec.trainer.resourcesPerNode", ["requests": ["cpu": "six"]],
            "spec.trainer.resourcesPerNode.requests.cpu in body should match"),
        job("spec.trainer.image", "no spaces allowed", "spec.trainer.image"),
        job("spec.accelerator.gpu.driverVersion", "570.133.20"),
        job("spec.accelerator.gpu.driverVersion", "newest", "spec.accelerator.gpu.driverVersion"),
        job("spec.capacity.candidates.1.name", "spot", "must be unique", rule: "spec.capacity.candidates#0"),
        job("spec.capacity.candidates.1.name", "other", rule: "spec.capacity.candidates#0"),
        job("spec.capacity.candidates", [], "should have at least 1 items"),
        job("spec.capacity.candidates.0.provisioningModel", "Preemptible", "Unsupported value"),
        job("spec.capacity.candidates.0.zones.0", "us-central1", "spec.capacity.candidates[0].zones[0]"),
        job("spec.inputs.0.mode", "Copy", "Unsupported value"),
        job("spec.inputs.0.mode", nil, "spec.inputs[0].mode: Required value"),
        job("spec.outputs.prefix", "x/{runID}/y/", rule: "spec.outputs.prefix#0"),
        job("spec.outputs.prefix", "runs/x/", "must contain {runID}", rule: "spec.outputs.prefix#0"),
        job("spec.outputs.prefix", "a/..b/{runID}/", rule: "spec.outputs.prefix#1"),
        job("spec.outputs.prefix", "a/../{runID}/", "must not contain ..", rule: "spec.outputs.prefix#1"),
        job("spec.outputs.prefix", "/{runID}/", "should match"),
        job("spec.outputs.assertions.0.value", "-1.5e3"),
        job("spec.outputs.assertions.0.value", 85, "spec.outputs.assertions[0].value"),
        job("spec.outputs.assertions.0.operator", "AtLeast", "Unsupported value"),
        job("spec.failurePolicy", ["maxRestarts": -1], "should be greater than or equal to 0"),
    ]

    private static let hasRun: JSONValue = ["run": ["number": 1, "id": "r1"]]
    private static let rejects: [CRDRuleCase.Change] = [.init("spec.onSpecChange", "Reject")]
    private static let refusesChange = "onSpecChange is Reject"

    private static let jobUpdates: [CRDRuleCase] = [
        updated(job, "spec.managedBy", "kueue.x-k8s.io/multikueue", "managedBy is immutable", rule: "spec.managedBy#0"),
        updated(job, "spec.managedBy", nil, rule: "spec.managedBy#0"), updated(job, "spec.suspend", true),
        updated(job, "spec.trainer.numNodes", 8, status: hasRun),
        updated(job, "spec.trainer.numNodes", 8, refusesChange, rule: "#1", before: rejects, status: hasRun),
        updated(job, "spec.trainer", nil, refusesChange, rule: "#1", before: rejects, status: hasRun),
        updated(job, "spec.trainer.numNodes", 8, rule: "#1", before: rejects),
        updated(job, "spec.suspend", true, rule: "#1", before: rejects, status: hasRun),
    ]

    // MARK: GCSArtifact

    private static let prefixMode: [CRDRuleCase.Change] = [
        .init("spec.bucket", nil), .init("spec.bucketRef", ["name": "other"]), .init("spec.prefix", "models/a/"),
    ]
    private static let versioned = CRDRuleCase.Change("spec.layout", "Versioned")

    private static let artifacts: [CRDRuleCase] = [
        artifact("metadata.name", "a.b", "must be a DNS label", rule: "#0"),
        artifact("metadata.name", "9a", rule: "#0"),
        artifact("spec", nil, "spec: Required value"),
        artifact("spec.bucketRef", ["name": "other"], "exactly one of bucket, bucketRef", rule: "spec#0"),
        artifact("spec.bucket", nil, "exactly one of bucket, bucketRef", rule: "spec#0"),
        artifact("spec.deletionPolicy", "Retain", rule: "spec#0", with: prefixMode),
        artifact("spec.bucket.name", "Capital", "spec.bucket.name"),
        artifact("spec.prefix", "models/a/"), artifact("spec.prefix", "models/a", "should match"),
        artifact("spec.prefix", "models/../a/", "should match"),
        artifact("spec.layout", "Git", "spec.layout: Unsupported value"),
        artifact("spec.deletionPolicy", "DeleteBucketX", "Unsupported value"),
        artifact("spec.prefix", nil, "prefix mode needs a prefix", rule: "spec#5", with: Array(prefixMode.prefix(2))),
        artifact("spec.artifactType", "Model", rule: "spec#5", with: prefixMode),
        artifact("spec.deletionPolicy", "DeleteObjects", "DeleteObjects needs a prefix", rule: "spec#6"),
        artifact("spec.deletionPolicy", "DeleteObjects", rule: "spec#6", with: [.init("spec.prefix", "a/")]),
        artifact("spec.deletionPolicy", "DeleteBucket", rule: "spec#7"),
        artifact(
            "spec.deletionPolicy", "DeleteBucket", "DeleteBucket needs a bucket", rule: "spec#7", with: prefixMode),
        artifact(
            "spec.bucket.lifecycleRules.2.condition", ["ageDays": 7], "it would delete published versions",
            rule: "spec#8", with: [versioned]),
        artifact(
            "spec.bucket.lifecycleRules.2.condition", ["ageDays": 7, "isLive": false], rule: "spec#8",
            with: [versioned]),
        artifact("spec.bucket.softDelete", ["retentionSeconds": 0], rule: "spec.bucket.softDelete#0"),
        artifact("spec.bucket.softDelete", ["retentionSeconds": 604_800], rule: "spec.bucket.softDelete#0"),
        artifact(
            "spec.bucket.softDelete", ["retentionSeconds": 3600], "7 to 90 days", rule: "spec.bucket.softDelete#0"),
        artifact("spec.bucket.lifecycleRules.0.condition", [:], "at least 1 properties"),
        artifact(
            "spec.bucket.lifecycleRules.0.action", ["type": "SetStorageClass"], "storageClass exactly",
            rule: "spec.bucket.lifecycleRules[].action#0"),
        artifact(
            "spec.bucket.lifecycleRules.0.action", ["type": "Delete"], rule: "spec.bucket.lifecycleRules[].action#0"),
        artifact(
            "spec.bucket.lifecycleRules.1",
            ["action": ["type": "AbortIncompleteMultipartUpload"], "condition": ["isLive": true]],
            "takes only ageDays", rule: "spec.bucket.lifecycleRules[]#0"),
        artifact(
            "spec.bucket.lifecycleRules.1",
            ["action": ["type": "AbortIncompleteMultipartUpload"], "condition": ["ageDays": 1]],
            rule: "spec.bucket.lifecycleRules[]#0"),
        artifact("spec.bucket.labels", ["Team": "a"], "keys must match", rule: "spec.bucket.labels#0"),
        artifact("spec.bucket.labels", ["team": "a"], rule: "spec.bucket.labels#0"),
        artifact("spec.aliases", [["name": "production", "policy": "LatestVerified"]], rule: "spec.aliases[]#0"),
        artifact(
            "spec.aliases", [["name": "production", "version": "v1", "policy": "LatestVerified"]],
            "exactly one of version, policy", rule: "spec.aliases[]#0"),
        artifact(
            "spec.aliases", [["name": "a", "version": "v1"], ["name": "a", "version": "v2"]], "Duplicate value"),
    ]

    private static let artifactUpdates: [CRDRuleCase] = [
        updated(artifact, "spec.artifactType", "Model", rule: "spec#1"),
        updated(artifact, "spec.artifactType", "Model", rule: "spec#2", before: prefixMode),
        updated(artifact, "spec.bucketRef.name", "third", "bucketRef is immutable", rule: "spec#2", before: prefixMode),
        updated(artifact, "spec.prefix", "models/", "prefix is immutable", rule: "spec#3"),
        updated(
            artifact, "spec.prefix", nil, "prefix is immutable", rule: "spec#3", before: [.init("spec.prefix", "a/")]),
        updated(artifact, "spec.artifactType", "Model", rule: "spec#3", before: [.init("spec.prefix", "a/")]),
        updated(artifact, "spec.layout", "Flat", "layout is immutable", rule: "spec#4"),
        updated(artifact, "spec.deletionPolicy", "DeleteBucket", rule: "spec#4"),
        updated(artifact, "spec.bucket.name", "another-bucket", "bucket.name is immutable", rule: "spec.bucket#0"),
        updated(artifact, "spec.bucket.storageClass", "Nearline", rule: "spec.bucket#0"),
        updated(artifact, "spec.bucket.location", "us-east1", "bucket.location is immutable", rule: "spec.bucket#1"),
        updated(artifact, "spec.bucket.storageClass", "Nearline", rule: "spec.bucket#1"),
        CRDRuleCase(
            kind: artifact, rule: "spec#1", before: prefixMode,
            change: [
                .init("spec.bucketRef", nil),
                .init("spec.bucket", ["name": "new-bucket", "location": "us-central1"]),
            ], isUpdate: true, refusal: "bucket and bucketRef cannot be exchanged"),
    ]

    /// Fields of the drafts whose cases are left out because the CRDs do not have them. A field that comes brings its
    /// cases with it.
    static let absent: [(kind: ResourceType, path: [String])] = [
        (job, ["backend", "vertexAI"]), (job, ["backend", "cloudTPU"]),
        (job, ["checkpoint", "resume"]),
        (job, ["inputs", "artifactRef", "version"]), (job, ["budget", "lowUtilization"]),
        (job, ["tuning"]), (artifact, ["bucket", "anywhereCacheZones"]),
    ]
}
