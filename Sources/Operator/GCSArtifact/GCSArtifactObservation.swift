public import Encoding
public import GoogleCloud
public import HTTP
public import Kubernetes

/// All that the plan of a GCSArtifact may look at.
public struct GCSArtifactObservation: Sendable, Equatable {
    public var artifact: GCSArtifact
    public var configuration: OperatorConfiguration
    public var now: Timestamp
    /// The bucket of `spec.bucket`; while deleting, the one that `status.uri` names.
    public var bucket: BucketObservation = .notLooked
    /// The artifact of `spec.bucketRef`.
    public var referenced: ReferencedBucket?
    /// An older artifact that manages the same bucket.
    public var manager: String?
    /// An artifact made before this one whose place overlaps with ours.
    public var conflict: String?
    /// Runs with verified outputs here whose version is not in the status yet, oldest first.
    public var runs: [VerifiedRun] = []
    /// Uploads that are not whole yet.
    public var arriving: [String] = []
    /// A folder among the uploads whose name cannot be a version's.
    public var unnameable: String?
    /// Versions that were looked at in this round, newest first.
    public var checks: [VersionCheck] = []
    /// What the place holds, where it was counted in this round.
    public var usage: StorageUsage?
    /// Versions that were removed or are going; nil where nobody asked for that.
    public var removed: RemovedVersions?
    /// What a version that is to go, or is going, needs next.
    public var removal: RemovalStep?
    /// The bucket's, where some of them are the object's or should be.
    public var notifications: [BucketNotification]?
    /// Why they could not be set.
    public var notificationFailure: VersionObstacle?
    public var isNotificationRetryDue = false
    /// What is known of the object's signed URLs.
    public var signing = SigningObservation()
    /// Where the copy of the source stands, where it was looked at in this round.
    public var imported: ImportObservation?
    /// The bucket's IAM policy, where this object has bindings in it or should have; not where the bucket is not ours.
    public var policy: IAMPolicy?
    /// The CustomResourceDefinition is going, and takes every object along: nobody asked for the end of this one. Looked at
    /// while deleting only, where the policy deletes.
    public var isKindGoing = false
    /// Who still needs the data; looked at while deleting only.
    public var users: [String] = []
    /// What is still below the prefix (in the bucket, where that goes too), the first page of it; looked at while deleting
    /// only.
    public var contents: [ObjectGeneration] = []
    /// What this process has deleted of the object's data.
    public var deleted: GCSArtifact.Status.Deletion?
    /// An object in the bucket that is not below the prefix; looked at before the bucket goes only.
    public var stranger: String?

    public init(artifact: GCSArtifact, configuration: OperatorConfiguration, now: Timestamp) {
        self.artifact = artifact
        self.configuration = configuration
        self.now = now
    }
}

/// What Cloud Storage says about a bucket's name.
public enum BucketObservation: Sendable, Hashable {
    case notLooked
    /// Nobody has the name.
    case absent
    /// Somebody has it who does not let us look.
    case forbidden(String)
    /// - isInProject: it lies in the project of our cluster.
    case found(Bucket, isInProject: Bool)
}

/// The artifact whose bucket a prefix lies in.
public struct ReferencedBucket: Sendable, Hashable {
    public var name: String
    /// Nil when the artifact has no bucket of its own.
    public var bucket: String?
    public var isReady: Bool
    /// The bucket is somebody else's.
    public var isObserved: Bool
    /// Its Ready condition's message.
    public var message: String

    public init(name: String, bucket: String?, isReady: Bool, isObserved: Bool = false, message: String = "") {
        self.name = name
        self.bucket = bucket
        self.isReady = isReady
        self.isObserved = isObserved
        self.message = message
    }
}

/// A run of a TrainingJob whose outputs lie here and are verified.
public struct VerifiedRun: Sendable, Hashable {
    public var job: String
    public var id: String
    public var specHash: String?
    /// `gs://bucket/prefix/` of its outputs.
    public var prefix: StorageURI
    public var completionTime: Timestamp
    /// As the TrainingJob recorded them when it verified them.
    public var outputs: [TrainingJob.OutputsStatus.File]
    public var metrics: [TrainingJob.NamedValue]
    public var manifest: ManifestObservation
    /// Why its files cannot be a model's; looked at where the artifact holds models, before the manifest is written.
    public var malformed: String?
    /// What made it.
    public var producerKind = TrainingJob.resourceType.kind

    public init(
        job: String, id: String, specHash: String?, prefix: StorageURI, completionTime: Timestamp,
        outputs: [TrainingJob.OutputsStatus.File], metrics: [TrainingJob.NamedValue], manifest: ManifestObservation
    ) {
        self.job = job
        self.id = id
        self.specHash = specHash
        self.prefix = prefix
        self.completionTime = completionTime
        self.outputs = outputs
        self.metrics = metrics
        self.manifest = manifest
    }
}

/// The manifest of a run's version, as found in the bucket.
public enum ManifestObservation: Sendable, Hashable {
    /// Not written yet; these files lie below the run's prefix, by relative path.
    case absent(files: [String: OutputFile])
    case written([UInt8])
    /// The bucket could not be read: not the user's fault yet.
    case unreadable(APIError)
}

