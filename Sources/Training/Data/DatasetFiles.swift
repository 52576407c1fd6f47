import TrainingContract

/// The four files of the MNIST family below one place.
public struct DatasetFiles: Sendable {
    let prefix: String
    let storage: TrainingStorage

    /// - Parameter prefix: `gs://bucket/prefix/` or a folder; a "/" at the end is added where it is missing.
    public init(prefix: String, storage: TrainingStorage) {
        self.prefix = prefix.hasSuffix("/") ? prefix : prefix + "/"
        self.storage = storage
    }

    /// - Parameter limit: takes only the first images.
    /// - Throws: `.missingInput`, `.badData`, or what the storage throws.
    public func training(limit: Int? = nil) async throws(TrainingError) -> ImageDataset {
        try await dataset(stem: "train", limit: limit)
    }

    /// As `training`, the test set.
    public func test(limit: Int? = nil) async throws(TrainingError) -> ImageDataset {
        try await dataset(stem: "t10k", limit: limit)
    }

    private func dataset(stem: String, limit: Int?) async throws(TrainingError) -> ImageDataset {
        let images = try await file("\(stem)-images-idx3-ubyte")
        let labels = try await file("\(stem)-labels-idx1-ubyte")
        return try ImageDataset(
            images: images.bytes, imagesName: images.name, labels: labels.bytes, labelsName: labels.name,
            limit: limit)
    }

    /// The file in gzip, or else plain.
    private func file(_ name: String) async throws(TrainingError) -> (bytes: [UInt8], name: String) {
        for candidate in [name + ".gz", name] {
            if let bytes = try await storage.read(prefix + candidate) { return (bytes, prefix + candidate) }
        }
        throw TrainingError(
            .missingInput,
            "there is neither \(name).gz nor \(name) in \(prefix); Debian's package dataset-fashion-mnist has the files"
        )
    }
}
