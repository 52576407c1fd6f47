import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// The end of an object: the data stays unless the user asked for its deletion and confirmed it.
enum GCSArtifactDeletion {
    typealias Observation = GCSArtifactObservation
    typealias Decision = GCSArtifactDecision

    /// Versions of objects that one step deletes.
    static let batchSize = 50

    /// Rule `deleting`: works when nothing was ever created, and from what was really created.
    static func deleting(_ observation: Observation) -> Decision? {
        guard observation.artifact.metadata.isDeleting else { return nil }
        // With the definition of the kind go all objects. That is no wish to lose data, whatever the policy and the
        // annotation say: it stays, as with Retain.
        if observation.isKindGoing { return finalized(observation) }
        if let decision = GCSArtifactAccess.revoking(observation) { return decision }
        let policy = observation.spec.deletionPolicy
        let wasThere = observation.status.uri != nil || !observation.status.resources.isEmpty
        if policy == .retain || !wasThere { return finalized(observation) }
        switch observation.bucket {
        case .notLooked: return finalized(observation)
        case .absent: return absent(observation)
        case .forbidden(let message):
            // A bucket that was never ours is none of our business; a prefix that was in place had objects of ours.
            let wasInPlace = observation.spec.bucket == nil && observation.status.uri != nil
            guard observation.status.bucket?.owned == true || wasInPlace else { return finalized(observation) }
            return blocked(.permissionDenied, "the bucket cannot be read: \(message)", observation)
        case .found(let bucket, _):
            guard observation.ownBucket != nil else { return finalized(observation) }
            return blocked(observation) ?? emptying(bucket, observation)
        }
    }

    /// A create whose reply was lost may still be on its way.
    private static func absent(_ observation: Observation) -> Decision {
        let intent = observation.status.resources.compactMap(\.intentTime).max()
        if let intent, intent > observation.now {
            // From a clock that was set back since: its age counts from now.
            var status = observation.status
            for index in status.resources.indices { status.resources[index].intentTime = observation.moment }
            return .record(status, .deleting("waiting whether the bucket still appears"))
        }
        if let intent, observation.now - intent < observation.configuration.createGrace {
            return Decision(
                status: observation.status, situation: .deleting("waiting whether the bucket still appears"),
                next: .after(observation.configuration.createGrace))
        }
        return finalized(observation)
    }

    private static func blocked(_ observation: Observation) -> Decision? {
        guard observation.isDeletionConfirmed else {
            let name = observation.artifact.metadata.name
            return blocked(
                .confirmationRequired,
                "deletionPolicy \(observation.spec.deletionPolicy.rawValue) deletes data: confirm with the annotation "
                    + "\(Ownership.confirmDeletionAnnotation)=\(name), or set deletionPolicy to Retain",
                observation)
        }
        guard let user = observation.users.first else { return nil }
        return blocked(.inUse, "still used by \(user)", observation)
    }

    private static func blocked(
        _ reason: GCSArtifactReason, _ message: String, _ observation: Observation
    ) -> Decision {
        Decision(
            status: observation.status, situation: .deletionBlocked(reason, message),
            next: .after(GCSArtifactPlan.slowRecheck))
    }

    private static func emptying(_ bucket: Bucket, _ observation: Observation) -> Decision {
        let batch = Array(observation.contents.prefix(batchSize))
        if !batch.isEmpty {
            return Decision(
                steps: [.cloud(.deleteObjects(batch, in: bucket.name, owner: observation.owner))],
                status: observation.status, situation: .deleting("deleting objects"), next: .after(.zero))
        }
        guard observation.spec.deletionPolicy == .deleteBucket else { return finalized(observation) }
        if let stranger = observation.stranger {
            return blocked(
                .bucketNotEmpty,
                "\(observation.prefix) is empty, but the bucket \(bucket.name) also holds \(stranger), which is not this "
                    + "object's: remove what is left, or set deletionPolicy to DeleteObjects", observation)
        }
        return Decision(
            steps: [.cloud(.deleteBucket(bucket.name, owner: observation.owner))], status: observation.status,
            situation: .deleting("deleting the bucket \(bucket.name)"), next: .after(.zero))
    }

    private static func finalized(_ observation: Observation) -> Decision {
        var status = observation.status
        status.resources = []
        return Decision(status: status, situation: .deleting("nothing of ours is left"), next: .finalized)
    }
}
