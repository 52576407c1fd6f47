public import ControllerRuntime
import Encoding
public import GoogleCloud
public import HTTP
public import Kubernetes
import Synchronization
public import Telemetry

/// Keeps buckets as described and publishes verified runs as versions: reads the world for the plan, and does what it
/// decided.
public final class GCSArtifactController: Controller {
    public typealias Object = GCSArtifact

    /// Files of one version.
    static let maximumFileCount = 20_000
    static let maximumManifestBytes = 16 << 20
    /// How old a shared look at a bucket may be.
    private static let lookAge: Duration = .seconds(2)

    let configuration: OperatorConfiguration
    let kubernetes: KubernetesClient
    let storage: StorageClient
    let clock: any WallClock
    let looks = LookTimes()
    let memory = ArtifactMemory()
    /// Who uses artifacts beside TrainingJobs.
    let otherUses: ArtifactUses
    let signing: URLSigning?
    private let artifacts: ObjectStore<GCSArtifact>
    private let places: ArtifactPlaces
    private let jobs: ObjectStore<TrainingJob>
    /// The looks of prefixes at the bucket that they lie in, shared within a namespace: its artifacts ask as one account.
    private let homes = SharedReads<ObjectKey, Bucket>()
    /// The number of the cluster's project, once a bucket told: it never changes.
    private let projectNumber = Mutex<Int64?>(nil)

    public init(
        configuration: OperatorConfiguration, kubernetes: KubernetesClient, storage: StorageClient,
        cache: ObjectCache, clock: any WallClock, otherUses: @escaping ArtifactUses = { _, _ in [] },
        signing: URLSigning? = nil
    ) {
        self.configuration = configuration
        self.signing = signing
        self.otherUses = otherUses
        self.kubernetes = kubernetes
        self.storage = storage
        self.clock = clock
        artifacts = cache.store(GCSArtifact.self)
        places = ArtifactPlaces(of: artifacts)
        jobs = cache.store(TrainingJob.self)
    }

    public static var relations: [Relation<GCSArtifact>] {
        [
            .references(GCSArtifact.self) { artifact in
                (artifact.spec.bucketRef.map { [$0.name] } ?? []).map {
                    ObjectKey(namespace: artifact.metadata.namespace, name: $0)
                }
            },
            // Only what may become a version: a job that trains changes often, and is no news here.
            .referrers(TrainingJob.self) { job in
                guard isVerified(job), let name = job.spec.outputs?.artifactRef.name else { return [] }
                return [ObjectKey(namespace: job.metadata.namespace, name: name)]
            },
        ]
    }

    public static func plan(
        _ observation: GCSArtifactObservation
    ) -> Plan<GCSArtifact.Status, GCSArtifactAction> {
        GCSArtifactPlan.plan(observation)
    }

    private static func isVerified(_ job: TrainingJob) -> Bool {
        job.status?.conditions.isTrue("OutputsVerified") == true
    }
}

// MARK: Observing

extension GCSArtifactController {
    public func observe(_ object: GCSArtifact) async throws(APIError) -> GCSArtifactObservation {
        // Cloud Storage is asked as whom the namespace stands for.
        try await CallOwner.named(object.metadata.namespace ?? "") { () async throws(APIError) in
            try await look(at: object)
        }
    }

    private func look(at object: GCSArtifact) async throws(APIError) -> GCSArtifactObservation {
        var observation = GCSArtifactObservation(artifact: object, configuration: configuration, now: clock.now)
        if object.metadata.isDeleting {
            try await observeDeletion(&observation)
            return observation
        }
        observation.referenced = referenced(by: object)
        observation.manager = manager(before: object)
        observation.conflict = conflict(with: object)
        guard observation.manager == nil, observation.conflict == nil else { return observation }
        // In prefix mode too: what somebody did to the bucket since its own artifact looked is seen before data goes there.
        let referenced = observation.referenced?.isReady == true ? observation.referenced?.bucket : nil
        if let name = object.spec.bucket?.name ?? referenced, GoogleNames.isBucket(name) {
            let place = object.spec.bucket == nil ? ObjectKey(namespace: object.metadata.namespace, name: name) : nil
            observation.bucket = try await bucket(name, known: object.status?.bucket, sharedAs: place)
        }
        try await observePolicy(&observation)
        try await observeNotifications(&observation)
        try await observeRemoved(&observation)
        try await observeRuns(&observation)
        try await observeUploads(&observation)
        try await observeImport(&observation)
        observeSigning(&observation)
        observation.runs.sort { ($0.completionTime, $0.id) < ($1.completionTime, $1.id) }
        try await observeRetention(&observation)
        try await observeContents(&observation)
        return observation
    }

