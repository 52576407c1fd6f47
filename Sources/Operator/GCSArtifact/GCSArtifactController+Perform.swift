import ControllerRuntime
import GoogleCloud
public import HTTP
import Kubernetes

extension GCSArtifactController {
    private static var parallelDeletions: Int { 8 }

    public func perform(_ action: GCSArtifactAction) async throws(APIError) {
        try await CallOwner.named(action.owner.namespace ?? "") { () async throws(APIError) in
            try await change(action)
        }
    }

    private func change(_ action: GCSArtifactAction) async throws(APIError) {
        switch action {
        case .createBucket(let bucket, let owner): try await create(bucket, owner)
        case .patchBucket(let name, let patch, let metageneration, let owner):
            try await requireOurs(name, owner: owner)
            _ = try await storage.patchBucket(name, patch, ifMetagenerationMatch: metageneration)
        case .lockRetention(let name, let seconds, let metageneration, let owner):
            try await lock(name, seconds, metageneration, owner)
        case .setBindings(let bindings, let bucket, let owner): try await setBindings(bindings, of: bucket, owner)
        case .adoptBucket(let name, let metageneration, let owner): try await adopt(name, metageneration, owner)
        case .writeManifest(let bytes, let place, _): try await write(bytes, to: place)
        case .deleteObjects(let objects, let bucket, let owner):
            let artifact = try await requireConfirmedDeletion(owner)
            try await requireOurs(bucket, owner: artifact.spec.bucket == nil ? nil : owner)
            try await delete(objects, in: bucket)
            if let uid = owner.uid { memory.add(objects, to: uid, known: artifact.status?.deletion) }
        case .markRemoved(let removal, let owner): try await mark(removal, owner)
        case .emptyVersion(let removal, let objects, let owner): try await empty(removal, objects, owner)
        case .closeRemoval(let removal, let owner): try await close(removal, owner)
        case .signURLs(let names, let place, let time, let owner): try await sign(names, below: place, time, owner)
        case .setNotifications(let bucket, let owner): try await setNotifications(of: bucket, owner)
        case .copyObjects(let batch, let owner): try await copy(batch, owner)
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
        try await kubernetes.requireLiving(namespace: owner.namespace, "storage.buckets.insert")
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
            Ownership.isRetained(bucket.labels, for: owner, clusterUID: configuration.clusterUID)
        else { throw changed("the bucket \(name) is not to be taken back any more") }
        var patch = BucketPatch()
        patch.labels = Ownership.retainableLabels(owner, clusterUID: configuration.clusterUID).mapValues { $0 }
        _ = try await storage.patchBucket(name, patch, ifMetagenerationMatch: metageneration)
    }

    /// Locks, if the object, read live, still asks for exactly this: there is no way back.
    private func lock(
        _ name: String, _ seconds: Int64, _ metageneration: Int64, _ owner: ObjectReference
    ) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        let bucket = try await requireOurs(name, owner: owner)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting,
            live.spec.bucket?.retention == .init(retentionSeconds: seconds, locked: true),
            bucket.retentionPolicy?.retentionPeriod == seconds
        else { throw changed("the retention of \(name) is not to be locked any more") }
        guard bucket.retentionPolicy?.isLocked != true else { return }
        _ = try await storage.lockRetentionPolicy(ofBucket: name, ifMetagenerationMatch: metageneration)
    }

    /// The look that the plan went by may be some seconds old: whose the bucket is now is asked once more.
    func requireWritable(_ name: String) async throws(APIError) {
        let bucket = try await storage.bucket(name)
        if !GCSArtifactBucket.isOurs(bucket.labels, ownerUID: nil, clusterUID: configuration.clusterUID) {
            // Without our label it is one that is only observed, which the plan accepts in our own project.
            guard try await isInProject(bucket) else { throw changed("the bucket \(name) is not ours") }
        }
    }

    private func write(_ bytes: [UInt8], to place: StorageURI) async throws(APIError) {
        try await requireWritable(place.bucket)
        do throws(APIError) {
            let options = UploadOptions(contentType: "application/json", ifGenerationMatch: 0)
            _ = try await storage.upload(bytes, to: place.path, in: place.bucket, options: options)
        } catch  where error.code == .preconditionFailed {
            return  // There is one: the next observation reads it.
        }
    }

    /// Some at a time: one after the other, a batch would take as long as fifty calls.
    func delete(_ objects: [ObjectGeneration], in bucket: String) async throws(APIError) {
        let results = await withTaskGroup(of: Result<Void, APIError>.self) { group in
            var rest = objects[...]
            for object in rest.prefix(Self.parallelDeletions) {
                group.addTask { await self.delete(object, in: bucket) }
            }
            rest = rest.dropFirst(Self.parallelDeletions)
            var results: [Result<Void, APIError>] = []
            while let result = await group.next() {
                results.append(result)
                // After a failure nothing more is begun.
                guard case .success = result, let object = rest.popFirst() else { continue }
                group.addTask { await self.delete(object, in: bucket) }
            }
            return results
        }
        for result in results { try result.get() }
    }

    private func delete(_ object: ObjectGeneration, in bucket: String) async -> Result<Void, APIError> {
        do throws(APIError) {
            try await storage.deleteObject(object.name, in: bucket, generation: object.generation)
            return .success(())
        } catch {
            return error.code == .notFound ? .success(()) : .failure(error)
        }
    }

    /// The bucket, read live, if it carries the labels of that object (nil: of an object of this cluster).
    ///
    /// - Throws: `.conflict` when it does not: then everything is looked at again.
    @discardableResult
    func requireOurs(_ name: String, owner: ObjectReference?) async throws(APIError) -> Bucket {
        let bucket = try await storage.bucket(name)
        guard
            GCSArtifactBucket.isOurs(
                bucket.labels, ownerUID: owner.map { $0.uid ?? "" }, clusterUID: configuration.clusterUID)
        else { throw changed("the bucket \(name) is not ours any more") }
        return bucket
    }

    /// The object, read live: it is still being deleted, with consent, and nobody uses the data.
    private func requireConfirmedDeletion(_ owner: ObjectReference) async throws(APIError) -> GCSArtifact {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        guard let live, live.metadata.uid == owner.uid, live.metadata.isDeleting,
            live.spec.deletionPolicy != .retain,
            live.metadata.annotations?[Ownership.confirmDeletionAnnotation] == owner.name
        else { throw changed("the deletion is no longer confirmed") }
        guard try await !isKindGoing() else { throw changed("the kind is being removed: data stays") }
        let here = ObjectSelection(namespace: owner.namespace)
        let neighbours = Self.hasTenants(live) ? try await kubernetes.list(GCSArtifact.self, here).items : []
        let others = try await otherUses(live.metadata.name, owner.namespace ?? "").map(\.user)
        let users =
            Self.users(of: live, jobs: try await kubernetes.list(TrainingJob.self, here).items, artifacts: neighbours)
            + others
        guard users.isEmpty else { throw changed("the data is used by \(users.joined(separator: ", "))") }
        return live
    }

    func changed(_ message: String) -> APIError {
        APIError(.conflict, operation: "GCSArtifact", message: message)
    }
}
