import ControllerRuntime
public import Encoding
public import GoogleCloud
import Kubernetes

/// Which versions go, and in which order of steps.
///
/// A version is a manifest. Its manifest is first copied to where versions that go are (`.trainyard/removed/`), then
/// deleted: from that moment on nobody takes it for a version. Then its objects are deleted, by exactly the generations
/// that the manifest names; at last the copy is emptied. It stays, so that no other version takes the name. Whatever
/// breaks off, the copy says what is left to do, and no version looks whole that is not.
enum GCSArtifactRetention {
    typealias Observation = GCSArtifactObservation
    typealias Decision = GCSArtifactDecision

    static let batchSize = 50
    /// Where versions that go, and the names of those that went, are below an artifact's place.
    static let folder = "\(OperatorFolder.path)removed/"

    static func trace(of version: String, in place: StorageURI) -> StorageURI? {
        place.appending("\(folder)\(version).json")
    }

    /// The manifests that may go, oldest first: not among the newest `keepLast`, and not named by an alias.
    ///
    /// - Parameter retentionPeriod: of the bucket: objects that are younger cannot be deleted.
    static func expendable(
        _ manifests: [ManifestPlace], keepLast: Int, kept: Set<String>, retentionPeriod: Duration, now: Timestamp
    ) -> [ManifestPlace] {
        let newestFirst = manifests.sorted { ($0.time, $0.version) > ($1.time, $1.version) }
        return newestFirst.dropFirst(max(1, keepLast)).reversed().filter {
            !kept.contains($0.version) && $0.time + retentionPeriod < now
        }
    }

    /// What is kept whatever its age: the latest, and what aliases name or point at.
    static func kept(_ spec: GCSArtifact.Spec, _ status: GCSArtifact.Status) -> Set<String> {
        let named = (spec.aliases ?? []).compactMap(\.version)
        return Set(named + status.aliases.map(\.version) + [status.latestVersion?.name].compactMap { $0 })
    }

    /// Why the version stays after all; nil when nobody needs it.
    static func user(of removal: VersionRemoval, in uses: [ArtifactUse]) -> ArtifactUse? {
        uses.first { $0.needs(removal.version, digest: removal.digest, at: removal.home.description) }
    }

    // MARK: Rule

    /// One step of one version. The object stays ready.
    static func removing(_ observation: Observation) -> Decision? {
        let action: GCSArtifactAction
        switch observation.removal {
        case nil: return nil
        case .mark(let removal): action = .markRemoved(removal, owner: observation.owner)
        case .empty(let removal, let objects):
            action = .emptyVersion(removal, objects, owner: observation.owner)
        case .close(let removal): action = .closeRemoval(removal, owner: observation.owner)
        }
        return Decision(
            steps: [.cloud(action)], status: observation.status, situation: .ready, next: .after(.zero))
    }

    /// What is gone is no version any more.
    static func apply(_ status: inout GCSArtifact.Status, _ observation: Observation) {
        guard let removed = observation.removed else { return }
        status.versions.removeAll { removed.names.contains($0.name) }
        if removed.closedCount == 0, removed.open == nil, status.retention == nil { return }
        var retention = GCSArtifact.Status.Retention()
        retention.removedCount = removed.closedCount
        retention.removing = removed.open?.version
        status.retention = retention
    }
}

/// A version's manifest, as a list of the bucket has it.
public struct ManifestPlace: Sendable, Hashable {
    public var version: String
    public var generation: Int64
    /// When it was published.
    public var time: Timestamp
}

/// A version that is to go.
public struct VersionRemoval: Sendable, Hashable {
    public var version: String
    /// Of its manifest.
    public var digest: String
    /// Where its files lie.
    public var home: StorageURI
    /// Where its manifest lies.
    public var manifest: StorageURI
    public var manifestGeneration: Int64
    /// Where the manifest is kept until everything is gone.
    public var trace: StorageURI
    /// 0: it is not kept there yet.
    public var traceGeneration: Int64
    public var keepLast: Int
}

/// What is done next about a version that is to go.
public enum RemovalStep: Sendable, Hashable {
    case mark(VersionRemoval)
    case empty(VersionRemoval, [ObjectGeneration])
    case close(VersionRemoval)
}

/// The traces of versions that were removed.
public struct RemovedVersions: Sendable, Hashable {
    /// One of which something may be left.
    public struct Open: Sendable, Hashable {
        public var version: String
        public var generation: Int64
        public var manifestGeneration: Int64
    }

    public var names: Set<String> = []
    public var closedCount = 0
    /// The first by name.
    public var open: Open?

    public init() {}
}
