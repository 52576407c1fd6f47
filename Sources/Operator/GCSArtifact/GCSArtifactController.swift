public import ControllerRuntime
import Encoding
public import GoogleCloud
public import HTTP
public import Kubernetes
public import Telemetry

/// Keeps buckets as described and publishes verified runs as versions: reads the world for the plan, and does what it
/// decided.
public final class GCSArtifactController: Controller {
    public typealias Object = GCSArtifact

    /// Files of one version.
    private static let maximumFileCount = 20_000
    private static let maximumManifestBytes = 16 << 20

    private let configuration: OperatorConfiguration
    private let kubernetes: KubernetesClient
    private let storage: StorageClient
    private let clock: any WallClock
    private let artifacts: ObjectStore<GCSArtifact>
    private let jobs: ObjectStore<TrainingJob>

    public init(
        configuration: OperatorConfiguration, kubernetes: KubernetesClient, storage: StorageClient,
        cache: ObjectCache, clock: any WallClock
    ) {
        self.configuration = configuration
        self.kubernetes = kubernetes
        self.storage = storage
        self.clock = clock
        artifacts = cache.store(GCSArtifact.self)
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
        var observation = GCSArtifactObservation(artifact: object, configuration: configuration, now: clock.now)
        if object.metadata.isDeleting {
            try await observeDeletion(&observation)
            return observation
        }
        observation.referenced = referenced(by: object)
        observation.conflict = conflict(with: object)
        guard observation.conflict == nil else { return observation }
        if let name = object.spec.bucket?.name, GoogleNames.isBucket(name) {
            observation.bucket = try await bucket(name, known: object.status?.bucket)
        }
        try await observeRuns(&observation)
        return observation
    }

    /// - Parameter known: as the status has it; saves the question for the project once that is settled.
    private func bucket(
        _ name: String, known: GCSArtifact.Status.BucketStatus?
    ) async throws(APIError) -> BucketObservation {
        let bucket: Bucket
        do throws(APIError) {
            bucket = try await storage.bucket(name)
        } catch {
            switch error.code {
            case .notFound: return .absent
            case .forbidden: return .forbidden(error.message)
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
        try await storage.buckets(project: configuration.cluster.project, prefix: bucket.name).contains {
            $0.name == bucket.name && $0.projectNumber == bucket.projectNumber
        }
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
        return artifacts.objects { other in
            guard other.metadata.uid != object.metadata.uid, Self.isOlder(other, than: object),
                let theirs = self.place(of: other), theirs.bucket == place.bucket
            else { return false }
            return theirs.path.hasPrefix(place.path) || place.path.hasPrefix(theirs.path)
        }.map { "\($0.metadata.namespace ?? "")/\($0.metadata.name)" }.min()
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
        let isInPlace =
            observation.spec.bucket == nil ? observation.referenced?.isReady == true : observation.ownBucket != nil
        guard artifact.spec.layout != .flat, isInPlace, let place = observation.place else { return }
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
        let uri = artifact.status?.uri.flatMap { StorageURI($0) }
        let ledger = artifact.status?.resources.first { $0.role == GCSArtifactBucket.role }?.name
        // An object of DeleteObjects that never was in place has no objects.
        guard let name = artifact.spec.deletionPolicy == .deleteBucket ? uri?.bucket ?? ledger : uri?.bucket,
            GoogleNames.isBucket(name)
        else { return }
        observation.bucket = try await bucket(name, known: artifact.status?.bucket)
        guard observation.ownBucket != nil else { return }
        observation.users = users(of: artifact, in: name)
        let prefix = artifact.spec.deletionPolicy == .deleteBucket ? nil : artifact.spec.prefix
        guard prefix?.isEmpty != true, observation.isDeletionConfirmed, observation.users.isEmpty else { return }
        let query = ObjectQuery(prefix: prefix, versions: true, pageSize: GCSArtifactDeletion.batchSize)
        observation.contents = try await storage.firstObjects(in: name, query).map {
            ObjectGeneration(name: $0.name, generation: $0.generation)
        }
    }

    /// Runs that still write or read below the artifact's place, and artifacts in its bucket.
    private func users(of artifact: GCSArtifact, in bucket: String) -> [String] {
        let namespace = artifact.metadata.namespace
        let running = jobs.objects(in: namespace) { job in
            guard let run = job.status?.run, run.result == nil, let uri = artifact.status?.uri else { return false }
            return run.prefix?.hasPrefix(uri) == true || run.checkpointPrefix?.hasPrefix(uri) == true
                || run.inputs.contains { $0.uri?.hasPrefix(uri) == true }
        }.map { "TrainingJob \($0.metadata.name)" }
        guard artifact.spec.deletionPolicy == .deleteBucket else { return running.sorted() }
        let tenants = artifacts.objects(in: namespace) { $0.spec.bucketRef?.name == artifact.metadata.name }
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
            job: job.metadata.name, id: run.id, specHash: run.specHash, prefix: prefix,
            completionTime: run.completionTime ?? run.startTime ?? .distantPast,
            outputs: job.status?.outputs?.files ?? [], metrics: job.status?.trainerStatus?.metrics ?? [],
            manifest: .absent(files: [:]))
    }
}

// MARK: Performing

extension GCSArtifactController {
    public func perform(_ action: GCSArtifactAction) async throws(APIError) {
        switch action {
        case .createBucket(let bucket, let owner): try await create(bucket, owner)
        case .patchBucket(let name, let patch, let metageneration, let owner):
            try await requireOurs(name, owner: owner)
            _ = try await storage.patchBucket(name, patch, ifMetagenerationMatch: metageneration)
        case .adoptBucket(let name, let metageneration, let owner): try await adopt(name, metageneration, owner)
        case .writeManifest(let bytes, let place): try await write(bytes, to: place)
        case .deleteObjects(let objects, let bucket, let owner):
            let artifact = try await requireConfirmedDeletion(owner)
            try await requireOurs(bucket, owner: artifact.spec.bucket == nil ? nil : owner)
            for object in objects { try await delete(object, in: bucket) }
        case .deleteBucket(let name, let owner):
            _ = try await requireConfirmedDeletion(owner)
            let bucket = try await requireOurs(name, owner: owner)
            do throws(APIError) {
                try await storage.deleteBucket(name, ifMetagenerationMatch: bucket.metageneration)
            } catch  where error.code == .notFound {
                return
            }
        }
    }

