import Testing
import TrainingContract

@testable import Training

/// Files that come from outside, damaged in thousands of ways: each is read or refused as bad data, and nothing that was
/// read is larger than the file.
struct ReaderFuzzTests {
    /// A damaged copy: bytes flipped, lost, doubled or made up, a few at a time.
    private func damaged(_ file: [UInt8], _ random: inout RandomStream) -> [UInt8] {
        var file = file
        for _ in 0...random.next(below: 3) {
            let place = Int(random.next(below: UInt32(max(1, file.count))))
            switch random.next(below: 5) {
            case 0: file = Array(file.prefix(place))
            case 1: if !file.isEmpty { file[place] ^= 1 << UInt8(random.next(below: 8)) }
            case 2: if !file.isEmpty { file[place] = UInt8(random.next(below: 256)) }
            case 3: file.insert(contentsOf: file.suffix(Int(random.next(below: 9))), at: min(place, file.count))
            default: if !file.isEmpty { file.removeSubrange(place..<min(file.count, place + 3)) }
            }
        }
        return file
    }

    /// How many of the damaged files were read all the same.
    private func readCount(
        _ file: [UInt8], seed: UInt64, _ read: ([UInt8]) throws(TrainingError) -> Int
    ) -> (read: Int, refused: Int) {
        var random = RandomStream(seed: seed, purpose: 7)
        var counts = (read: 0, refused: 0)
        for _ in 0..<2000 {
            let bytes = damaged(file, &random)
            do throws(TrainingError) {
                let size = try read(bytes)
                #expect(size <= bytes.count)
                counts.read += 1
            } catch {
                #expect(error.code == .badData && error.message.contains("fuzzed"))
                counts.refused += 1
            }
        }
        return counts
    }

    @Test func `an IDX file`() {
        let counts = readCount(idx([3, 4, 5], (0..<60).map { UInt8($0) }), seed: 1) { bytes throws(TrainingError) in
            try IDXFile(bytes, name: "fuzzed", dimensions: 3).bytes.count
        }
        // A changed pixel is still a picture.
        #expect(counts.read > 200 && counts.refused > 500)
    }

    @Test func `an IDX file in gzip`() {
        let file = idx([3, 4, 5], (0..<60).map { UInt8($0) })
        // As `gzip -9n` writes it.
        let packed: [UInt8] = [
            31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 99, 96, 224, 96, 102, 96, 96, 0, 97, 22, 32, 102,
            101, 96, 100, 98, 102, 97, 101, 99, 231, 224, 228, 226, 230, 225, 229, 227, 23, 16, 20, 18, 22, 17,
            21, 19, 151, 144, 148, 146, 150, 145, 149, 147, 87, 80, 84, 82, 86, 81, 85, 83, 215, 208, 212, 210,
            214, 209, 213, 211, 55, 48, 52, 50, 54, 49, 53, 51, 183, 176, 180, 178, 6, 0, 236, 26, 149, 91,
            76, 0, 0, 0,
        ]
        #expect((try? IDXFile(packed, name: "fuzzed", dimensions: 3)).map { Array($0.bytes) } == Array(file.suffix(60)))
        let counts = readCount(packed, seed: 2) { bytes throws(TrainingError) in
            let read = try IDXFile(bytes, name: "fuzzed", dimensions: 3)
            // The checksum lets nothing else through; what is not gzip any more is no IDX file either.
            #expect(Array(read.bytes) == Array(file.suffix(60)))
            return 0
        }
        #expect(counts.refused > 1000)
    }

    @Test func `a NumPy array`() {
        let file = npy("|u1", "(20, 10)", (0..<200).map { UInt8($0) })
        let counts = readCount(file, seed: 4) { bytes throws(TrainingError) in
            try NPYFile(bytes, name: "fuzzed", dimensions: 2).bytes().count
        }
        #expect(counts.read > 200 && counts.refused > 500, "\(counts)")
    }

    @Test func `a safetensors file`() {
        let file = Safetensors(
            [
                .init(name: "conv1.weight", shape: [2, 1, 3, 3], values: (0..<18).map(Float.init)),
                .init(name: "fc.bias", shape: [5], values: [1, 2, 3, 4, 5]),
                .init(name: "scalar", shape: [], values: [1]),
            ], metadata: ["format": "pt"])
        let counts = readCount(file.encoded(), seed: 3) { bytes throws(TrainingError) in
            let read = try Safetensors(decoding: bytes, name: "fuzzed")
            return read.entries.reduce(0) { $0 + 4 * $1.values.count }
        }
        #expect(counts.read > 100 && counts.refused > 500)
    }

    @Test(
        arguments: [
            [0, 0, 8, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            [0, 0, 8, 3, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 0, 0, 1],
        ] as [[UInt8]])
    func `a header that promises more than there is allocates nothing`(header: [UInt8]) {
        #expect(throws: TrainingError.self) { try IDXFile(header, name: "fuzzed", dimensions: 3) }
    }
}
