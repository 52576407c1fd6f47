import Testing
import TrainingContract

@testable import Training

/// A file as `numpy.save` (2.3) writes it: the header is filled up so that data begins at a multiple of 64.
func npy(_ descr: String, _ shape: String, _ data: [UInt8], isFortran: Bool = false, version: UInt8 = 1) -> [UInt8] {
    let lengthCount = version == 1 ? 2 : 4
    var header = "{'descr': '\(descr)', 'fortran_order': \(isFortran ? "True" : "False"), 'shape': \(shape), }"
    while (8 + lengthCount + header.utf8.count + 1) % 64 != 0 { header += " " }
    header += "\n"
    let length = (0..<lengthCount).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(header.utf8) + data
}

struct NPYFileTests {
    private let pixels = (0..<24).map { UInt8($0) }

    private func read(_ file: [UInt8], dimensions: Int) throws(TrainingError) -> (extents: [Int], bytes: [UInt8]) {
        let file = try NPYFile(file, name: "a.npy", dimensions: dimensions)
        return (file.extents, Array(try file.bytes()))
    }

    @Test func `bytes are read as they lie, in every version`() throws {
        for version in [1, 2, 3] as [UInt8] {
            let found = try read(npy("|u1", "(2, 3, 4)", pixels, version: version), dimensions: 3)
            #expect(found.extents == [2, 3, 4])
            #expect(found.bytes == pixels)
        }
    }

    @Test(
        arguments: [
            ("<i8", [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0]),
            ("<i4", [7, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0]), ("<u2", [7, 0, 0, 0, 255, 0]),
            (">i2", [0, 7, 0, 0, 0, 255]),
        ] as [(String, [UInt8])])
    func `wider whole numbers are read where they fit`(descr: String, data: [UInt8]) throws {
        #expect(try read(npy(descr, "(3,)", data), dimensions: 1).bytes == [7, 0, 255])
    }

    @Test(
        arguments: [
            ("no magic", Array("PNUMPY\u{1}\u{0}".utf8) + [0, 0, 0, 0], "it is no .npy file"),
            ("short", [0x93, 0x4E, 0x55], "it is no .npy file"),
            ("version", [0x93] + Array("NUMPY".utf8) + [4, 0, 0, 0, 0, 0], "it is .npy of version 4"),
            (
                "length", [0x93] + Array("NUMPY".utf8) + [1, 0, 255, 255] + [1, 2, 3],
                "its header promises 65535 bytes"
            ),
            (
                "floats", npy("<f4", "(1,)", [0, 0, 0, 0]),
                "its elements are '<f4'; whole numbers such as uint8 are read"
            ),
            (
                "Fortran", npy("|u1", "(3,)", [1, 2, 3], isFortran: true),
                "it is in Fortran order: numpy.ascontiguousarray changes that"
            ),
            ("dimensions", npy("|u1", "(3, 1)", [1, 2, 3]), "its shape is 3, 1; it must have 1 dimensions"),
            ("count", npy("|u1", "(4,)", [1, 2, 3]), "its header promises 4 bytes of data, it has 3"),
            ("negative", npy("|i1", "(1,)", [255]), "element 0 is not a whole number from 0 to 255"),
            ("large", npy("<i2", "(2,)", [1, 0, 0, 1]), "element 1 is not a whole number from 0 to 255"),
            ("overflow", npy("<i8", "(9223372036854775807,)", []), "its shape is 9223372036854775807,"),
        ] as [(String, [UInt8], String)])
    func `what is not such an array is refused with a sentence`(name: String, file: [UInt8], message: String) {
        #expect(throws: TrainingError(.badData, "a.npy is not usable: \(message)")) {
            try read(file, dimensions: 1)
        }
    }

    @Test func `a dataset may be NumPy arrays, and trains to the same model`() async throws {
        let images = patterns(count: 100, side: 12, seed: 1), tests = patterns(count: 40, side: 12, seed: 2)
        let memory = MemoryStorage()
        for (stem, data) in [("train", images), ("test", tests)] {
            memory.objects["gs://b/\(stem)-images.npy"] = npy("|u1", "(\(data.count), 12, 12)", data.pixels)
            memory.objects["gs://b/\(stem)-labels.npy"] = npy(
                "<i8", "(\(data.count),)", data.labels.flatMap { [$0, 0, 0, 0, 0, 0, 0, 0] })
        }
        let files = DatasetFiles(prefix: "gs://b/", storage: memory.storage)
        #expect(try await files.training() == images)
        #expect(try await files.test() == tests)
        #expect(try await files.training(limit: 3).count == 3)
    }
}
