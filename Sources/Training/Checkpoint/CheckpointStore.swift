import Encoding
import TrainingContract

/// A run's checkpoints below one prefix: `step-00001234/` with weights, moments and, last, the manifest.
struct CheckpointStore: Sendable {
    static let model = BucketLayout.model
    static let optimizer = "optimizer.safetensors"

    /// Ends in "/".
    let prefix: String
    let storage: TrainingStorage
    /// How many complete checkpoints stay; at least 1.
    let keepLast: Int

    /// A checkpoint's contents.
    struct Contents: Sendable {
        var manifest: CheckpointManifest
        var model: Safetensors
        var optimizer: Safetensors
    }

    /// Writes a checkpoint and then deletes those that are too old.
    ///
    /// - Returns: its URI, ending in "/".
    func write(
        runID: String, identity: CheckpointManifest.Identity, state: TrainingState, model: Safetensors,
        optimizer: Safetensors
    ) async throws(TrainingError) -> String {
        let uri = prefix + BucketLayout.checkpoint(step: state.step)
        var files: [CheckpointManifest.File] = []
        for (path, tensors) in [(Self.model, model), (Self.optimizer, optimizer)] {
            let bytes = tensors.encoded()
            try await storage.write(uri + path, bytes, "application/octet-stream")
            files.append(.init(path: path, sizeBytes: bytes.count, crc32c: CRC32C(of: bytes).base64))
        }
        let manifest = CheckpointManifest(runID: runID, identity: identity, state: state, files: files)
        try await storage.write(
            uri + BucketLayout.checkpointManifest, try manifest.encoded(), "application/json")
        try await prune()
        return uri
    }

    /// The newest checkpoint that is complete and whole.
    ///
    /// - Parameter skipped: called with a sentence for each one that is not usable.
    /// - Returns: nil when there is none.
    func newest(
        skipped: (_ message: String) -> Void
    ) async throws(TrainingError) -> (uri: String, contents: Contents)? {
        for step in try await completeSteps().sorted(by: >) {
            let uri = prefix + BucketLayout.checkpoint(step: step)
            do throws(TrainingError) {
                return (uri, try await read(uri))
            } catch {
                guard error.code == .badData || error.code == .missingInput else { throw error }
                skipped(error.message)
            }
        }
        return nil
    }

    private func read(_ uri: String) async throws(TrainingError) -> Contents {
        let name = uri + BucketLayout.checkpointManifest
        let manifest = try CheckpointManifest(decoding: try await bytes(name), name: name)
        return Contents(
            manifest: manifest, model: try await tensors(Self.model, of: manifest, at: uri),
            optimizer: try await tensors(Self.optimizer, of: manifest, at: uri))
    }

    private func bytes(_ name: String) async throws(TrainingError) -> [UInt8] {
        guard let bytes = try await storage.read(name) else {
            throw TrainingError(.missingInput, "\(name) is missing")
        }
        return bytes
    }

    private func tensors(
        _ path: String, of manifest: CheckpointManifest, at uri: String
    ) async throws(TrainingError) -> Safetensors {
        guard let file = manifest.files.first(where: { $0.path == path }) else {
            throw TrainingError(.badData, "\(uri)\(BucketLayout.checkpointManifest) does not list \(path)")
        }
        let bytes = try await bytes(uri + path)
        guard bytes.count == file.sizeBytes, CRC32C(of: bytes).base64 == file.crc32c else {
            throw TrainingError(.badData, "\(uri)\(path) is corrupt: size or CRC32C differ from the manifest's")
        }
        return try Safetensors(decoding: bytes, name: uri + path)
    }

    /// The steps of checkpoints that have a manifest.
    private func completeSteps() async throws(TrainingError) -> [Int] {
        try await storage.list(prefix).compactMap { step(of: $0, named: BucketLayout.checkpointManifest) }
    }

    /// The step of a file of a checkpoint; `name`: only files with this name.
    private func step(of uri: String, named name: String? = nil) -> Int? {
        guard uri.hasPrefix(prefix) else { return nil }
        let parts = uri.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].hasPrefix("step-"), name.map({ $0 == parts[1] }) ?? true,
            let step = Int(parts[0].dropFirst(5)), step >= 0,
            BucketLayout.checkpoint(step: step) == parts[0] + "/"
        else { return nil }
        return step
    }

    /// Deletes everything older than the last `keepLast` complete checkpoints, manifests first: what is half deleted is
    /// not complete.
    private func prune() async throws(TrainingError) {
        let uris = try await storage.list(prefix)
        let complete = uris.compactMap { step(of: $0, named: BucketLayout.checkpointManifest) }.sorted(by: >)
        guard complete.count > keepLast, keepLast >= 1 else { return }
        let oldest = complete[keepLast - 1]
        let old = uris.filter { (step(of: $0) ?? oldest) < oldest }
        let isManifest = { (uri: String) in uri.hasSuffix("/" + BucketLayout.checkpointManifest) }
        for uri in old.filter(isManifest) + old.filter({ !isManifest($0) }) { try await storage.delete(uri) }
    }
}
