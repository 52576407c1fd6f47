import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Telemetry

extension GCSArtifactController {
    private static var parallelCopies: Int { 8 }
    /// Requests for one object in one step.
    private static var rewritesPerStep: Int { 4 }

    /// What of the source is not here yet. A source that was copied is looked at now and then.
    func observeImport(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        guard let source = observation.spec.source, source.type != .upload, observation.dataBucket != nil,
            let place = observation.place, let uid = observation.artifact.metadata.uid
        else { return }
        let key = GCSArtifactImport.key(source)
        let transfer = observation.status.transfer
        let isCopied = transfer?.source == key && transfer?.phase == GCSArtifactImport.complete
        if isCopied,
            !looks.isDue(
                "\(uid) source \(key)", every: GCSArtifactImport.interval, now: clock.uptime, isAtFirst: false)
        {
            return
        }
        if let failure = memory.failure(of: uid, notOlderThan: GCSArtifactImport.retryInterval, now: clock.uptime),
            let from = StorageURI(source.uri?.uri ?? source.dvc?.remote ?? ""),
            let obstacle = VersionObstacle(failure, at: from)
        {
            observation.imported = .obstacle(obstacle)
            return
        }
        let listing: ImportListing
        do throws(ImportFailure) {
            listing = try await knownListing(
                of: source, key, uid, into: place, observation.artifact.metadata.namespace ?? "")
        } catch {
            switch error {
            case .call(let error): throw error
            case .obstacle(let obstacle):
                // What was copied stays, whatever became of its source.
                if !isCopied { observation.imported = .obstacle(obstacle) }
                return
            }
        }
        try await observe(listing, source, uid, place, &observation)
    }

    private func knownListing(
        of source: GCSArtifact.Source, _ key: String, _ uid: String, into place: StorageURI, _ namespace: String
    ) async throws(ImportFailure) -> ImportListing {
        let now = clock.uptime
        if let known = memory.listing(key, of: uid, notOlderThan: GCSArtifactImport.memory, now: now) { return known }
        let listing = try await listing(of: source, into: place, namespace)
        memory.set(listing, key, of: uid, now: now)
        return listing
    }

    private func observe(
        _ listing: ImportListing, _ source: GCSArtifact.Source, _ uid: String, _ place: StorageURI,
        _ observation: inout GCSArtifactObservation
    ) async throws(APIError) {
        guard let home = place.appending("\(listing.version)/") else { return }
        let isPublished =
            observation.status.versions.contains { $0.name == listing.version }
            || observation.removed?.names.contains(listing.version) == true
        guard !isPublished else {
            observation.imported = .complete(version: listing.version)
            return
        }
        var run = VerifiedRun(
            job: listing.version, id: listing.version, specHash: nil, prefix: home,
            completionTime: observation.moment, outputs: [], metrics: [], manifest: .absent(files: [:]))
        run.producerKind = source.type.rawValue
        run.manifest = try await manifest(of: run, in: place)
        switch run.manifest {
        case .unreadable:
            observation.runs.append(run)
            return
        case .written(let bytes):
            if let manifest = GCSArtifactManifest(bytes) { run.completionTime = manifest.time }
        case .absent(let found):
            let known = observation.status.transfer
            let rewrite = memory.rewrite(of: uid) ?? known.flatMap { RewriteMark($0, listing) }
            var progress = GCSArtifactImport.progress(listing, found: found, home: home, rewrite: rewrite)
            progress.failure = memory.lastFailure(of: uid).flatMap { VersionObstacle($0, at: home) }
            guard progress.batch.isEmpty else {
                observation.imported = .copying(progress)
                return
            }
            let paths = Set(listing.items.map(\.path))
            let files = found.filter { paths.contains($0.key) }
            run.manifest = .absent(files: files)
            try await lookAtModel(&run, files, observation.artifact)
        }
        // It is complete once it is recorded: until then it is looked at in every round.
        observation.runs.append(run)
    }

    // MARK: Acting

    /// Copies a batch, if the object, read live, still asks for a source and the place is one that we may write to.
    func copy(_ batch: ImportBatch, _ owner: ObjectReference) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        guard let live, let uid = live.metadata.uid, uid == owner.uid, !live.metadata.isDeleting,
            live.spec.source != nil
        else { throw changed("there is no source any more") }
        try await requireWritable(batch.home.bucket)
        let failures = await withTaskGroup(of: APIError?.self) { group in
            var rest = batch.items[...]
            for item in rest.prefix(Self.parallelCopies) { group.addTask { await self.copy(item, batch, uid) } }
            rest = rest.dropFirst(Self.parallelCopies)
            var failures: [APIError] = []
            while let failure = await group.next() {
                if let failure { failures.append(failure) }
                // After a failure nothing more is begun.
                guard failures.isEmpty, let item = rest.popFirst() else { continue }
                group.addTask { await self.copy(item, batch, uid) }
            }
            return failures
        }
        guard let failure = failures.first(where: { $0.code == .cancelled }) ?? failures.first else {
            memory.set(failure: nil, of: uid, now: clock.uptime)
            return
        }
        switch failure.code {
        case .forbidden, .notFound, .invalid: memory.set(failure: failure, of: uid, now: clock.uptime)
        default: throw failure
        }
    }

    private func copy(_ item: ImportItem, _ batch: ImportBatch, _ uid: String) async -> APIError? {
        do throws(APIError) {
            try await rewrite(item, batch, uid)
            return nil
        } catch {
            // Somebody was there first, perhaps we: the next look compares what lies there.
            return error.code == .preconditionFailed ? nil : error
        }
    }

    private func rewrite(_ item: ImportItem, _ batch: ImportBatch, _ uid: String) async throws(APIError) {
        let name = batch.home.path + item.path
        let destination = ObjectLocation(bucket: batch.home.bucket, name: name)
        var token = batch.rewrite?.path == item.path ? batch.rewrite?.token : nil
        for _ in 0..<Self.rewritesPerStep {
            let step: RewriteStep
            do throws(APIError) {
                step = try await storage.rewriteStep(
                    item.source, to: destination, ifGenerationMatch: item.replaces, token: token)
            } catch {
                guard error.code == .invalid, token != nil else { throw error }
                // A token is good for some days, and once: it begins anew.
                memory.set(nil, of: uid)
                token = nil
                continue
            }
            if let object = step.object {
                if batch.rewrite?.path == item.path { memory.set(nil, of: uid) }
                guard object.crc32c == item.crc32c, object.size == item.sizeBytes else {
                    throw APIError(
                        .malformedResponse, operation: "storage.objects.rewrite",
                        message: "\(name) has another CRC32C than its source")
                }
                return
            }
            token = step.token
            memory.set(
                RewriteMark(
                    path: item.path, generation: item.source.generation, token: step.token,
                    copiedBytes: step.copiedBytes), of: uid)
        }
    }
}

extension RewriteMark {
    /// From a status that another process wrote.
    fileprivate init?(_ transfer: GCSArtifact.Status.Transfer, _ listing: ImportListing) {
        guard transfer.version == listing.version, let path = transfer.path, let token = transfer.rewriteToken,
            let item = listing.items.first(where: { $0.path == path })
        else { return nil }
        self.init(path: path, generation: item.source.generation, token: token, copiedBytes: 0)
    }
}