/// One version of an object.
public struct ObjectGeneration: Sendable, Hashable {
    public var name: String
    public var generation: Int64
    /// 0 where nobody asks.
    public var sizeBytes: Int64

    public init(name: String, generation: Int64, sizeBytes: Int64 = 0) {
        self.name = name
        self.generation = generation
        self.sizeBytes = sizeBytes
    }
}

/// Side effects of a GCSArtifact in the cloud. Each re-reads the bucket and touches it only if it is (still) ours.
public enum GCSArtifactAction: Sendable, Hashable {
    /// Creates a bucket whose intent is in the ledger; done when somebody has the name.
    case createBucket(BucketConfiguration, owner: ObjectReference)
    /// Changes settings of the bucket as it was read.
    case patchBucket(String, BucketPatch, metageneration: Int64, owner: ObjectReference)
    /// Locks the bucket's retention policy of so many seconds, as it was read, for ever.
    case lockRetention(String, seconds: Int64, metageneration: Int64, owner: ObjectReference)
    /// Makes these the object's bindings in the bucket's policy, and leaves all others.
    case setBindings([IAMPolicy.Binding], of: String, owner: ObjectReference)
    /// Takes back a bucket that an earlier object of that name left, as it was read.
    case adoptBucket(String, metageneration: Int64, owner: ObjectReference)
    /// Writes a version's manifest once; done when there is one.
    case writeManifest([UInt8], to: StorageURI, owner: ObjectReference)
    /// Deletes these versions of objects for good.
    case deleteObjects([ObjectGeneration], in: String, owner: ObjectReference)
    /// Deletes the bucket, which is empty.
    case deleteBucket(String, owner: ObjectReference)
    /// Takes a version back: keeps its manifest where versions that go are, and then deletes it where versions are.
    case markRemoved(VersionRemoval, owner: ObjectReference)
    /// Deletes these objects of a version that goes.
    case emptyVersion(VersionRemoval, [ObjectGeneration], owner: ObjectReference)
    /// Nothing of the version is left: only its name stays, so that no other takes it.
    case closeRemoval(VersionRemoval, owner: ObjectReference)
    /// Signs these URLs, and puts them into their Secrets.
    case signURLs([String], below: StorageURI, time: Timestamp, owner: ObjectReference)
    /// Makes the bucket's notifications of the object what it asks for.
    case setNotifications(of: String, owner: ObjectReference)
    /// Copies objects of the source to where they are missing.
    case copyObjects(ImportBatch, owner: ObjectReference)

    /// The object that it is done for.
    var owner: ObjectReference {
        switch self {
        case .createBucket(_, let owner), .patchBucket(_, _, _, let owner), .lockRetention(_, _, _, let owner),
            .adoptBucket(_, _, let owner), .setBindings(_, _, let owner), .writeManifest(_, _, let owner),
            .deleteObjects(_, _, let owner), .deleteBucket(_, let owner), .markRemoved(_, let owner),
            .emptyVersion(_, _, let owner), .closeRemoval(_, let owner), .copyObjects(_, let owner),
            .signURLs(_, _, _, let owner), .setNotifications(_, let owner):
            owner
        }
    }
}

extension GCSArtifactObservation {
    var status: GCSArtifact.Status { artifact.status ?? GCSArtifact.Status() }
    var spec: GCSArtifact.Spec { artifact.spec }
    var uid: String { artifact.metadata.ownerUID }
    var prefix: String { spec.prefix ?? "" }
    /// For facts in status: whole seconds.
    var moment: Timestamp { now.wholeSeconds }

    /// How actions name the object.
    var owner: ObjectReference {
        ObjectReference(
            type: GCSArtifact.resourceType, namespace: artifact.metadata.namespace, name: artifact.metadata.name,
            uid: artifact.metadata.uid)
    }

    /// Where the data lies, or will; nil while the bucket's name is not known.
    var place: StorageURI? {
        (spec.bucket?.name ?? referenced?.bucket).flatMap { StorageURI(bucket: $0, path: prefix) }
    }

    /// The bucket, when it is there and ours: our labels, in our project. In prefix mode another object of this cluster
    /// owns it.
    var ownBucket: Bucket? {
        guard case .found(let bucket, isInProject: true) = bucket,
            GCSArtifactBucket.isOurs(
                bucket.labels, ownerUID: spec.bucket == nil ? nil : uid, clusterUID: configuration.clusterUID)
        else { return nil }
        return bucket
    }

    /// The bucket that data may be read from and written to: ours, or one that is observed.
    var dataBucket: GoogleCloud.Bucket? {
        if let ownBucket { return ownBucket }
        guard case .found(let bucket, let isInProject) = bucket else { return nil }
        if spec.bucket?.isManaged == false { return bucket }
        return referenced?.isObserved == true && (isInProject || spec.layout == .flat) ? bucket : nil
    }

    /// Whether the user confirmed that data may be deleted with the object.
    var isDeletionConfirmed: Bool {
        artifact.metadata.annotations?[Ownership.confirmDeletionAnnotation] == artifact.metadata.name
    }
}
