import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes

extension GCSArtifactController {
    /// Folders that are whole and not published yet, as runs that need no TrainingJob.
    func observeUploads(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        guard let upload = observation.spec.source?.upload, observation.dataBucket != nil,
            let place = observation.place
        else { return }
        let top = try await storage.objects(
            in: place.bucket, ObjectQuery(prefix: place.path, delimiter: "/", limit: Self.maximumFileCount))
        let manifests = try await manifestTimes(in: place)
        for prefix in top.prefixes {
            let name = String(prefix.dropFirst(place.path.count).dropLast())
            if GCSArtifactUploads.reserved.contains(name) || isPast(name, manifests[name], observation) { continue }
            guard GCSArtifactUploads.isVersionName(name), let folder = place.appending("\(name)/") else {
                observation.unnameable = observation.unnameable ?? name
                continue
            }
            try await observe(name, folder, upload, place, hasManifest: manifests[name] != nil, &observation)
        }
    }

    private func observe(
        _ name: String, _ folder: StorageURI, _ upload: GCSArtifact.Source.Upload, _ place: StorageURI,
        hasManifest: Bool, _ observation: inout GCSArtifactObservation
    ) async throws(APIError) {
        var run = VerifiedRun(
            job: name, id: name, specHash: nil, prefix: folder, completionTime: observation.moment, outputs: [],
            metrics: [], manifest: .absent(files: [:]))
        run.producerKind = GCSArtifactUploads.producerKind
        if hasManifest {
            run.manifest = try await manifest(of: run, in: place)
            if case .written(let bytes) = run.manifest, let written = GCSArtifactManifest(bytes) {
                run.completionTime = written.time
            }
        } else {
            let query = ObjectQuery(prefix: folder.path, limit: Self.maximumFileCount)
            let objects = try await storage.objects(in: folder.bucket, query).objects
            guard
                case .whole(let files, let time) = GCSArtifactUploads.state(
                    objects, below: folder, upload, now: observation.now)
            else {
                observation.arriving.append(name)
                return
            }
            run.completionTime = time
            run.manifest = .absent(files: files)
            try await lookAtModel(&run, files, observation.artifact)
        }
        observation.runs.append(run)
    }

    /// When each version's manifest was written.
    private func manifestTimes(in place: StorageURI) async throws(APIError) -> [String: Timestamp] {
        guard let folder = place.appending("manifests/") else { return [:] }
        let query = ObjectQuery(prefix: folder.path, limit: Self.maximumFileCount)
        var times: [String: Timestamp] = [:]
        for object in try await storage.objects(in: place.bucket, query).objects where object.name.hasSuffix(".json") {
            let name = String(object.name.dropFirst(folder.path.count).dropLast(5))
            times[name] = object.timeCreated.flatMap { Timestamp($0) } ?? .distantPast
        }
        return times
    }

    /// Published, and in the status or pushed out of it by newer ones.
    private func isPast(_ name: String, _ manifest: Timestamp?, _ observation: GCSArtifactObservation) -> Bool {
        let versions = observation.status.versions
        if versions.contains(where: { $0.name == name }) { return true }
        if observation.removed?.names.contains(name) == true { return true }
        guard let manifest, versions.count >= GCSArtifactVersions.maximumCount, let oldest = versions.last?.time else {
            return false
        }
        return manifest <= oldest
    }

    /// What is wrong with a model's files is told instead of a version.
    func lookAtModel(
        _ run: inout VerifiedRun, _ files: [String: OutputFile], _ artifact: GCSArtifact
    ) async throws(APIError) {
        guard artifact.spec.artifactType == .model else { return }
        do throws(APIError) {
            run.malformed = try await malformedModel(files, below: run.prefix)
        } catch {
            if error.code == .cancelled { throw error }
            run.manifest = .unreadable(error)
        }
    }
}
