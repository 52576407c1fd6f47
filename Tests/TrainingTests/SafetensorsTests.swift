import Encoding
import Testing
import TrainingContract

@testable import Training

/// A file with any header text.
private func file(_ header: String, data: [UInt8] = []) -> [UInt8] {
    let length = header.utf8.count
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8) + data
}

struct SafetensorsTests {
    private let sample = Safetensors(
        [
            .init(name: "b.weight", shape: [2, 1], values: [1.5, -.zero]),
            .init(name: "a", shape: [], values: [.pi]), .init(name: "none", shape: [0, 3], values: []),
        ], metadata: ["format": "pt"])

    @Test func `the file has the format's layout`() {
        let bytes = Safetensors([.init(name: "x", shape: [1], values: [1])]).encoded()
        #expect(
            bytes == file(#"{"x":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}}  "#, data: [0, 0, 0x80, 0x3F]))
    }

    @Test func `what is written is read`() throws {
        let bytes = sample.encoded()
        let header = try #require(bytes.first)
        #expect((8 + Int(header)) % 8 == 0)
        let read = try Safetensors(decoding: bytes, name: "file")
        #expect(read == sample)
        #expect(read["b.weight"]?.values[1].sign == .minus)
    }

    @Test(
        arguments: [
            ("short", [1, 2, 3], "it is shorter than a safetensors header's length"),
            (
                "long header", [255, 255, 255, 255, 255, 255, 255, 255],
                "its safetensors header promises 18446744073709551615 bytes"
            ),
            ("no JSON", file("{]"), "its safetensors header is not JSON: expected a key in quotes"),
            ("no object", file("[]"), "its safetensors header is not a JSON object"),
            (
                "other dtype", file(#"{"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0]),
                "tensor x has a wrong dtype, shape or place in the file"
            ),
            (
                "beyond the end", file(#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, data: [0, 0, 0, 0]),
                "tensor x has a wrong dtype, shape or place in the file"
            ),
            (
                "negative", file(#"{"x":{"dtype":"F32","shape":[-1],"data_offsets":[4,0]}}"#, data: [0, 0, 0, 0]),
                "tensor x has a wrong dtype, shape or place in the file"
            ),
            (
                "overflow",
                file(
                    #"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0]),
                "tensor x has a wrong dtype, shape or place in the file"
            ),
            (
                "gap",
                file(
                    #"{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, data: [0, 0, 0, 0, 0, 0, 0, 0]),
                "its tensors overlap or leave gaps"
            ),
            (
                "overlap",
                file(
                    #"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                    data: [0, 0, 0, 0]), "its tensors overlap or leave gaps"
            ),
            (
                "data left", file(#"{}"#, data: [0]), "it has 1 bytes of data, its header says 0"
            ),
        ] as [(String, [UInt8], String)])
    func `wrong files are refused`(name: String, bytes: [UInt8], message: String) {
        #expect(throws: TrainingError(.badData, "f is not usable: " + message)) {
            try Safetensors(decoding: bytes, name: "f")
        }
    }

    @Test func `random damage never crashes`() {
        var random = RandomStream(seed: 6, purpose: 1)
        let good = sample.encoded()
        for _ in 0..<5000 {
            var bytes = good
            for _ in 0...random.next(below: 3) {
                bytes[Int(random.next(below: UInt32(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.next(below: 4) == 0 { bytes.removeLast(Int(random.next(below: UInt32(bytes.count)))) }
            _ = try? Safetensors(decoding: bytes, name: "f")
        }
    }
}
