import Testing
import TrainingContract

@testable import Training

/// A gzip file of one stored block.
private func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    func little(_ value: UInt32, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(value >> (8 * UInt32($0)) & 255) } }
    let size = UInt32(bytes.count)
    return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 1] + little(size, 2) + little(~size, 2) + bytes + little(~crc, 4)
        + little(size, 4)
}

struct ImageDatasetTests {
    private let images = idx([2, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255])
    private let labels = idx([2], [9, 3])

    private func dataset(
        _ images: [UInt8], _ labels: [UInt8], limit: Int? = nil
    ) throws(TrainingError) -> ImageDataset {
        try ImageDataset(images: images, imagesName: "images", labels: labels, labelsName: "labels", limit: limit)
    }

    @Test func `plain and gzip files give the same images`() throws {
        let expected = ImageDataset(
            height: 2, width: 3, pixels: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255], labels: [9, 3])
        #expect(try dataset(images, labels) == expected)
        #expect(try dataset(gzip(images), gzip(labels)) == expected)
    }

    @Test func `a limit takes the first images`() throws {
        let expected = ImageDataset(height: 2, width: 3, pixels: [0, 1, 2, 3, 4, 5], labels: [9])
        #expect(try dataset(images, labels, limit: 1) == expected)
        #expect(try dataset(images, labels, limit: 5).count == 2)
    }

    @Test(
        arguments: [
            ("empty", [], "images is not an IDX file: it ends inside its header"),
            ("short header", [0, 0, 8, 3, 0, 0], "images is not an IDX file: it ends inside its header"),
            (
                "floats", [0, 0, 13] + idx([1, 1, 1], [0]).dropFirst(3),
                "images is not an IDX file of unsigned bytes in 3 dimensions: it starts with 0 0 d 3"
            ),
            (
                "labels for images", idx([13], [UInt8](repeating: 0, count: 13)),
                "images is not an IDX file of unsigned bytes in 3 dimensions: it starts with 0 0 8 1"
            ),
            (
                "too short", idx([2, 2, 2], [1, 2, 3]),
                "images is corrupt: its header promises 8 bytes of data, it has 3"
            ),
            (
                "too long", idx([1, 1, 1], [1, 2]),
                "images is corrupt: its header promises 1 bytes of data, it has 2"
            ),
            (
                "overflow", idx([0x7FFF_FFFF, 0x7FFF_FFFF, 0x7FFF_FFFF], [1]),
                "images is corrupt: its header promises more than 2 GiB"
            ),
            ("no images", idx([0, 2, 2], []), "images has 0 images, but labels has 2 labels"),
            ("other count", idx([1, 2, 2], [1, 2, 3, 4]), "images has 1 images, but labels has 2 labels"),
        ] as [(String, [UInt8], String)])
    func `wrong image files are refused`(name: String, file: [UInt8], message: String) {
        #expect(throws: TrainingError(.badData, message)) { try dataset(file, labels) }
    }

    @Test func `a label that is no class is refused`() {
        #expect(
            throws: TrainingError(.badData, "labels is corrupt: label 1 is 10, the classes are 0 to 9")
        ) { try dataset(images, idx([2], [9, 10])) }
    }

    @Test func `a damaged gzip file is refused`() {
        var damaged = gzip(images)
        damaged[20] ^= 1
        let error = #expect(throws: TrainingError.self) { try dataset(damaged, labels) }
        #expect(error?.code == .badData)
        #expect(error?.message.hasPrefix("images is corrupt: ") == true)
    }

    @Test func `random damage never crashes`() {
        var random = RandomStream(seed: 4, purpose: 1)
        for _ in 0..<3000 {
            var file = random.next(below: 2) == 0 ? images : gzip(images)
            for _ in 0...random.next(below: 3) {
                file[Int(random.next(below: UInt32(file.count)))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.next(below: 4) == 0 { file.removeLast(Int(random.next(below: UInt32(file.count)))) }
            _ = try? dataset(file, labels)
        }
    }

    @Test func `a missing file says which, where, and which package has it`() async {
        let memory = MemoryStorage()
        let files = DatasetFiles(prefix: "gs://b/data", storage: memory.storage)
        let error = await #expect(throws: TrainingError.self) { try await files.training() }
        #expect(
            error
                == TrainingError(
                    .missingInput,
                    "there is neither train-images-idx3-ubyte.gz nor train-images-idx3-ubyte nor train-images.npy in "
                        + "gs://b/data/; Debian's package dataset-fashion-mnist has the first"))
    }

    @Test func `the four files are found, in gzip or plain`() async throws {
        let memory = MemoryStorage()
        memory.objects = [
            "gs://b/data/train-images-idx3-ubyte.gz": gzip(images), "gs://b/data/train-labels-idx1-ubyte": labels,
            "gs://b/data/t10k-images-idx3-ubyte": images, "gs://b/data/t10k-labels-idx1-ubyte.gz": gzip(labels),
        ]
        let files = DatasetFiles(prefix: "gs://b/data/", storage: memory.storage)
        #expect(try await files.training(limit: 1).count == 1)
        #expect(try await files.test().count == 2)
    }
}
