import Encoding
import TrainingContract

/// A checkpoint's table of contents, written after all its files: a checkpoint is complete when this can be read.
struct CheckpointManifest: Codable, Sendable, Hashable {
    struct File: Codable, Sendable, Hashable {
        /// Relative to the checkpoint.
        var path: String
        var sizeBytes: Int
        /// Base64, as Cloud Storage writes it.
        var crc32c: String
    }

    /// What must be the same for a step's number to mean the same.
    struct Identity: Codable, Sendable, Hashable {
        var seed: Int
        var batchSize: Int
        var trainImages: Int
        /// Whose moments the checkpoint holds; nil: adam's.
        var optimizer: String?
        var parameters: [String: [Int]]
    }

    static let currentVersion = 1

    var schemaVersion = CheckpointManifest.currentVersion
    var runID: String
    var identity: Identity
    var state: TrainingState
    var files: [File]

    /// The manifest's bytes.
    ///
    /// - Throws: `.software` when a value cannot be written, which its types rule out.
    func encoded() throws(TrainingError) -> [UInt8] {
        do {
            return Array(try JSONValue(encoding: self).prettyPrinted().utf8)
        } catch {
            throw TrainingError(.software, "the checkpoint's manifest cannot be written: \(error)")
        }
    }

    /// - Throws: `.badData` when it is not a manifest of this version.
    init(decoding bytes: [UInt8], name: String) throws(TrainingError) {
        do {
            self = try JSONValue(parsing: bytes).decode(CheckpointManifest.self)
        } catch {
            throw TrainingError(.badData, "\(name) is not a checkpoint manifest: \(error)")
        }
        guard schemaVersion == Self.currentVersion else {
            throw TrainingError(.badData, "\(name) has version \(schemaVersion), this trainer reads version 1")
        }
    }

    init(runID: String, identity: Identity, state: TrainingState, files: [File]) {
        self.runID = runID
        self.identity = identity
        self.state = state
        self.files = files
    }
}
