import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing

/// Every rule of the CRDs, tried on the simulated API server: one object that it accepts, one that it refuses.
@Suite struct CRDRuleTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var kind: ResourceType
        /// A path below `spec`, numbers are indices; empty for the whole spec.
        var path: String
        /// nil removes the member.
        var value: JSONValue?
        /// Part of the refusal; nil: accepted.
        var refusal: String?
        var testDescription: String { "\(kind.kind) \(path) \(refusal ?? "accepted")" }
    }

    private static let job = ResourceType(
        group: "trainyard.dev", version: "v1alpha1", kind: "TrainingJob", plural: "trainingjobs")
    private static let artifact = ResourceType(
        group: "trainyard.dev", version: "v1alpha1", kind: "GCSArtifact", plural: "gcsartifacts")

    private static func job(_ path: String, _ value: JSONValue?, _ refusal: String? = nil) -> Case {
        Case(kind: job, path: path, value: value, refusal: refusal)
    }

    private static func artifact(_ path: String, _ value: JSONValue?, _ refusal: String? = nil) -> Case {
        Case(kind: artifact, path: path, value: value, refusal: refusal)
    }

    /// The example's TrainingJob, and the artifact that receives its runs.
    private static func base(_ kind: ResourceType) throws -> JSONValue {
        let documents = try Repository.yaml("crds/examples/fashion-mnist.yaml")
        var found = try #require(documents.last { $0["kind"]?.stringValue == kind.kind })
        found.set("ml", at: ["metadata", "namespace"])
        return found
    }

    static let creations: [Case] = [
        job("", nil, "spec: Required value"),
        job("suspend", true),
        job("accelerator", nil, "spec.accelerator: Required value"),
        job("managedBy", "someone", "Unsupported value"),
        job("trainer.hyperparameters", ["bad-key": "1"], "keys must match"),
        job("trainer.hyperparameters.epochs", 5, "spec.trainer.hyperparameters.epochs"),
        job("trainer.numNodes", 0, "should be greater than or equal to 1"),
        job("trainer.resourcesPerNode", ["requests": ["cpu": 6, "memory": "24Gi"]]),
        job("trainer.resourcesPerNode", ["requests": ["cpu": "six"]], "spec.trainer.resourcesPerNode.requests"),
        job("trainer.image", "no spaces allowed", "spec.trainer.image"),
        job("accelerator.gpu.driverVersion", "570.133.20"),
        job("accelerator.gpu.driverVersion", "newest", "spec.accelerator.gpu.driverVersion"),
        job("capacity.candidates.1.name", "spot", "must be unique"),
        job("capacity.candidates", [], "should have at least 1 items"),
        job("capacity.candidates.0.provisioningModel", "Preemptible", "Unsupported value"),
        job("capacity.candidates.0.zones.0", "us-central1", "zones[0]"),
        job("inputs.0.mode", "Mount", "Unsupported value"),
        job("inputs.0.mode", nil, "spec.inputs[0].mode: Required value"),
        job("outputs.prefix", "x/{runID}/y/"),
        job("outputs.prefix", "runs/x/", "must contain {runID}"),
        job("outputs.prefix", "a/../{runID}/", "must not contain .."),
        job("outputs.prefix", "/{runID}/", "should match"),
        job("outputs.assertions.0.value", "-1.5e3"),
        job("outputs.assertions.0.value", 85, "spec.outputs.assertions[0].value"),
        job("outputs.assertions.0.operator", "AtLeast", "Unsupported value"),
        job("failurePolicy", ["maxRestarts": -1], "should be greater than or equal to 0"),
        artifact("", nil, "spec: Required value"),
        artifact("bucketRef", ["name": "other"], "exactly one of bucket, bucketRef"),
        artifact("bucket", nil, "exactly one of bucket, bucketRef"),
        artifact("bucket.location", nil, "spec.bucket.location: Required value"),
        artifact("bucket.name", "Capital", "spec.bucket.name"),
        artifact("prefix", "models/a/"),
        artifact("prefix", "models/a", "should match"),
        artifact("prefix", "models/../a/", "should match"),
        artifact("bucket.softDelete", ["retentionSeconds": 0]),
        artifact("bucket.softDelete", ["retentionSeconds": 3600], "7 to 90 days"),
        artifact("bucket.lifecycleRules.0.condition", [:], "at least 1 properties"),
        artifact("bucket.lifecycleRules.0.action", ["type": "SetStorageClass"], "storageClass exactly"),
        artifact(
            "bucket.lifecycleRules.1",
            ["action": ["type": "AbortIncompleteMultipartUpload"], "condition": ["isLive": true]],
            "takes only ageDays"),
        artifact("bucket.labels", ["Team": "a"], "keys must match"),
        artifact("aliases", [["name": "production", "policy": "LatestVerified"]]),
        artifact(
            "aliases", [["name": "production", "version": "v1", "policy": "LatestVerified"]],
            "exactly one of version, policy"),
        artifact("deletionPolicy", "DeleteBucket"),
        artifact("deletionPolicy", "DeleteObjects", "DeleteObjects needs a prefix"),
        artifact("layout", "Versioned", nil),
    ]

    @Test(arguments: creations)
    func `an object is accepted, or refused with the field and a reason`(row: Case) async throws {
        let client = try await Self.client()
        var object = try Self.base(row.kind)
        object["spec"] = Self.changed(object["spec"] ?? .null, row)
        try await Self.expect(row.refusal) { () throws(APIError) in
            try await client.create(row.kind, object)
        }
    }

    @Test func `a published version is out of reach of Delete rules`() async throws {
        let client = try await Self.client()
        var object = try Self.base(Self.artifact)
        object.set("Versioned", at: ["spec", "layout"])
        object.set(
            [["action": ["type": "Delete"], "condition": ["ageDays": 7]]], at: ["spec", "bucket", "lifecycleRules"])
        try await Self.expect("it would delete published versions") { () throws(APIError) in
            try await client.create(Self.artifact, object)
        }
    }

    @Test(arguments: [("a.b", "RFC 1035"), (String(repeating: "a", count: 41), "RFC 1035"), ("1a", "RFC 1035")])
    func `names from which host names are derived are short`(name: String, refusal: String) async throws {
        let client = try await Self.client()
        var object = try Self.base(Self.job)
        object.set(.string(name), at: ["metadata", "name"])
        try await Self.expect(refusal) { () throws(APIError) in try await client.create(Self.job, object) }
    }

    static let updates: [Case] = [
        job("managedBy", "kueue.x-k8s.io/multikueue", "managedBy is immutable"),
        job("suspend", true),
        job("trainer.hyperparameters.epochs", "5"),
        artifact("bucket.name", "another-bucket", "bucket.name is immutable"),
        artifact("bucket.location", "us-east1", "bucket.location is immutable"),
        artifact("prefix", "models/", "prefix is immutable"),
        artifact("layout", "Flat", "layout is immutable"),
        artifact("bucket.storageClass", "Nearline"),
    ]

    @Test(arguments: updates)
    func `a change is accepted, or refused because the field is immutable`(row: Case) async throws {
        let client = try await Self.client()
        var object = try await client.create(row.kind, try Self.base(row.kind))
        object["spec"] = Self.changed(object["spec"] ?? .null, row)
        try await Self.expect(row.refusal) { () throws(APIError) in
            try await client.update(row.kind, object)
        }
    }

    @Test func `onSpecChange Reject makes run-relevant fields immutable once a run exists`() async throws {
        let client = try await Self.client()
        var object = try Self.base(Self.job)
        object.set("Reject", at: ["spec", "onSpecChange"])
        object = try await client.create(Self.job, object)
        object.set("3", at: ["spec", "trainer", "hyperparameters", "epochs"])
        object = try await client.update(Self.job, object)
        object = try await client.mergePatch(
            ObjectReference(type: Self.job, namespace: "ml", name: "fashion-mnist"),
            ["status": ["run": ["number": 1, "id": "fashion-mnist-00000-r1"]]], subresource: "status")
        object.set("4", at: ["spec", "trainer", "hyperparameters", "epochs"])
        let changed = object
        try await Self.expect("onSpecChange is Reject") { () throws(APIError) in
            try await client.update(Self.job, changed)
        }
    }

    // MARK: Helpers

    private static func client() async throws -> KubernetesClient {
        let crds = try Repository.yaml("crds/trainingjobs.yaml") + Repository.yaml("crds/gcsartifacts.yaml")
        let cluster = try SimulatedCluster(
            ClusterConfiguration(
                crds: crds, users: ["admin": SimulatedUser(name: "admin", groups: ["system:masters"])],
                clock: VirtualClock()))
        let client = KubernetesClient(
            transport: HandlerTransport(cluster), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            credentials: { () throws(APIError) in "admin" })
        try await client.create(
            ResourceType(group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false),
            ["metadata": ["name": "ml"]])
        return client
    }

    private static func expect(
        _ refusal: String?, at location: SourceLocation = #_sourceLocation,
        _ body: () async throws(APIError) -> JSONValue
    ) async throws {
        do throws(APIError) {
            _ = try await body()
            #expect(refusal == nil, "accepted, not refused", sourceLocation: location)
        } catch {
            #expect(
                refusal.map { error.message.contains($0) } == true, "\(error.code): \(error.message)",
                sourceLocation: location)
        }
    }

    private static func changed(_ spec: JSONValue, _ row: Case) -> JSONValue? {
        if row.path.isEmpty { return row.value }
        return set(row.value, at: row.path.split(separator: ".").map(String.init)[...], in: spec)
    }

    private static func set(_ value: JSONValue?, at path: ArraySlice<String>, in parent: JSONValue) -> JSONValue? {
        guard let first = path.first else { return value }
        let rest = path.dropFirst()
        if let index = Int(first), case .array(var elements) = parent, elements.indices.contains(index) {
            elements[index] = set(value, at: rest, in: elements[index]) ?? .null
            return .array(elements)
        }
        var object = parent
        object[first] = set(value, at: rest, in: parent[first] ?? [:])
        return object
    }
}