    /// Creates a bucket if the object, read live, still has the intent: a cache that is behind must not create.
    private func create(_ bucket: BucketConfiguration, _ owner: ObjectReference) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        let reference = GCSArtifactBucket.externalReference(bucket.name)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting,
            live.status?.resources.contains(where: { $0.externalRef == reference }) == true
        else { throw changed("the object no longer intends \(bucket.name)") }
        do throws(APIError) {
            _ = try await storage.insertBucket(bucket, project: configuration.cluster.project)
        } catch  where error.code == .alreadyExists {
            return  // The next observation says whose it is.
        }
    }

    /// Labels a retained bucket as the object's, if the object, read live, is there and the bucket is as it was.
    private func adopt(
        _ name: String, _ metageneration: Int64, _ owner: ObjectReference
    ) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        let bucket = try await storage.bucket(name)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting,
            GCSArtifactBucket.isRetained(bucket.labels, for: owner, clusterUID: configuration.clusterUID)
        else { throw changed("the bucket \(name) is not to be taken back any more") }
        var patch = BucketPatch()
        patch.labels = GCSArtifactBucket.ownLabels(owner, clusterUID: configuration.clusterUID).mapValues { $0 }
        _ = try await storage.patchBucket(name, patch, ifMetagenerationMatch: metageneration)
    }

    private func write(_ bytes: [UInt8], to place: StorageURI) async throws(APIError) {
        do throws(APIError) {
            let options = UploadOptions(contentType: "application/json", ifGenerationMatch: 0)
            _ = try await storage.upload(bytes, to: place.path, in: place.bucket, options: options)
        } catch  where error.code == .preconditionFailed {
            return  // There is one: the next observation reads it.
        }
    }

    private func delete(_ object: ObjectGeneration, in bucket: String) async throws(APIError) {
        do throws(APIError) {
            try await storage.deleteObject(object.name, in: bucket, generation: object.generation)
        } catch  where error.code == .notFound {
            return
        }
    }

    /// The bucket, read live, if it carries the labels of that object (nil: of an object of this cluster).
    ///
    /// - Throws: `.conflict` when it does not: then everything is looked at again.
    @discardableResult
    private func requireOurs(_ name: String, owner: ObjectReference?) async throws(APIError) -> Bucket {
        let bucket = try await storage.bucket(name)
        guard
            GCSArtifactBucket.isOurs(
                bucket.labels, ownerUID: owner.map { $0.uid ?? "" }, clusterUID: configuration.clusterUID)
        else { throw changed("the bucket \(name) is not ours any more") }
        return bucket
    }

    /// The object, read live: it is still being deleted, and with consent.
    private func requireConfirmedDeletion(_ owner: ObjectReference) async throws(APIError) -> GCSArtifact {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        guard let live, live.metadata.uid == owner.uid, live.metadata.isDeleting,
            live.spec.deletionPolicy != .retain,
            live.metadata.annotations?[Ownership.confirmDeletionAnnotation] == owner.name
        else { throw changed("the deletion is no longer confirmed") }
        return live
    }

    private func changed(_ message: String) -> APIError {
        APIError(.conflict, operation: "GCSArtifact", message: message)
    }
}
