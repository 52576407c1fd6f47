import ControllerRuntime
import GoogleCloud
import HTTP
import Kubernetes

extension GCSArtifactController {
    /// Whether the object may have bindings in its bucket's policy. A grant that has begun is known by the reason that says
    /// so, one that is made by its condition: both were in the status before.
    private static func mayHoldGrants(_ artifact: GCSArtifact) -> Bool {
        let conditions = artifact.status?.conditions ?? []
        return conditions.isTrue(GCSArtifactAccess.condition)
            || conditions.contains { $0.reason == GCSArtifactReason.updatingAccess.rawValue }
    }

    /// The bucket's policy, where the object has bindings in it or should have.
    func observePolicy(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        let isWanted = artifact.spec.access?.bindings?.isEmpty == false
        guard isWanted || Self.mayHoldGrants(artifact), let bucket = observation.ownBucket,
            artifact.spec.bucket?.isManaged != false
        else { return }
        observation.policy = try await storage.policy(ofBucket: bucket.name)
    }

    /// While deleting: what was granted, in a bucket that is still ours.
    func observeGrants(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        guard Self.mayHoldGrants(artifact) || artifact.spec.access?.bindings?.isEmpty == false,
            let name = artifact.status?.uri.flatMap({ StorageURI($0) })?.bucket
        else { return }
        observation.bucket = try await bucket(name, known: artifact.status?.bucket)
        guard observation.ownBucket != nil else { return }
        do throws(APIError) {
            observation.policy = try await storage.policy(ofBucket: name)
        } catch {
            // A bucket that went meanwhile grants nothing.
            guard error.code == .notFound else { throw error }
        }
    }

    /// Makes these the object's bindings: reads the policy live, keeps all others, and sets it with the etag that was read.
    func setBindings(
        _ bindings: [IAMPolicy.Binding], of bucket: String, _ owner: ObjectReference
    ) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        guard let live, let uid = live.metadata.uid, uid == owner.uid else { throw changed("the object is gone") }
        let wanted =
            live.metadata.isDeleting ? [] : GCSArtifactAccess.bindings(live.spec, bucket: bucket, uid: uid)
        guard wanted == bindings else { throw changed("other bindings are wanted now") }
        try await requireOurs(bucket, owner: live.spec.bucket == nil ? nil : owner)
        let policy = try await storage.policy(ofBucket: bucket)
        let merged = GCSArtifactAccess.merged(policy, bindings, uid: uid)
        guard merged != policy else { return }
        _ = try await storage.setPolicy(merged, ofBucket: bucket)
    }
}
