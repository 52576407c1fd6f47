import TrainingContract

/// The four files of a dataset below one place: those of the MNIST family, or NumPy arrays.
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
        try await dataset(stem: "train", array: "train", limit: limit)
    }

    /// As `training`, the test set.
    public func test(limit: Int? = nil) async throws(TrainingError) -> ImageDataset {
        try await dataset(stem: "t10k", array: "test", limit: limit)
    }

    private func dataset(stem: String, array: String, limit: Int?) async throws(TrainingError) -> ImageDataset {
        let images = try await file("\(stem)-images-idx3-ubyte", "\(array)-images.npy")
        let labels = try await file("\(stem)-labels-idx1-ubyte", "\(array)-labels.npy")
        return try ImageDataset(
            images: images.bytes, imagesName: images.name, labels: labels.bytes, labelsName: labels.name,
            limit: limit)
    }

    /// The file in gzip, or plain, or else the NumPy array.
    private func file(
        _ name: String, _ array: String
    ) async throws(TrainingError) -> (bytes: [UInt8], name: String) {
        for candidate in [name + ".gz", name, array] {
            if let bytes = try await storage.read(prefix + candidate) { return (bytes, prefix + candidate) }
        }
        throw TrainingError(
            .missingInput,
            "there is neither \(name).gz nor \(name) nor \(array) in \(prefix); Debian's package "
                + "dataset-fashion-mnist has the first")
    }
}
