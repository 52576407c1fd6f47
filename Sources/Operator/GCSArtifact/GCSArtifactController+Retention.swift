import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Telemetry

extension GCSArtifactController {
    private static var retentionInterval: Duration { .seconds(300) }
    /// Manifests that are read in one look for one that may go.
    private static var maximumCandidates: Int { 64 }
    private static var manifestGenerationKey: String { "manifest-generation" }

    /// Which versions are gone: they do not come back from runs, uploads and sources that are still there.
    func observeRemoved(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        guard observation.spec.versionRetention != nil || observation.status.retention != nil,
            observation.ownBucket != nil, observation.spec.layout != .flat,
            let folder = observation.place?.appending(GCSArtifactRetention.folder)
        else { return }
        var removed = RemovedVersions()
        let query = ObjectQuery(prefix: folder.path, limit: Self.maximumFileCount)
        for object in try await storage.objects(in: folder.bucket, query).objects where object.name.hasSuffix(".json") {
            let name = String(object.name.dropFirst(folder.path.count).dropLast(5))
            removed.names.insert(name)
            if object.size == 0 {
                removed.closedCount += 1
            } else if removed.open == nil {
                removed.open = .init(
                    version: name, generation: object.generation,
                    manifestGeneration: object.metadata?[Self.manifestGenerationKey].flatMap { Int64($0) } ?? 0)
            }
        }
        observation.removed = removed
    }

    /// What goes on with a version that is going, or which one is to go.
    func observeRetention(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        guard let removed = observation.removed, let place = observation.place, let uid = artifact.metadata.uid,
            artifact.status?.conditions.isTrue("Ready") == true
        else { return }
        if let open = removed.open {
            observation.removal = try await nextStep(open, in: place)
            return
        }
        guard let retention = observation.spec.versionRetention,
            artifact.status?.observedGeneration == artifact.metadata.generation
        else { return }
        let key = "\(uid) keep \(retention.keepLast) \(observation.status.latestVersion?.name ?? "")"
        guard looks.isDue(key, every: Self.retentionInterval, now: clock.uptime) else { return }
        do throws(APIError) {
            observation.removal = try await candidate(retention.keepLast, place, observation).map { .mark($0) }
        } catch {
            looks.forget(key)
            throw error
        }
        if observation.removal != nil { looks.forget(key) }  // There may be more.
    }

    /// Objects of the version that are still there, noncurrent ones too: exactly those of its manifest.
    private func nextStep(_ open: RemovedVersions.Open, in place: StorageURI) async throws(APIError) -> RemovalStep? {
        guard let trace = GCSArtifactRetention.trace(of: open.version, in: place) else { return nil }
        let bytes = try await storage.read(trace.path, in: trace.bucket, limit: Self.maximumManifestBytes).bytes
        guard
            let (removal, manifest) = removal(
                open.version, bytes, generation: open.manifestGeneration, traceGeneration: open.generation, keepLast: 0,
                in: place)
        else { return nil }
        let wanted = Dictionary(manifest.files.map { ($0.path, $0.generation) }) { $1 }
        var found: [ObjectGeneration] = []
        let query = ObjectQuery(prefix: removal.home.path, versions: true, limit: 10 * Self.maximumFileCount)
        _ = try await storage.visitObjects(in: removal.home.bucket, query) { object in
            let path = String(object.name.dropFirst(removal.home.path.count))
            guard wanted[path] == String(object.generation), found.count < GCSArtifactRetention.batchSize else {
                return
            }
            found.append(ObjectGeneration(name: object.name, generation: object.generation, sizeBytes: object.size))
        }
        return found.isEmpty ? .close(removal) : .empty(removal, found)
    }

    private func candidate(
        _ keepLast: Int, _ place: StorageURI, _ observation: GCSArtifactObservation
    ) async throws(APIError) -> VersionRemoval? {
        guard let folder = place.appending("manifests/") else { return nil }
        let query = ObjectQuery(prefix: folder.path, limit: Self.maximumFileCount)
        let manifests = try await storage.objects(in: folder.bucket, query).objects.compactMap { object in
            object.name.hasSuffix(".json")
                ? ManifestPlace(
                    version: String(object.name.dropFirst(folder.path.count).dropLast(5)),
                    generation: object.generation, time: object.timeCreated.flatMap { Timestamp($0) } ?? observation.now
                )
                : nil
        }
        let period = observation.ownBucket?.retentionPolicy?.retentionPeriod ?? 0
        let expendable = GCSArtifactRetention.expendable(
            manifests, keepLast: keepLast, kept: GCSArtifactRetention.kept(observation.spec, observation.status),
            retentionPeriod: .seconds(period), now: observation.now)
        if expendable.isEmpty { return nil }
        let uses = try await uses(of: observation.artifact, at: place, isLive: false)
        for manifest in expendable.prefix(Self.maximumCandidates) {
            guard let removal = try await removal(manifest, keepLast, place),
                GCSArtifactRetention.user(of: removal, in: uses) == nil
            else { continue }
            return removal
        }
        return nil
    }

    /// nil for what is no manifest of ours: it stays.
    private func removal(
        _ manifest: ManifestPlace, _ keepLast: Int, _ place: StorageURI
    ) async throws(APIError) -> VersionRemoval? {
        guard let home = GCSArtifactManifest.place(version: manifest.version, in: place) else { return nil }
        let bytes = try await storage.read(
            home.path, in: home.bucket, generation: manifest.generation, limit: Self.maximumManifestBytes
        ).bytes
        return removal(
            manifest.version, bytes, generation: manifest.generation, traceGeneration: 0, keepLast: keepLast, in: place)?
            .0
    }

