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
        case .found: observation.ownBucket == nil ? "\(bucket) is not ours any more" : nil
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
        guard observation.spec.bucket != nil, observation.ownBucket == nil,
            case .found(let bucket, isInProject: true) = observation.bucket,
            isRetained(bucket.labels, for: observation.owner, clusterUID: observation.configuration.clusterUID)
        else { return nil }
        return Decision(
            steps: [
                .cloud(.adoptBucket(bucket.name, metageneration: bucket.metageneration, owner: observation.owner))
            ],
            status: observation.status,
            situation: .waiting(.adoptingBucket, "taking back the bucket \(bucket.name), retained from before"),
            next: .after(.zero))
    }

    /// Whether a bucket with these labels was made in this cluster for an object of that name.
    static func isRetained(_ labels: [String: String]?, for owner: ObjectReference, clusterUID: String) -> Bool {
        labels?[Ownership.clusterLabel] == clusterUID && labels?[Ownership.objectLabel] == objectKey(owner)
    }

    private static func objectKey(_ owner: ObjectReference) -> String {
        Naming.objectKey(kind: owner.type.kind, namespace: owner.namespace ?? "", name: owner.name)
    }

    /// The labels that make a bucket that object's.
    static func ownLabels(_ owner: ObjectReference, clusterUID: String) -> [String: String] {
        var labels = Ownership.googleLabels(ownerUID: owner.uid ?? "", clusterUID: clusterUID)
        labels[Ownership.objectLabel] = objectKey(owner)
        return labels
    }

    /// Somebody else's bucket is never touched. The intent leaves the ledger: our create cannot have made it.
    static func notOurs(_ observation: Observation) -> Decision? {
        guard let spec = observation.spec.bucket else { return nil }
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
        guard let spec = observation.spec.bucket, observation.bucket == .absent else { return nil }
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
        guard let spec = observation.spec.bucket, observation.bucket == .absent else { return nil }
        if let renewed = renewedIntent(observation) {
            return .record(renewed, .waiting(.creatingBucket, "creating the bucket \(spec.name)"))
        }
        return Decision(
            steps: [.cloud(.createBucket(configuration(spec, observation), owner: observation.owner))],
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
        guard let spec = observation.spec.bucket, let bucket = observation.ownBucket, let location = bucket.location,
            location.uppercased() != spec.location.uppercased()
        else { return nil }
        let message = "the bucket \(spec.name) is in \(location); a bucket cannot be moved to \(spec.location)"
        return Decision(status: observation.status, situation: .actionRequired(.locationMismatch, message))
    }

    /// Settings that differ from the spec are set; a further difference is looked for after a while, so that a service
    /// that writes a setting in its own way is not asked without end.
    static func updating(_ observation: Observation) -> Decision? {
        guard let bucket = observation.ownBucket, observation.spec.bucket != nil else { return nil }
        let patch = difference(bucket, observation)
        if patch.isEmpty { return nil }
        return Decision(
            steps: [
                .cloud(
                    .patchBucket(
                        bucket.name, patch, metageneration: bucket.metageneration, owner: observation.owner))
            ],
            status: observation.status,
            situation: .waiting(.updatingBucket, "setting \(patch.fieldNames.joined(separator: ", "))"),
            next: .after(observation.configuration.pollInterval))
    }

    // MARK: Settings

    /// The bucket as it is created.
    static func configuration(_ spec: GCSArtifact.Bucket, _ observation: Observation) -> BucketConfiguration {
        BucketConfiguration(
            name: spec.name, location: spec.location, storageClass: spec.storageClass?.apiValue,
            labels: labels(observation), iamConfiguration: .locked,
            versioning: spec.versioning.map { Versioning(enabled: $0.enabled) },
            softDeletePolicy: spec.softDelete.map {
                SoftDeletePolicy(retentionDurationSeconds: Int64($0.retentionSeconds))
            },
            lifecycle: spec.lifecycleRules.map { Lifecycle(rule: $0.map(rule)) })
    }

    /// What must change; only what the user set, our labels and the access settings are compared.
    static func difference(_ bucket: Bucket, _ observation: Observation) -> BucketPatch {
        guard let spec = observation.spec.bucket else { return BucketPatch() }
        let wanted = configuration(spec, observation)
        var patch = BucketPatch()
        if let storageClass = wanted.storageClass, storageClass != bucket.storageClass {
            patch.storageClass = storageClass
        }
        let labels = (wanted.labels ?? [:]).filter { bucket.labels?[$0.key] != $0.value }
        if !labels.isEmpty { patch.labels = labels.mapValues { $0 } }
        if bucket.iamConfiguration?.uniformBucketLevelAccess?.enabled != true
            || bucket.iamConfiguration?.publicAccessPrevention != "enforced"
        {
            patch.iamConfiguration = .locked
        }
        if let versioning = wanted.versioning, versioning.enabled != (bucket.versioning?.enabled ?? false) {
            patch.versioning = versioning
        }
        if let softDelete = wanted.softDeletePolicy,
            softDelete.retentionDurationSeconds != bucket.softDeletePolicy?.retentionDurationSeconds ?? 0
        {
            patch.softDeletePolicy = softDelete
        }
        // The rules' order means nothing.
        if let lifecycle = wanted.lifecycle, Set(lifecycle.rule ?? []) != Set(bucket.lifecycle?.rule ?? []) {
            patch.lifecycle = lifecycle
        }
        return patch
    }

    /// The user's and ours; ours win.
    private static func labels(_ observation: Observation) -> [String: String] {
        (observation.spec.bucket?.labels ?? [:]).merging(
            ownLabels(observation.owner, clusterUID: observation.configuration.clusterUID)
        ) { $1 }
    }

    private static func rule(_ rule: GCSArtifact.LifecycleRule) -> LifecycleRule {
        let condition = rule.condition
        return LifecycleRule(
            action: .init(type: rule.action.type.rawValue, storageClass: rule.action.storageClass?.apiValue),
            condition: .init(
                age: condition.ageDays, createdBefore: condition.createdBefore,
                customTimeBefore: condition.customTimeBefore, noncurrentTimeBefore: condition.noncurrentTimeBefore,
                daysSinceCustomTime: condition.daysSinceCustomTime,
                daysSinceNoncurrentTime: condition.daysSinceNoncurrentTime, isLive: condition.isLive,
                numNewerVersions: condition.numNewerVersions, matchesPrefix: condition.matchesPrefix,
                matchesSuffix: condition.matchesSuffix,
                matchesStorageClass: condition.matchesStorageClass?.map(\.apiValue)))
    }
}

extension BucketPatch {
    /// What it changes, for people.
    fileprivate var fieldNames: [String] {
        [
            storageClass.map { _ in "storageClass" }, labels.map { _ in "labels" },
            iamConfiguration.map { _ in "uniform access and public access prevention" },
            versioning.map { _ in "versioning" }, softDeletePolicy.map { _ in "softDelete" },
            lifecycle.map { _ in "lifecycleRules" },
        ].compactMap { $0 }
    }
}
