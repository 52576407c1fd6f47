/// A data set in Fashion-MNIST's format and file names, small enough to train on in a second: each class is a bright
/// square at its own place, with seeded noise.
enum TinyDataset {
    static let side = 28

    /// Writes the four files, not compressed.
    static func write(to folder: String, trainCount: Int = 320, testCount: Int = 100) throws {
        for (name, count, seed) in [("train", trainCount, UInt64(1)), ("t10k", testCount, UInt64(2))] {
            try FileText.write(images(count: count, seed: seed), to: "\(folder)/\(name)-images-idx3-ubyte")
            try FileText.write(labels(count: count), to: "\(folder)/\(name)-labels-idx1-ubyte")
        }
    }

    private static func bigEndian(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private static func labels(count: Int) -> [UInt8] {
        bigEndian(0x801) + bigEndian(count) + (0..<count).map { UInt8($0 % 10) }
    }

    private static func images(count: Int, seed: UInt64) -> [UInt8] {
        var bytes = bigEndian(0x803) + bigEndian(count) + bigEndian(side) + bigEndian(side)
        var state = seed
        for index in 0..<count {
            let (row, column) = (index % 10 / 5 * 14 + 2, index % 5 * 5 + 1)
            for y in 0..<side {
                for x in 0..<side {
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    let noise = UInt8(truncatingIfNeeded: state >> 58)
                    let isBright = (row..<row + 10).contains(y) && (column..<column + 5).contains(x)
                    bytes.append(isBright ? 190 + noise : noise)
                }
            }
        }
        return bytes
    }
}