    /// Whether an artifact of the namespace has this uid.
    func isManaged(_ uid: String, in namespace: String) -> Bool {
        artifacts.objects(in: namespace).contains { $0.metadata.uid == uid }
    }

    func cachedJobs(in namespace: String) -> [TrainingJob] { jobs.objects(in: namespace) }

    /// - Parameters:
    ///   - known: as the status has it; saves the question for the project once that is settled.
    ///   - key: an answer that somebody with this key got some seconds ago will do.
    func bucket(
        _ name: String, known: GCSArtifact.Status.BucketStatus?, sharedAs key: ObjectKey? = nil
    ) async throws(APIError) -> BucketObservation {
        let bucket: Bucket
        do throws(APIError) {
            if let key {
                let clock = clock
                bucket = try await homes[key].value(notOlderThan: Self.lookAge, uptime: { clock.uptime }) {
                    () async throws(APIError) in try await storage.bucket(name)
                }
            } else {
                bucket = try await storage.bucket(name)
            }
        } catch {
            switch error.code {
            case .notFound: return .absent
            case .forbidden where error.reason != ImpersonatedAccount.refusedReason: return .forbidden(error.message)
            default: throw error
            }
        }
        guard bucket.labels?[Ownership.clusterLabel] == configuration.clusterUID else {
            return .found(bucket, isInProject: try await isInProject(bucket))
        }
        if known?.owned == true, known?.projectNumber == String(bucket.projectNumber) {
            return .found(bucket, isInProject: true)
        }
        return .found(bucket, isInProject: try await isInProject(bucket))
    }

    /// Labels can be set by anybody on a bucket of theirs: only one that our project lists can be ours.
    func isInProject(_ bucket: Bucket) async throws(APIError) -> Bool {
        if let number = projectNumber.withLock({ $0 }) { return bucket.projectNumber == number }
        let own = try await storage.buckets(project: configuration.cluster.project, prefix: bucket.name)
        guard own.contains(where: { $0.name == bucket.name && $0.projectNumber == bucket.projectNumber }) else {
            return false
        }
        projectNumber.withLock { $0 = bucket.projectNumber }
        return true
    }

    private func referenced(by object: GCSArtifact) -> ReferencedBucket? {
        guard let name = object.spec.bucketRef?.name,
            let other = artifacts[ObjectKey(namespace: object.metadata.namespace, name: name)],
            !other.metadata.isDeleting
        else { return nil }
        let ready = other.status?.conditions.first(ofType: "Ready")
        let isCurrent = other.status?.observedGeneration == other.metadata.generation
        return ReferencedBucket(
            name: name, bucket: other.spec.bucket?.name, isReady: ready?.status == .true && isCurrent,
            isObserved: other.spec.bucket?.isManaged == false,
            message: ready?.message ?? "it was not looked at yet")
    }

    /// An older artifact that makes and changes the bucket that this one wants to make and change.
    private func manager(before object: GCSArtifact) -> String? {
        guard let bucket = object.spec.bucket, bucket.isManaged, let place = place(of: object) else { return nil }
        return places.keys(near: place).compactMap { key -> String? in
            guard let other = artifacts[key], other.metadata.uid != object.metadata.uid,
                other.spec.bucket?.name == bucket.name, other.spec.bucket?.isManaged == true,
                Self.isOlder(other, than: object)
            else { return nil }
            return "\(other.metadata.namespace ?? "")/\(other.metadata.name)"
        }.min()
    }

    /// Writes nothing there, so that it is in nobody's way.
    private static func onlyReads(_ artifact: GCSArtifact) -> Bool {
        artifact.spec.bucket?.isManaged == false && artifact.spec.layout == .flat
    }

    /// An older artifact whose place is ours, contains ours, or lies in ours.
    private func conflict(with object: GCSArtifact) -> String? {
        guard let place = place(of: object), !Self.onlyReads(object) else { return nil }
        return places.keys(near: place).compactMap { key -> String? in
            guard let other = artifacts[key], other.metadata.uid != object.metadata.uid, !Self.onlyReads(other),
                Self.isOlder(other, than: object), let theirs = self.place(of: other), theirs.bucket == place.bucket,
                theirs.path.hasPrefix(place.path) || place.path.hasPrefix(theirs.path)
            else { return nil }
            return "\(other.metadata.namespace ?? "")/\(other.metadata.name)"
        }.min()
    }

