import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// The bucket: made, kept as described, never taken from somebody.
enum GCSArtifactBucket {
    typealias Observation = GCSArtifactObservation
    typealias Decision = GCSArtifactDecision

    /// In the ledger.
    static let role = "Bucket"

    /// Full resource name, without scheme.
    static func externalReference(_ bucket: String) -> String {
        "//storage.googleapis.com/projects/_/buckets/\(bucket)"
    }

    /// Whether a bucket with these labels belongs to that object, or (nil) to any object of this cluster.
    static func isOurs(_ labels: [String: String]?, ownerUID: String?, clusterUID: String) -> Bool {
        let owner = ownerUID ?? labels?[Ownership.ownerLabel] ?? ""
        return Ownership.isOurs(labels, ownerUID: owner, clusterUID: clusterUID)
    }

    // MARK: Rules

    /// Prefix mode: the bucket's own artifact comes first.
    static func waiting(_ observation: Observation) -> Decision? {
        guard let name = observation.spec.bucketRef?.name else { return nil }
        guard let referenced = observation.referenced else {
            return wait("there is no GCSArtifact \(name)", observation)
        }
        guard referenced.isReady else {
            return wait("bucketRef: \(name) is not ready: \(referenced.message)", observation)
        }
        return obstacle(observation).map { wait("bucketRef: \(name): \($0)", observation) }
    }

    /// What is wrong with the bucket of a prefix, which its own artifact may not have seen yet.
    private static func obstacle(_ observation: Observation) -> String? {
        let bucket = "the bucket \(observation.referenced?.bucket ?? "")"
        return switch observation.bucket {
        case .notLooked: nil
        case .absent: "\(bucket) is gone"
        case .forbidden(let message): "\(bucket) cannot be read: \(message)"
        case .found: observation.dataBucket == nil ? "\(bucket) is not ours any more" : nil
        }
    }

    private static func wait(_ message: String, _ observation: Observation) -> Decision {
        Decision(
            status: observation.status, situation: .waiting(.bucketNotReady, message),
            next: .after(GCSArtifactPlan.slowRecheck))
    }

    /// A bucket that this operator made for an object of this name, which was deleted and left it (`Retain`): names are
    /// unique, so nobody else can still own it.
    static func adopting(_ observation: Observation) -> Decision? {
        guard observation.spec.bucket?.isManaged == true, observation.ownBucket == nil,
            case .found(let bucket, isInProject: true) = observation.bucket,
            Ownership.isRetained(
                bucket.labels, for: observation.owner, clusterUID: observation.configuration.clusterUID)
        else { return nil }
        return Decision(
            steps: [
                .cloud(.adoptBucket(bucket.name, metageneration: bucket.metageneration, owner: observation.owner))
            ],
            status: observation.status,
            situation: .waiting(.adoptingBucket, "taking back the bucket \(bucket.name), retained from before"),
            next: .after(.zero))
    }

    /// Somebody else's bucket is never touched. The intent leaves the ledger: our create cannot have made it.
    static func notOurs(_ observation: Observation) -> Decision? {
        guard let spec = observation.spec.bucket, spec.isManaged else { return nil }
        let why: String
        switch observation.bucket {
        case .notLooked, .absent: return nil
        case .forbidden(let message):
            why = "the name \(spec.name) is taken, or the permission storage.buckets.get is missing: \(message)"
        case .found(_, let isInProject):
            if observation.ownBucket != nil { return nil }
            why =
                isInProject
                ? "the bucket \(spec.name) exists and does not carry this object's labels. Choose another name, or hand "
                    + "it over: gcloud storage buckets update gs://\(spec.name) --update-labels="
                    + Ownership.googleLabels(
                        ownerUID: observation.uid, clusterUID: observation.configuration.clusterUID
                    ).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                    .joined(separator: ",")
                : "the bucket \(spec.name) belongs to another project: choose another name"
        }
        var status = observation.status
        status.resources = []
        status.bucket = nil
        return Decision(
            status: status, situation: .actionRequired(.bucketNotOurs, why), next: .after(GCSArtifactPlan.slowRecheck))
    }

