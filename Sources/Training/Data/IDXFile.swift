import Encoding
import TrainingContract

/// A file of the MNIST family: unsigned bytes with their dimensions, plain or in gzip.
///
/// Big-endian header: two zero bytes, 0x08 for unsigned bytes, the number of dimensions, then each extent in 4 bytes.
/// Source: the file format section of yann.lecun.com/exdb/mnist.
struct IDXFile {
    /// Outermost first.
    let extents: [Int]
    let bytes: ArraySlice<UInt8>

    /// More than any dataset of this family: 2 GiB after decompression.
    static let maximumByteCount = 2 << 30

    /// - Parameters:
    ///   - name: for messages.
    ///   - dimensions: how many there must be.
    /// - Throws: `.badData` with a sentence that names the file.
    init(_ contents: [UInt8], name: String, dimensions: Int) throws(TrainingError) {
        let plain = try IDXFile.decompressed(contents, name: name)
        let headerCount = 4 + 4 * dimensions
        guard plain.count >= headerCount else {
            throw TrainingError(.badData, "\(name) is not an IDX file: it ends inside its header")
        }
        guard plain[0] == 0, plain[1] == 0, plain[2] == 8, plain[3] == UInt8(dimensions) else {
            throw TrainingError(
                .badData,
                "\(name) is not an IDX file of unsigned bytes in \(dimensions) dimensions: it starts with "
                    + plain.prefix(4).map { String($0, radix: 16) }.joined(separator: " "))
        }
        var extents: [Int] = []
        var count = 1
        for dimension in 0..<dimensions {
            let extent = plain[(4 + 4 * dimension)..<(8 + 4 * dimension)].reduce(0) { $0 << 8 | Int($1) }
            extents.append(extent)
            let product = count.multipliedReportingOverflow(by: extent)
            guard !product.overflow, product.partialValue <= IDXFile.maximumByteCount else {
                throw TrainingError(.badData, "\(name) is corrupt: its header promises more than 2 GiB")
            }
            count = product.partialValue
        }
        guard plain.count == headerCount + count else {
            throw TrainingError(
                .badData,
                "\(name) is corrupt: its header promises \(count) bytes of data, it has \(plain.count - headerCount)")
        }
        self.extents = extents
        bytes = plain[headerCount...]
    }

    private static func decompressed(_ contents: [UInt8], name: String) throws(TrainingError) -> [UInt8] {
        guard Gzip.isGzip(contents) else { return contents }
        do {
            return try Gzip.decompress(contents, limit: maximumByteCount)
        } catch {
            throw TrainingError(.badData, "\(name) is corrupt: \(error)")
        }
    }
}