    private func place(of artifact: GCSArtifact) -> StorageURI? {
        var bucket = artifact.spec.bucket?.name
        if let name = artifact.spec.bucketRef?.name {
            bucket = artifacts[ObjectKey(namespace: artifact.metadata.namespace, name: name)]?.spec.bucket?.name
        }
        return bucket.flatMap { StorageURI(bucket: $0, path: artifact.spec.prefix ?? "") }
    }

    /// Creation times are whole seconds: of two that were made within one, the one that is in place was first.
    private static func isOlder(_ left: GCSArtifact, than right: GCSArtifact) -> Bool {
        let (leftTime, rightTime) = (
            left.metadata.creationTimestamp ?? .distantPast, right.metadata.creationTimestamp ?? .distantPast
        )
        let (leftRank, rightRank) = (left.status?.uri == nil ? 1 : 0, right.status?.uri == nil ? 1 : 0)
        return (leftTime, leftRank, left.metadata.ownerUID) < (rightTime, rightRank, right.metadata.ownerUID)
    }

    // MARK: Runs

    private func observeRuns(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        guard artifact.spec.layout != .flat, observation.dataBucket != nil, let place = observation.place else {
            return
        }
        let candidates = jobs.objects(in: artifact.metadata.namespace) { job in
            Self.isVerified(job) && job.spec.outputs?.artifactRef.name == artifact.metadata.name
        }
        for job in candidates {
            guard var run = VerifiedRun(job, in: place),
                !GCSArtifactVersions.isKnown(run.id, completed: run.completionTime, in: observation.status),
                observation.removed?.names.contains(run.id) != true
            else { continue }
            run.manifest = try await manifest(of: run, in: place)
            if case .absent(let files) = run.manifest { try await lookAtModel(&run, files, artifact) }
            observation.runs.append(run)
        }
    }

    func manifest(of run: VerifiedRun, in place: StorageURI) async throws(APIError) -> ManifestObservation {
        guard let manifest = GCSArtifactManifest.place(version: run.id, in: place) else { return .absent(files: [:]) }
        do throws(APIError) {
            let limit = Self.maximumManifestBytes
            return .written(try await storage.read(manifest.path, in: manifest.bucket, limit: limit).bytes)
        } catch {
            switch error.code {
            case .cancelled: throw error
            case .notFound: return try await files(of: run)
            default: return .unreadable(error)
            }
        }
    }

    private func files(of run: VerifiedRun) async throws(APIError) -> ManifestObservation {
        do throws(APIError) {
            return .absent(files: try await files(below: run.prefix))
        } catch {
            if error.code == .cancelled { throw error }
            return .unreadable(error)
        }
    }

    /// By relative path.
    func files(below place: StorageURI) async throws(APIError) -> [String: OutputFile] {
        let query = ObjectQuery(prefix: place.path, limit: Self.maximumFileCount)
        var files: [String: OutputFile] = [:]
        for object in try await storage.objects(in: place.bucket, query).objects {
            let path = String(object.name.dropFirst(place.path.count))
            guard GCSArtifactVersions.isVersioned(path) else { continue }
            files[path] = OutputFile(sizeBytes: object.size, crc32c: object.crc32c ?? "", generation: object.generation)
        }
        return files
    }

    // MARK: Deletion

