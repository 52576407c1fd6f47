import Encoding
import Kernels
import Training
import TrainingContract

/// Where a model comes from, and what it must be.
struct ServedModel: Sendable, Hashable {
    /// `gs://bucket/prefix/` or a folder; ends in "/".
    var uri: String
    /// `sha256:<hex>` of the version's manifest, and where that lies.
    var digest: String?
    var manifestURI: String?
    var name = "model"
    var version: String?

    /// Reads the model and holds it against its digest.
    ///
    /// - Throws: `.missingInput`, `.badData` when it is another than the digest says, and what the storage throws.
    func load(_ storage: TrainingStorage) async throws(TrainingError) -> Safetensors {
        let place = uri + BucketLayout.model
        let expected = try await expectedFile(storage)
        guard let bytes = try await storage.read(place) else {
            throw TrainingError(.missingInput, "there is no model at \(place)")
        }
        if let expected {
            let checksum = CRC32C(of: bytes).base64
            guard expected.sizeBytes == bytes.count, expected.crc32c == checksum else {
                throw TrainingError(
                    .badData,
                    "\(place) is not the file of version digest \(digest ?? ""): it has \(bytes.count) bytes with "
                        + "CRC32C \(checksum), the manifest says \(expected.sizeBytes) with \(expected.crc32c)")
            }
        }
        return try Safetensors(decoding: bytes, name: place)
    }

    /// The model's line in the manifest that the digest stands for; nil without a digest.
    private func expectedFile(
        _ storage: TrainingStorage
    ) async throws(TrainingError) -> (sizeBytes: Int, crc32c: String)? {
        guard let digest, let manifestURI else { return nil }
        guard let bytes = try await storage.read(manifestURI) else {
            throw TrainingError(.missingInput, "there is no manifest at \(manifestURI)")
        }
        let found = "sha256:\(SHA256.hexadecimal(of: bytes))"
        guard found == digest else {
            throw TrainingError(
                .badData, "the manifest at \(manifestURI) has the digest \(found), not \(digest): it is another version"
            )
        }
        let manifest: JSONValue
        do throws(JSONError) {
            manifest = try JSONValue(parsing: bytes)
        } catch {
            throw TrainingError(.badData, "the manifest at \(manifestURI) is no JSON: \(error)")
        }
        let file = manifest["files"]?.arrayValue?.first { $0["path"]?.stringValue == BucketLayout.model }
        guard let file, let size = file["sizeBytes"]?.integerValue, let crc32c = file["crc32c"]?.stringValue else {
            throw TrainingError(.badData, "the manifest at \(manifestURI) names no \(BucketLayout.model)")
        }
        return (Int(size), crc32c)
    }
}
