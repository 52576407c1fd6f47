import ControllerRuntime
import Encoding
public import GoogleCloud
import Kubernetes

/// Versions that are copied from elsewhere, object by object within Cloud Storage: nothing passes through the operator.
///
/// The version is named after its contents, so that whoever begins again finds what is there already; it is published, by
/// its manifest, when every object is there with the CRC32C of the source's. A source whose contents change becomes
/// another version.
enum GCSArtifactImport {
    typealias Observation = GCSArtifactObservation

    /// How often a source is looked at that was copied.
    static let interval: Duration = .seconds(3600)
    /// For how long a list of a source serves its copy.
    static let memory: Duration = .seconds(300)
    /// Objects of one step, and their bytes: steps are told in the status.
    static let batchCount = 200
    static let batchBytes: Int64 = 1 << 30
    /// An object of more is copied alone.
    static let largeBytes: Int64 = 256 << 20
    /// After a copy that somebody must mend.
    static let retryInterval: Duration = .seconds(60)
    static let copying = "Copying"
    static let complete = "Complete"

    /// Which source a copy is of.
    static func key(_ source: GCSArtifact.Source) -> String {
        // Strings and flags only: nothing in it can fail to encode.
        let bytes = (try? JSONValue(encoding: source).serialized()) ?? []
        return String(SHA256.hexadecimal(of: bytes).prefix(32))
    }

    /// Of the contents: paths, sizes and CRC32Cs.
    static func version(_ items: [ImportItem], kind: GCSArtifact.Source.Kind) -> String {
        let lines = items.sorted { $0.path < $1.path }.map { "\($0.path)\t\($0.sizeBytes)\t\($0.crc32c)\n" }
        return "\(kind == .dvc ? "dvc" : "uri")-\(SHA256.hexadecimal(of: Array(lines.joined().utf8)).prefix(16))"
    }

    /// What is missing, and what of it comes next; a large object that has begun goes on.
    ///
    /// - Parameter found: below the version's folder, by relative path.
    static func progress(
        _ listing: ImportListing, found: [String: OutputFile], home: StorageURI, rewrite: RewriteMark?
    ) -> ImportProgress {
        var progress = ImportProgress(version: listing.version, home: home)
        var missing: [ImportItem] = []
        for item in listing.items {
            progress.objectsTotal += 1
            progress.bytesTotal += item.sizeBytes
            let file = found[item.path]
            if file?.crc32c == item.crc32c, file?.sizeBytes == item.sizeBytes {
                progress.objectsDone += 1
                progress.bytesDone += item.sizeBytes
            } else {
                var item = item
                item.replaces = file?.generation ?? 0
                missing.append(item)
            }
        }
        let begun = rewrite.flatMap { mark in
            missing.first { $0.path == mark.path && $0.source.generation == mark.generation }
        }
        if let begun {
            progress.batch = [begun]
            progress.rewrite = rewrite
            progress.bytesDone += rewrite?.copiedBytes ?? 0
        } else {
            progress.batch = batch(of: missing)
        }
        return progress
    }

    private static func batch(of missing: [ImportItem]) -> [ImportItem] {
        if let first = missing.first, first.sizeBytes > largeBytes { return [first] }
        var bytes: Int64 = 0
        return Array(
            missing.prefix(batchCount).prefix { item in
                bytes += item.sizeBytes
                return bytes <= batchBytes && item.sizeBytes <= largeBytes
            })
    }

    // MARK: Plan

    /// The next batch. The object stays ready: nothing that it has depends on it.
    static func copying(_ observation: Observation) -> GCSArtifactDecision? {
        guard case .copying(let progress) = observation.imported, !progress.batch.isEmpty else { return nil }
        // Where Cloud Storage goes on is known before it goes on.
        if let mark = progress.rewrite, observation.status.transfer?.rewriteToken != mark.token, mark.isStorable {
            return .record(observation.status, .ready)
        }
        let batch = ImportBatch(items: progress.batch, home: progress.home, rewrite: progress.rewrite)
        return GCSArtifactDecision(
            steps: [.cloud(.copyObjects(batch, owner: observation.owner))], status: observation.status,
            situation: .ready, next: .after(.zero))
    }

    static func apply(_ status: inout GCSArtifact.Status, _ observation: Observation) {
        guard let source = observation.spec.source, source.type != .upload else {
            status.transfer = nil
            return
        }
        switch observation.imported {
        case nil, .obstacle: return
        case .copying(let progress):
            var transfer = GCSArtifact.Status.Transfer()
            transfer.phase = copying
            transfer.version = progress.version
            transfer.source = key(source)
            transfer.objectsDone = progress.objectsDone
            transfer.objectsTotal = progress.objectsTotal
            transfer.bytesDone = progress.bytesDone
            transfer.bytesTotal = progress.bytesTotal
            if let mark = progress.rewrite, mark.isStorable {
                transfer.path = mark.path
                transfer.rewriteToken = mark.token
            }
            status.transfer = transfer
        case .complete(let version):
            var transfer = GCSArtifact.Status.Transfer()
            transfer.phase = complete
            transfer.version = version
            transfer.source = key(source)
            status.transfer = transfer
        }
    }

    /// What `VersionsPublished` says of it; nil: nothing.
    static func verdict(_ observation: Observation) -> GCSArtifactVersions.Obstacle? {
        switch observation.imported {
        case nil, .complete: nil
        case .obstacle(let obstacle): obstacle
        case .copying(let progress):
            progress.failure
                ?? .init(
                    reason: .copying,
                    message:
                        "copying \(progress.version): \(progress.objectsDone) of \(progress.objectsTotal) objects, "
                        + "\(GCSArtifactUsage.text(progress.bytesDone)) of \(GCSArtifactUsage.text(progress.bytesTotal))"
                )
        }
    }
}

/// An object that becomes a file of the version.
public struct ImportItem: Sendable, Hashable {
    /// In the version.
    public var path: String
    /// Exactly this generation.
    public var source: ObjectLocation
    public var sizeBytes: Int64
    public var crc32c: String
    /// The generation of what is at its place and is to be replaced; 0: nothing.
    public var replaces: Int64 = 0
}

/// What a source holds.
public struct ImportListing: Sendable, Hashable {
    public var version: String
    public var items: [ImportItem]
}

/// Where Cloud Storage goes on with a large object.
public struct RewriteMark: Sendable, Hashable {
    /// In the version.
    public var path: String
    /// The source's.
    public var generation: Int64?
    public var token: String
    public var copiedBytes: Int64

    /// As the status's schema has it.
    var isStorable: Bool { token.utf8.count <= 1024 && path.unicodeScalars.count <= 1024 }
}

public struct ImportProgress: Sendable, Hashable {
    public var version: String
    /// The version's folder.
    public var home: StorageURI
    public var objectsDone: Int64 = 0
    public var objectsTotal: Int64 = 0
    public var bytesDone: Int64 = 0
    public var bytesTotal: Int64 = 0
    public var batch: [ImportItem] = []
    public var rewrite: RewriteMark?
    /// Why the last try failed.
    public var failure: VersionObstacle?

    init(version: String, home: StorageURI) {
        self.version = version
        self.home = home
    }
}

/// What one step copies.
public struct ImportBatch: Sendable, Hashable {
    public var items: [ImportItem]
    public var home: StorageURI
    public var rewrite: RewriteMark?
}

public enum ImportObservation: Sendable, Hashable {
    /// Somebody must act.
    case obstacle(VersionObstacle)
    case copying(ImportProgress)
    /// Everything is there; the version is published, or about to be.
    case complete(version: String)
}
