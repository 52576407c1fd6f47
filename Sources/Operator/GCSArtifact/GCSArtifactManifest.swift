import Encoding
import GoogleCloud
import Kubernetes

/// The list of a version's files: one canonical JSON text (sorted keys, no white space), whose SHA-256 is the version's
/// digest. Written once, after everything that it names.
struct GCSArtifactManifest: Codable, Sendable, Hashable {
    struct File: Codable, Sendable, Hashable {
        /// Below `uri`.
        var path: String
        var sizeBytes: Int64
        /// As Cloud Storage writes it.
        var crc32c: String
        /// Which content, as a decimal string.
        var generation: String
    }

    struct Producer: Codable, Sendable, Hashable {
        var kind: String
        var name: String
        var runID: String
        var specHash: String?
    }

    static let currentSchema = "trainyard.dev/manifest/v1"

    var schema: String
    var artifact: String
    var artifactType: String
    var version: String
    /// `gs://bucket/prefix/` that the paths lie below.
    var uri: String
    var producer: Producer
    /// When the run ended.
    var time: Timestamp
    /// Sorted by path.
    var files: [File]
    var metrics: [String: String]

    var sizeBytes: Int64 { files.reduce(0) { $0 + $1.sizeBytes } }

    /// The canonical text.
    var bytes: [UInt8] {
        // Strings and integers only: nothing in it can fail to encode.
        (try? JSONValue(encoding: self).serialized()) ?? []
    }

    /// `sha256:<hex>`.
    static func digest(_ bytes: [UInt8]) -> String { "sha256:\(SHA256.hexadecimal(of: bytes))" }

    /// Reads a manifest; nil when the bytes are none.
    init?(_ bytes: [UInt8]) {
        // Whatever is wrong with it: it is no manifest of ours.
        guard let manifest = try? JSONValue(parsing: bytes).decode(GCSArtifactManifest.self),
            manifest.schema == GCSArtifactManifest.currentSchema
        else { return nil }
        self = manifest
    }

    /// The manifest of a run: all files below its prefix but those that go on changing.
    init(_ run: VerifiedRun, files: [String: OutputFile], artifact: GCSArtifact) {
        schema = GCSArtifactManifest.currentSchema
        self.artifact = artifact.metadata.name
        artifactType = artifact.spec.artifactType.rawValue
        version = run.id
        uri = run.prefix.description
        producer = Producer(kind: run.producerKind, name: run.job, runID: run.id, specHash: run.specHash)
        time = run.completionTime
        self.files = files.sorted { $0.key < $1.key }.map { path, file in
            File(
                path: path, sizeBytes: file.sizeBytes, crc32c: file.crc32c, generation: String(file.generation))
        }
        metrics = Dictionary(run.metrics.map { ($0.name, $0.value) }) { $1 }
    }

    /// Where the manifest of a version lies: beside the runs, so that a run's folder holds its files only.
    static func place(version: String, in artifact: StorageURI) -> StorageURI? {
        artifact.appending("manifests/\(version).json")
    }
}
