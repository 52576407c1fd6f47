import Encoding
import System

/// The images of a data set of the MNIST family that no training has seen.
struct TestImages: Sendable {
    let pixelCount: Int
    private let pixels: [UInt8]
    private let labels: [UInt8]

    /// A test set is 8 MB; more is none.
    private static let limitBytes = 256 << 20

    /// The folder of the data set that the sandbox fills a bucket from; nil when the files name none.
    static func folder(in documents: [ManifestDocument]) -> String? {
        documents.lazy.compactMap {
            $0.object.value(at: ["metadata", "annotations", "sandbox.trainyard.dev/seed"])?.stringValue
        }.first
    }

    /// Reads `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, packed or not.
    ///
    /// - Throws: `.missingInput` when they are not there, `.badData` when they are something else.
    init(folder: String) throws(RunError) {
        let images = try Self.file("\(folder)/t10k-images-idx3-ubyte")
        let labels = try Self.file("\(folder)/t10k-labels-idx1-ubyte")
        func word(_ bytes: [UInt8], _ index: Int) -> Int {
            bytes[(4 * index)..<(4 * index + 4)].reduce(0) { $0 << 8 | Int($1) }
        }
        guard images.count >= 16, labels.count >= 8, word(images, 0) == 0x803, word(labels, 0) == 0x801,
            word(images, 1) == word(labels, 1), word(labels, 1) > 0
        else { throw RunError(.badData, "the test images of \(folder) are no IDX files that belong together") }
        let (count, size) = (word(images, 1), word(images, 2) * word(images, 3))
        guard images.count == 16 + count * size, labels.count == 8 + count else {
            throw RunError(.badData, "the test images of \(folder) are not as long as their headers say")
        }
        pixelCount = size
        pixels = Array(images[16...])
        self.labels = Array(labels[8...])
    }

    private static func file(_ path: String) throws(RunError) -> [UInt8] {
        for name in ["\(path).gz", path] where LocalFiles.isReadable(name) {
            do {
                let bytes = try SmallFile.bytes(name, limit: limitBytes)
                return Gzip.isGzip(bytes) ? try Gzip.decompress(bytes, limit: limitBytes) : bytes
            } catch {
                throw RunError(.badData, "cannot read \(name): \(error)")
            }
        }
        throw RunError(.missingInput, "there is no \(path) with the images to send")
    }

    /// So many images from all of the set, or all where it has fewer.
    func sample(_ count: Int) -> [(index: Int, pixels: [UInt8], label: Int)] {
        let count = min(count, labels.count)
        return (0..<count).map { place in
            let index = place * labels.count / count
            return (index, Array(pixels[(index * pixelCount)..<((index + 1) * pixelCount)]), Int(labels[index]))
        }
    }
}
