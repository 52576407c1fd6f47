import Encoding
import Kernels
import TrainingContract

/// Labelled greyscale images, as bytes.
public struct ImageDataset: Sendable, Hashable {
    public let height: Int
    public let width: Int
    /// Image after image, row by row.
    let pixels: [UInt8]
    /// Below `classCount`.
    let labels: [UInt8]

    public static let classCount = 10

    public var count: Int { labels.count }
    var imageCount: Int { height * width }

    /// Tells whether two processes have read the same.
    var checksum: String {
        var checksum = CRC32C(of: pixels)
        checksum.update(labels)
        return checksum.base64
    }

    /// - Parameters:
    ///   - images: an IDX file with 3 dimensions, plain or in gzip, or a NumPy array (.npy) of as many.
    ///   - labels: an IDX file with 1 dimension, plain or in gzip, or a NumPy array.
    ///   - imagesName, labelsName: for messages; a NumPy array's ends with .npy.
    ///   - limit: takes only the first images.
    /// - Throws: `.badData` when a file is corrupt or the two do not belong together.
    public init(
        images: [UInt8], imagesName: String, labels: [UInt8], labelsName: String, limit: Int? = nil
    ) throws(TrainingError) {
        let (extents, pixels) = try Self.array(images, imagesName, dimensions: 3)
        let (labelExtents, labels) = try Self.array(labels, labelsName, dimensions: 1)
        guard extents[0] == labelExtents[0] else {
            throw TrainingError(
                .badData,
                "\(imagesName) has \(extents[0]) images, but \(labelsName) has \(labelExtents[0]) labels"
            )
        }
        guard extents[0] > 0 else { throw TrainingError(.badData, "\(imagesName) has no images") }
        if let wrong = labels.firstIndex(where: { $0 >= ImageDataset.classCount }) {
            throw TrainingError(
                .badData,
                "\(labelsName) is corrupt: label \(wrong - labels.startIndex) is \(labels[wrong]), "
                    + "the classes are 0 to \(ImageDataset.classCount - 1)")
        }
        height = extents[1]
        width = extents[2]
        let count = min(extents[0], limit ?? Int.max)
        self.pixels = Array(pixels.prefix(count * height * width))
        self.labels = Array(labels.prefix(count))
    }

    private static func array(
        _ contents: [UInt8], _ name: String, dimensions: Int
    ) throws(TrainingError) -> (extents: [Int], bytes: ArraySlice<UInt8>) {
        if name.hasSuffix(".npy") {
            let file = try NPYFile(contents, name: name, dimensions: dimensions)
            return (file.extents, try file.bytes())
        }
        let file = try IDXFile(contents, name: name, dimensions: dimensions)
        return (file.extents, file.bytes)
    }

    /// Images that exist already in memory.
    ///
    /// - Parameters pixels, labels: of `labels.count` images; labels below `classCount`.
    init(height: Int, width: Int, pixels: [UInt8], labels: [UInt8]) {
        self.height = height
        self.width = width
        self.pixels = pixels
        self.labels = labels
    }

    /// Writes the images with these numbers, normalized, and their labels to the start of a batch.
    func fill(_ batch: Tensor, _ batchLabels: ByteTensor, with numbers: some Collection<UInt32>) {
        let target = batch.elements
        let labelTarget = batchLabels.elements
        precondition(target.count >= numbers.count * imageCount && labelTarget.count >= numbers.count)
        pixels.withUnsafeBufferPointer { pixels in
            Normalization.table.withUnsafeBufferPointer { table in
                var next = 0
                for (row, number) in numbers.enumerated() {
                    let first = Int(number) * imageCount
                    for index in first..<(first + imageCount) {
                        target[next] = table[Int(pixels[index])]
                        next += 1
                    }
                    labelTarget[row] = labels[Int(number)]
                }
            }
        }
    }
}

/// (pixel / 255 − mean) / deviation, with MNIST's values, which everybody uses for Fashion-MNIST too.
enum Normalization {
    static let mean: Float = 0.1307
    static let deviation: Float = 0.3081

    /// By pixel value.
    static let table: [Float] = (0..<256).map { (Float($0) / 255 - mean) / deviation }
}
