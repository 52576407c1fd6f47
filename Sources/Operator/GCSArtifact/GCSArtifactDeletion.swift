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
    /// Versions of objects that one look sees.
    static let pageSize = 200

    /// Rule `deleting`: works when nothing was ever created, and from what was really created.
    static func deleting(_ observation: Observation) -> Decision? {
        guard observation.artifact.metadata.isDeleting else { return nil }
        // With the definition of the kind go all objects. That is no wish to lose data, whatever the policy and the
        // annotation say: it stays, as with Retain.
        if observation.isKindGoing { return finalized(observation) }
        if observation.spec.deletionPolicy == .retain, !observation.users.isEmpty {
            return blocked(.inUse, "still used by \(names(observation.users)); its data stays in any case", observation)
        }
        if let decision = GCSArtifactAccess.revoking(observation) ?? GCSArtifactNotifications.removing(observation) {
            return decision
        }
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
        if let refusal = TenantRules.refusal(observation) {
            return blocked(.notAllowed, "\(refusal): set deletionPolicy to Retain to leave the data", observation)
        }
        guard observation.isDeletionConfirmed else {
            let name = observation.artifact.metadata.name
            return blocked(
                .confirmationRequired,
                "deletionPolicy \(observation.spec.deletionPolicy.rawValue) deletes data: confirm with the annotation "
                    + "\(Ownership.confirmDeletionAnnotation)=\(name), or set deletionPolicy to Retain",
                observation)
        }
        guard !observation.users.isEmpty else { return nil }
        return blocked(.inUse, "still used by \(names(observation.users))", observation)
    }

    /// The first five.
    static func names(_ users: [String]) -> String {
        let more = users.count > 5 ? " and \(users.count - 5) more" : ""
        return users.prefix(5).joined(separator: ", ") + more
    }

    private static func blocked(
        _ reason: GCSArtifactReason, _ message: String, _ observation: Observation
    ) -> Decision {
        var status = observation.status
        tell("Waiting", of: observation, in: &status)
        status.deletion?.waitsFor = reason.rawValue
        return Decision(
            status: status, situation: .deletionBlocked(reason, message),
            next: .after(GCSArtifactPlan.slowRecheck))
    }

    /// How far it is: at once when it goes on to something else, else every ten seconds. Numbers never go back.
    private static func tell(_ phase: String, of observation: Observation, in status: inout GCSArtifact.Status) {
        let known = status.deletion
        if let known, known.phase == phase, let time = known.time, observation.now - time < progressInterval,
            time <= observation.now
        {
            return
        }
        var deletion = GCSArtifact.Status.Deletion()
        deletion.phase = phase
        deletion.objectsDeleted = max(known?.objectsDeleted ?? 0, observation.deleted?.objectsDeleted ?? 0)
        deletion.bytesDeleted = max(known?.bytesDeleted ?? 0, observation.deleted?.bytesDeleted ?? 0)
        if phase == deletingObjects {
            deletion.objectsLeft = Int64(observation.contents.count)
            deletion.bytesLeft = observation.contents.reduce(0) { $0 + $1.sizeBytes }
        }
        deletion.time = known?.time
        // Somebody is waited for: nothing goes on, and nothing is written for it.
        guard known.map({ isSame($0, deletion) }) != true else { return }
        deletion.time = observation.moment
        status.deletion = deletion
    }

    private static func isSame(_ left: GCSArtifact.Status.Deletion, _ right: GCSArtifact.Status.Deletion) -> Bool {
        var left = left
        left.waitsFor = right.waitsFor
        return left == right
    }

    private static let deletingObjects = "DeletingObjects"
    private static let progressInterval: Duration = .seconds(10)

    private static func emptying(_ bucket: Bucket, _ observation: Observation) -> Decision {
        let batch = Array(observation.contents.prefix(batchSize))
        if !batch.isEmpty {
            var status = observation.status
            tell(deletingObjects, of: observation, in: &status)
            return Decision(
                steps: [.cloud(.deleteObjects(batch, in: bucket.name, owner: observation.owner))], status: status,
                situation: .deleting("deleting objects"), next: .after(.zero))
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
