import Encoding
import GoogleCloud

/// What the operator wrote beside a version's files.
struct VersionManifest: Decodable, Sendable, Hashable {
    struct File: Decodable, Sendable, Hashable {
        var path: String
        var sizeBytes: Int64
        var crc32c: String
        var generation: String
    }

    static let schema = "trainyard.dev/manifest/v1"

    var schema: String
    var version: String
    /// `gs://bucket/prefix/` that the paths lie below.
    var uri: String
    /// RFC 3339.
    var time: String
    var files: [File]
    private(set) var digest = ""

    private enum CodingKeys: String, CodingKey { case schema, version, uri, time, files }

    /// nil when the bytes are no manifest.
    init?(_ bytes: [UInt8]) {
        // Whatever is wrong with it: it is no manifest of ours.
        guard let manifest = try? JSONValue(parsing: bytes).decode(VersionManifest.self), manifest.schema == Self.schema
        else { return nil }
        self = manifest
        digest = "sha256:\(SHA256.hexadecimal(of: bytes))"
    }

    var sizeBytes: Int64 { files.reduce(0) { $0 + $1.sizeBytes } }

    /// The files as objects below the version's place, in the generations that were published.
    func objects(in place: StorageURI) -> [StorageObject] {
        files.compactMap { file in
            Int64(file.generation).map {
                StorageObject(
                    name: place.path + file.path, size: file.sizeBytes, crc32c: file.crc32c, generation: $0)
            }
        }
    }
}
