import Encoding
import GoogleCloud
import HTTP

/// Fetches a run's verified outputs from the bucket into a folder.
struct OutputsDownload: Sendable {
    /// One output file; more is no training's result on this machine.
    private static let sizeLimit = 4 << 30

    let storage: StorageClient
    /// `gs://bucket/prefix/` of the run.
    let prefix: StorageURI
    let folder: String

    /// Writes each file below the folder; its CRC32C is compared with the one that the operator verified.
    ///
    /// - Throws: `.failed` when a file is missing or differs, `.localStorage`.
    func fetch(_ outputs: [JobView.Output]) async throws(RunError) {
        try LocalFiles.makeFolder(folder)
        for output in outputs { try await fetch(output) }
    }

    private func fetch(_ output: JobView.Output) async throws(RunError) {
        let parts = output.path.split(separator: "/", omittingEmptySubsequences: false)
        guard !parts.isEmpty, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }),
            let place = prefix.appending(output.path)
        else { throw RunError(.failed, "the output '\(output.path)' has a name that no file can have") }
        let bytes: [UInt8]
        let object: DownloadedObject
        do throws(APIError) {
            (bytes, object) = try await storage.read(place.path, in: place.bucket, limit: Self.sizeLimit)
        } catch {
            throw RunError(.failed, "cannot fetch \(place): \(error.message)")
        }
        guard output.crc32c == nil || output.crc32c == object.crc32c else {
            throw RunError(
                .failed, "\(place) has CRC32C \(object.crc32c), but the operator verified \(output.crc32c ?? "")")
        }
        let path = "\(folder)/\(output.path)"
        if parts.count > 1 { try LocalFiles.makeFolder("\(folder)/\(parts.dropLast().joined(separator: "/"))") }
        try LocalFiles.write(bytes, to: path)
    }
}