    /// The intent is in the ledger before the create is sent.
    static func recordingIntent(_ observation: Observation) -> Decision? {
        guard let spec = observation.spec.bucket, spec.isManaged, observation.bucket == .absent else { return nil }
        let reference = externalReference(spec.name)
        let known = observation.status.resources.first { $0.externalRef == reference }
        if known?.state == CloudResource.intent { return nil }
        // Not there, or there once and deleted by somebody: made (again) from a fresh intent.
        var entry = CloudResource(externalRef: reference, role: role)
        entry.intentTime = observation.moment
        var status = observation.status
        status.resources = [entry]
        return .record(status, .waiting(.creatingBucket, "creating the bucket \(spec.name)"))
    }

    static func creating(_ observation: Observation) -> Decision? {
        guard let spec = observation.spec.bucket, spec.isManaged, observation.bucket == .absent else { return nil }
        if let renewed = renewedIntent(observation) {
            return .record(renewed, .waiting(.creatingBucket, "creating the bucket \(spec.name)"))
        }
        return Decision(
            steps: [
                .cloud(.createBucket(GCSArtifactSettings.configuration(spec, observation), owner: observation.owner))
            ],
            status: observation.status,
            situation: .waiting(.creatingBucket, "creating the bucket \(spec.name)"),
            next: .after(nextLook(observation)))
    }

    /// Soon, and less and less soon: the bucket is there as a rule when its create has ended, but a name that nobody shows
    /// and that cannot be had must not be asked for without pause.
    private static func nextLook(_ observation: Observation) -> Duration {
        let age = observation.status.resources.first?.intentTime.map { observation.now - $0 } ?? .zero
        return min(observation.configuration.pollInterval, max(.seconds(1), age))
    }

    /// The create follows its intent closely: from the intent's age, a deletion tells how long a create that nobody saw
    /// may still be on its way.
    private static func renewedIntent(_ observation: Observation) -> GCSArtifact.Status? {
        guard let entry = observation.status.resources.first, let time = entry.intentTime,
            observation.now - time > observation.configuration.createGrace / 2
        else { return nil }
        var status = observation.status
        status.resources[0].intentTime = observation.moment
        return status
    }

    static func locationMismatch(_ observation: Observation) -> Decision? {
        guard let spec = observation.spec.bucket, let bucket = observation.dataBucket, let location = bucket.location,
            let wanted = spec.location, location.uppercased() != wanted.uppercased()
        else { return nil }
        let message = "the bucket \(spec.name) is in \(location); a bucket cannot be moved to \(wanted)"
        return Decision(status: observation.status, situation: .actionRequired(.locationMismatch, message))
    }

    /// A bucket that the object only uses: there, to be seen, and, where versions are written to it, in our project.
    static func observed(_ observation: Observation) -> Decision? {
        guard let spec = observation.spec.bucket, !spec.isManaged else { return nil }
        let problem: (GCSArtifactReason, String)
        switch observation.bucket {
        case .notLooked: return nil
        case .absent:
            problem = (
                .bucketNotReady,
                "there is no bucket \(spec.name), and managementPolicy Observe does not create it: create it, or make this "
                    + "object again with managementPolicy Full"
            )
        case .forbidden(let message):
            problem = (.permissionDenied, "the bucket \(spec.name) cannot be read: \(message)")
        case .found(_, let isInProject):
            guard !isInProject, observation.spec.layout != .flat else {
                return locationMismatch(observation)
            }
            problem = (
                .bucketNotOurs,
                "the bucket \(spec.name) belongs to another project: versions are not written there; layout Flat reads it"
            )
        }
        return Decision(
            status: observation.status, situation: .actionRequired(problem.0, problem.1),
            next: .after(GCSArtifactPlan.slowRecheck))
    }

    /// Another object has this bucket: exactly one manages it.
    static func managementConflict(_ observation: Observation) -> Decision? {
        guard let other = observation.manager, let name = observation.spec.bucket?.name else { return nil }
        let message =
            "the bucket \(name) is managed by \(other), which was here first: use bucketRef and a prefix of your own, or "
            + "managementPolicy Observe"
        return Decision(
            status: observation.status, situation: .actionRequired(.managementConflict, message),
            next: .after(GCSArtifactPlan.slowRecheck))
    }
}