    /// Only what lies below the artifact's own place is ever deleted, whatever a manifest says.
    private func removal(
        _ version: String, _ bytes: [UInt8], generation: Int64, traceGeneration: Int64, keepLast: Int,
        in place: StorageURI
    ) -> (VersionRemoval, GCSArtifactManifest)? {
        guard let manifest = GCSArtifactManifest(bytes), manifest.version == version,
            let home = StorageURI(manifest.uri), home.isPrefix, home.bucket == place.bucket,
            home.path.hasPrefix(place.path), home.path != place.path,
            let written = GCSArtifactManifest.place(version: version, in: place),
            let trace = GCSArtifactRetention.trace(of: version, in: place)
        else { return nil }
        let removal = VersionRemoval(
            version: version, digest: GCSArtifactManifest.digest(bytes), home: home, manifest: written,
            manifestGeneration: generation, trace: trace, traceGeneration: traceGeneration, keepLast: keepLast)
        return (removal, manifest)
    }

    // MARK: Users

    /// Who reads versions: runs, and what the installation knows besides (ModelEndpoints).
    func uses(
        of artifact: GCSArtifact, at place: StorageURI, isLive: Bool
    ) async throws(APIError) -> [ArtifactUse] {
        let namespace = artifact.metadata.namespace ?? ""
        let jobs =
            isLive
            ? try await kubernetes.list(TrainingJob.self, ObjectSelection(namespace: namespace)).items
            : cachedJobs(in: namespace)
        let others = try await otherUses(artifact.metadata.name, namespace)
        return ArtifactUse.ofJobs(jobs, at: place.description) + others
    }

    // MARK: Acting

    /// Reads everything live once more: the object, who uses the version, whose the bucket is.
    func mark(_ removal: VersionRemoval, _ owner: ObjectReference) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting,
            live.spec.versionRetention?.keepLast == removal.keepLast,
            let status = live.status, !GCSArtifactRetention.kept(live.spec, status).contains(removal.version),
            let place = status.uri.flatMap({ StorageURI($0) }), removal.home.path.hasPrefix(place.path)
        else { throw changed("the version \(removal.version) is not to be removed any more") }
        let uses = try await uses(of: live, at: place, isLive: true)
        if let use = GCSArtifactRetention.user(of: removal, in: uses) {
            throw changed("the version \(removal.version) is used by \(use.user)")
        }
        try await requireOurs(removal.manifest.bucket, owner: live.spec.bucket == nil ? nil : owner)
        let bytes = try await storage.read(
            removal.manifest.path, in: removal.manifest.bucket, generation: removal.manifestGeneration,
            limit: Self.maximumManifestBytes
        ).bytes
        guard GCSArtifactManifest.digest(bytes) == removal.digest else {
            throw changed("the manifest of \(removal.version) was changed")
        }
        let options = UploadOptions(
            contentType: "application/json", ifGenerationMatch: 0,
            metadata: [Self.manifestGenerationKey: String(removal.manifestGeneration)])
        do throws(APIError) {
            _ = try await storage.upload(bytes, to: removal.trace.path, in: removal.trace.bucket, options: options)
        } catch  where error.code == .preconditionFailed {
            throw changed("the version \(removal.version) is going already")
        }
        try await deleteManifest(of: removal)
    }

    private func deleteManifest(of removal: VersionRemoval) async throws(APIError) {
        guard removal.manifestGeneration > 0 else { return }
        do throws(APIError) {
            try await storage.deleteObject(
                removal.manifest.path, in: removal.manifest.bucket, generation: removal.manifestGeneration)
        } catch  where error.code == .notFound {
            return
        }
    }

    func empty(
        _ removal: VersionRemoval, _ objects: [ObjectGeneration], _ owner: ObjectReference
    ) async throws(APIError) {
        try await requireGoing(removal, owner)
        // Whoever died between the two left the manifest.
        try await deleteManifest(of: removal)
        try await delete(objects, in: removal.home.bucket)
    }

    func close(_ removal: VersionRemoval, _ owner: ObjectReference) async throws(APIError) {
        try await requireGoing(removal, owner)
        try await deleteManifest(of: removal)
        let options = UploadOptions(
            contentType: "application/json", ifGenerationMatch: removal.traceGeneration,
            metadata: [Self.manifestGenerationKey: String(removal.manifestGeneration)])
        do throws(APIError) {
            _ = try await storage.upload([], to: removal.trace.path, in: removal.trace.bucket, options: options)
        } catch  where error.code == .preconditionFailed {
            return  // The next look says what it is now.
        }
    }

    /// A version that has begun to go goes to the end, also when nobody asks for it any more.
    private func requireGoing(_ removal: VersionRemoval, _ owner: ObjectReference) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting else {
            throw changed("the object is gone")
        }
        try await requireOurs(removal.home.bucket, owner: live.spec.bucket == nil ? nil : owner)
        let trace = try await storage.object(removal.trace.path, in: removal.trace.bucket)
        guard trace.generation == removal.traceGeneration, trace.size > 0 else {
            throw changed("the version \(removal.version) is not going any more")
        }
    }
}