    /// From what was really created: the place in the status, not what the spec refers to.
    private func observeDeletion(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        try await observeGrants(&observation)
        try await observeNotifications(&observation)
        guard artifact.spec.deletionPolicy != .retain else {
            // No data is lost, but whoever uses it would be left without the object that says where it is.
            guard artifact.status?.uri != nil else { return }
            observation.users = try await users(of: artifact)
            if !observation.users.isEmpty { observation.isKindGoing = try await isKindGoing() }
            return
        }
        observation.isKindGoing = try await isKindGoing()
        guard !observation.isKindGoing else { return }
        let uri = artifact.status?.uri.flatMap { StorageURI($0) }
        let ledger = artifact.status?.resources.first { $0.role == GCSArtifactBucket.role }?.name
        // An object of DeleteObjects that never was in place has no objects.
        guard let name = artifact.spec.deletionPolicy == .deleteBucket ? uri?.bucket ?? ledger : uri?.bucket,
            GoogleNames.isBucket(name)
        else { return }
        observation.bucket = try await bucket(name, known: artifact.status?.bucket)
        guard observation.ownBucket != nil else { return }
        observation.users = try await users(of: artifact)
        let prefix = artifact.spec.prefix
        guard prefix?.isEmpty != true, observation.isDeletionConfirmed, observation.users.isEmpty else { return }
        let query = ObjectQuery(prefix: prefix, versions: true, pageSize: GCSArtifactDeletion.pageSize)
        observation.contents = try await storage.firstObjects(in: name, query).map {
            ObjectGeneration(name: $0.name, generation: $0.generation, sizeBytes: $0.size)
        }
        observation.deleted = artifact.metadata.uid.flatMap { memory.deleted(of: $0) }
        guard observation.contents.isEmpty, prefix != nil, artifact.spec.deletionPolicy == .deleteBucket else { return }
        let rest = ObjectQuery(versions: true, pageSize: 1)
        observation.stranger = try await storage.firstObjects(in: name, rest).first?.name
    }

    /// Whether the definition of GCSArtifacts is being deleted, read live. Not to know is an error: data is deleted only
    /// where somebody asked for it.
    func isKindGoing() async throws(APIError) -> Bool {
        let type = GCSArtifact.resourceType
        let definition = try await kubernetes.find(
            CustomResourceDefinition.self, namespace: nil, name: "\(type.plural).\(type.group)")
        return definition?.metadata.isDeleting ?? true
    }

    /// Runs that still write or read below the artifact's place, and artifacts in its bucket.
    private func users(of artifact: GCSArtifact) async throws(APIError) -> [String] {
        let namespace = artifact.metadata.namespace
        let neighbours = Self.hasTenants(artifact) ? artifacts.objects(in: namespace) : []
        let others = try await otherUses(artifact.metadata.name, namespace ?? "").map(\.user).sorted()
        return Self.users(of: artifact, jobs: jobs.objects(in: namespace), artifacts: neighbours) + others
    }

    /// Whether the deletion of an artifact leaves other artifacts without a bucket, or without the object that makes it:
    /// only then they matter.
    static func hasTenants(_ artifact: GCSArtifact) -> Bool {
        artifact.spec.deletionPolicy != .deleteObjects && artifact.spec.bucket != nil
    }

    static func users(of artifact: GCSArtifact, jobs: [TrainingJob], artifacts: [GCSArtifact]) -> [String] {
        let running = jobs.filter { job in
            guard let run = job.status?.run, run.result == nil, let uri = artifact.status?.uri else { return false }
            return run.prefix?.hasPrefix(uri) == true || run.checkpointPrefix?.hasPrefix(uri) == true
                || run.inputs.contains { $0.uri?.hasPrefix(uri) == true }
        }.map { "TrainingJob \($0.metadata.name)" }
        guard hasTenants(artifact) else { return running.sorted() }
        // With Retain the data of those that go as well stays too: nobody waits for the other.
        let tenants = artifacts.filter {
            $0.spec.bucketRef?.name == artifact.metadata.name
                && (artifact.spec.deletionPolicy == .deleteBucket || !$0.metadata.isDeleting)
        }
        return (running + tenants.map { "GCSArtifact \($0.metadata.name)" }).sorted()
    }
}

extension VerifiedRun {
    /// The job's last run, if its outputs are verified and lie in this place.
    fileprivate init?(_ job: TrainingJob, in place: StorageURI) {
        guard let run = job.status?.run, run.result == TrainingJob.RunResult.succeeded.rawValue,
            let prefix = run.prefix.flatMap({ StorageURI($0) }), prefix.isPrefix, prefix.bucket == place.bucket,
            prefix.path.hasPrefix(place.path), prefix.path != place.path
        else { return nil }
        self.init(
            job: job.metadata.name, id: run.completedBy ?? run.id, specHash: run.specHash, prefix: prefix,
            completionTime: run.completionTime ?? run.startTime ?? .distantPast,
            outputs: job.status?.outputs?.files ?? [], metrics: job.status?.trainerStatus?.metrics ?? [],
            manifest: .absent(files: [:]))
    }
}
