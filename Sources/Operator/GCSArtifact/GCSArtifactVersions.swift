import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import TrainingContract

/// What keeps a run, an upload or a source from becoming a version.
public struct VersionObstacle: Error, Sendable, Hashable {
    public var reason: GCSArtifactReason
    public var message: String
}

/// Versions: a verified run becomes one, named after the run. Layouts ByRun and Versioned have them, Flat has none.
enum GCSArtifactVersions {
    typealias Observation = GCSArtifactObservation
    typealias Decision = GCSArtifactDecision
    typealias Status = GCSArtifact.Status

    /// Kept in the status, newest first; each has its manifest in the bucket for good.
    static let maximumCount = 20

    typealias Obstacle = VersionObstacle

    /// Whether a run's version is in the status, or so old that newer ones have pushed it out.
    static func isKnown(_ runID: String, completed: Timestamp, in status: Status) -> Bool {
        if status.versions.contains(where: { $0.name == runID }) { return true }
        guard status.versions.count >= maximumCount, let oldest = status.versions.last?.time else { return false }
        return completed <= oldest
    }

    /// Files below a run's prefix that belong to its version: progress goes on changing, and the operator's own folder is
    /// none of it.
    static func isVersioned(_ path: String) -> Bool {
        path != BucketLayout.progress && !path.hasPrefix(OperatorFolder.path)
    }

    // MARK: Rules

    /// Manifests that are in the bucket become versions in the status.
    static func recording(_ observation: Observation) -> Decision? {
        var status = observation.status
        for run in observation.runs {
            guard case .written(let bytes) = run.manifest, let manifest = manifest(bytes, of: run) else { continue }
            record(manifest, digest: GCSArtifactManifest.digest(bytes), run, &status, observation)
        }
        if status == observation.status { return nil }
        return .record(status, .ready)
    }

    /// Runs without a manifest get one. The object stays ready: its data does not wait for this.
    static func publishing(_ observation: Observation) -> Decision? {
        var steps: [Decision.Step] = []
        for run in observation.runs {
            guard case .absent(let files) = run.manifest, obstacle(run, observation.spec) == nil,
                let place = observation.place.flatMap({ GCSArtifactManifest.place(version: run.id, in: $0) })
            else { continue }
            let manifest = GCSArtifactManifest(run, files: files, artifact: observation.artifact)
            steps.append(.cloud(.writeManifest(manifest.bytes, to: place, owner: observation.owner)))
        }
        if steps.isEmpty { return nil }
        return Decision(steps: steps, status: observation.status, situation: .ready, next: .after(.zero))
    }

    /// Why a run cannot be published now; nil when it can, or is.
    static func obstacle(_ run: VerifiedRun, _ spec: GCSArtifact.Spec) -> Obstacle? {
        switch run.manifest {
        case .unreadable(let error):
            return Obstacle(reason: .storageUnavailable, message: "\(run.id): \(error.message)")
        case .written(let bytes):
            if manifest(bytes, of: run) != nil { return nil }
            return Obstacle(
                reason: .manifestConflict,
                message: "the manifest of \(run.id) was not written by this operator: remove it to publish the run")
        case .absent(let files):
            // Digest-locked: what was verified is what is published.
            for output in run.outputs where output.verified == true {
                let file = files[output.path]
                if file?.crc32c == output.crc32c, file.map({ String($0.generation) }) == output.generation { continue }
                return Obstacle(
                    reason: .outputChanged,
                    message: "\(output.path) of \(run.id) changed after it was verified: no version is published")
            }
            if files.isEmpty {
                return Obstacle(
                    reason: .outputChanged, message: "the files of \(run.id) are gone: no version is published")
            }
            if let missing = (spec.verification?.requiredFiles ?? []).first(where: { files[$0] == nil }) {
                return Obstacle(
                    reason: .requiredFileMissing,
                    message: "\(run.id) has no \(missing), which spec.verification requires: no version is published")
            }
            return run.malformed.map { Obstacle(reason: .malformedModel, message: "\(run.id): \($0)") }
        }
    }

    private static func manifest(_ bytes: [UInt8], of run: VerifiedRun) -> GCSArtifactManifest? {
        guard let manifest = GCSArtifactManifest(bytes), manifest.version == run.id,
            manifest.producer.runID == run.id, manifest.uri == run.prefix.description
        else { return nil }
        return manifest
    }

    private static func record(
        _ manifest: GCSArtifactManifest, digest: String, _ run: VerifiedRun, _ status: inout Status,
        _ observation: Observation
    ) {
        guard !isKnown(run.id, completed: run.completionTime, in: status) else { return }
        let version = Status.Version(
            name: manifest.version, digest: digest, sizeBytes: manifest.sizeBytes, verified: true,
            time: manifest.time)
        status.versionCount = (status.versionCount ?? status.versions.count) + 1
        status.versions = Array(
            (status.versions + [version]).sorted { left, right in
                (right.time ?? .distantPast, right.name) < (left.time ?? .distantPast, left.name)
            }.prefix(maximumCount))
        guard status.versions.first?.name == version.name else { return }
        var latest = Status.LatestVersion(name: manifest.version, digest: digest)
        latest.manifestURI = observation.place.flatMap {
            GCSArtifactManifest.place(version: manifest.version, in: $0)?.description
        }
        latest.objectCount = Int64(manifest.files.count)
        latest.sizeBytes = manifest.sizeBytes
        latest.verified = true
        latest.producer = Status.Producer(
            kind: manifest.producer.kind, name: manifest.producer.name, runID: manifest.producer.runID)
        latest.metrics = manifest.metrics.sorted { $0.key < $1.key }.prefix(8).map {
            Status.NamedValue(name: String($0.key.prefix(64)), value: String($0.value.prefix(24)))
        }
        latest.time = manifest.time
        status.latestVersion = latest
    }

    // MARK: Aliases

    /// Points each alias at its version; one whose version does not exist (yet) is left out.
    static func resolveAliases(_ status: inout Status, _ observation: Observation) {
        let before = observation.status.aliases
        let known = status
        status.aliases = (observation.spec.aliases ?? []).compactMap { alias in
            let version =
                alias.policy == .latestVerified
                ? known.versions.first { $0.verified == true }
                : known.versions.first { $0.name == alias.version }
            guard let version else {
                // Pushed out of the list by newer versions, but pointed at before: it stays where it is.
                return before.first { $0.name == alias.name && alias.version != nil && $0.version == alias.version }
            }
            let old = before.first { $0.name == alias.name && $0.version == version.name }
            return Status.AliasStatus(
                name: alias.name, version: version.name, digest: version.digest,
                time: old?.time ?? observation.moment)
        }
    }
}
