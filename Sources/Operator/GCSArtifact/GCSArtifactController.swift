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
    private static let maximumFileCount = 20_000
    private static let maximumManifestBytes = 16 << 20
    /// How old a shared look at a bucket may be.
    private static let lookAge: Duration = .seconds(2)

    let configuration: OperatorConfiguration
    let kubernetes: KubernetesClient
    let storage: StorageClient
    private let clock: any WallClock
    private let artifacts: ObjectStore<GCSArtifact>
    private let places: ArtifactPlaces
    private let jobs: ObjectStore<TrainingJob>
    /// The looks of prefixes at the bucket that they lie in, shared within a namespace: its artifacts ask as one account.
    private let homes = SharedReads<ObjectKey, Bucket>()
    /// The number of the cluster's project, once a bucket told: it never changes.
    private let projectNumber = Mutex<Int64?>(nil)

    public init(
        configuration: OperatorConfiguration, kubernetes: KubernetesClient, storage: StorageClient,
        cache: ObjectCache, clock: any WallClock
    ) {
        self.configuration = configuration
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
        observation.conflict = conflict(with: object)
        guard observation.conflict == nil else { return observation }
        // In prefix mode too: what somebody did to the bucket since its own artifact looked is seen before data goes there.
        let referenced = observation.referenced?.isReady == true ? observation.referenced?.bucket : nil
        if let name = object.spec.bucket?.name ?? referenced, GoogleNames.isBucket(name) {
            let place = object.spec.bucket == nil ? ObjectKey(namespace: object.metadata.namespace, name: name) : nil
            observation.bucket = try await bucket(name, known: object.status?.bucket, sharedAs: place)
        }
        try await observeRuns(&observation)
        return observation
    }

    /// - Parameters:
    ///   - known: as the status has it; saves the question for the project once that is settled.
    ///   - key: an answer that somebody with this key got some seconds ago will do.
    private func bucket(
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
    private func isInProject(_ bucket: Bucket) async throws(APIError) -> Bool {
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
            message: ready?.message ?? "it was not looked at yet")
    }

    /// An older artifact whose place is ours, contains ours, or lies in ours.
    private func conflict(with object: GCSArtifact) -> String? {
        guard let place = place(of: object) else { return nil }
        return places.keys(near: place).compactMap { key -> String? in
            guard let other = artifacts[key], other.metadata.uid != object.metadata.uid,
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

    private static func isOlder(_ left: GCSArtifact, than right: GCSArtifact) -> Bool {
        let (leftTime, rightTime) = (
            left.metadata.creationTimestamp ?? .distantPast, right.metadata.creationTimestamp ?? .distantPast
        )
        return (leftTime, left.metadata.ownerUID) < (rightTime, right.metadata.ownerUID)
    }

    // MARK: Runs

    private func observeRuns(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        guard artifact.spec.layout != .flat, observation.ownBucket != nil, let place = observation.place else { return }
        let candidates = jobs.objects(in: artifact.metadata.namespace) { job in
            Self.isVerified(job) && job.spec.outputs?.artifactRef.name == artifact.metadata.name
        }
        for job in candidates {
            guard var run = VerifiedRun(job, in: place),
                !GCSArtifactVersions.isKnown(run.id, completed: run.completionTime, in: observation.status)
            else { continue }
            run.manifest = try await manifest(of: run, in: place)
            observation.runs.append(run)
        }
        observation.runs.sort { ($0.completionTime, $0.id) < ($1.completionTime, $1.id) }
    }

    private func manifest(of run: VerifiedRun, in place: StorageURI) async throws(APIError) -> ManifestObservation {
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
            let query = ObjectQuery(prefix: run.prefix.path, limit: Self.maximumFileCount)
            var files: [String: OutputFile] = [:]
            for object in try await storage.objects(in: run.prefix.bucket, query).objects {
                let path = String(object.name.dropFirst(run.prefix.path.count))
                guard GCSArtifactVersions.isVersioned(path) else { continue }
                files[path] = OutputFile(
                    sizeBytes: object.size, crc32c: object.crc32c ?? "", generation: object.generation)
            }
            return .absent(files: files)
        } catch {
            if error.code == .cancelled { throw error }
            return .unreadable(error)
        }
    }

    // MARK: Deletion

    /// From what was really created: the place in the status, not what the spec refers to.
    private func observeDeletion(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        guard artifact.spec.deletionPolicy != .retain else { return }
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
        observation.users = users(of: artifact)
        let prefix = artifact.spec.deletionPolicy == .deleteBucket ? nil : artifact.spec.prefix
        guard prefix?.isEmpty != true, observation.isDeletionConfirmed, observation.users.isEmpty else { return }
        let query = ObjectQuery(prefix: prefix, versions: true, pageSize: GCSArtifactDeletion.batchSize)
        observation.contents = try await storage.firstObjects(in: name, query).map {
            ObjectGeneration(name: $0.name, generation: $0.generation)
        }
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
    private func users(of artifact: GCSArtifact) -> [String] {
        let namespace = artifact.metadata.namespace
        let neighbours = Self.hasTenants(artifact) ? artifacts.objects(in: namespace) : []
        return Self.users(of: artifact, jobs: jobs.objects(in: namespace), artifacts: neighbours)
    }

    /// Whether the deletion of an artifact takes other artifacts' places along: only then they matter.
    static func hasTenants(_ artifact: GCSArtifact) -> Bool { artifact.spec.deletionPolicy == .deleteBucket }

    static func users(of artifact: GCSArtifact, jobs: [TrainingJob], artifacts: [GCSArtifact]) -> [String] {
        let running = jobs.filter { job in
            guard let run = job.status?.run, run.result == nil, let uri = artifact.status?.uri else { return false }
            return run.prefix?.hasPrefix(uri) == true || run.checkpointPrefix?.hasPrefix(uri) == true
                || run.inputs.contains { $0.uri?.hasPrefix(uri) == true }
        }.map { "TrainingJob \($0.metadata.name)" }
        guard hasTenants(artifact) else { return running.sorted() }
        let tenants = artifacts.filter { $0.spec.bucketRef?.name == artifact.metadata.name }
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
