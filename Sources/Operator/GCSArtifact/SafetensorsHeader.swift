import Encoding

/// Looks at the beginning of a `.safetensors` file: 8 bytes with the header's length (little-endian), the header in JSON,
/// then the tensors' bytes without gaps. <https://github.com/huggingface/safetensors#format>
enum SafetensorsHeader {
    /// The format's own limit.
    static let maximumBytes: Int64 = 100_000_000

    private static let bits: [String: Int64] = [
        "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16,
        "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F4": 4,
        "F6_E2M3": 6, "F6_E3M2": 6,
    ]

    /// How many bytes the header has, from the first eight of the file; nil when the file cannot have so many.
    static func length(_ start: [UInt8], fileSize: Int64) -> Int64? {
        guard start.count == 8 else { return nil }
        let length = start.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length > 1, length <= UInt64(maximumBytes), Int64(length) <= fileSize - 8 else { return nil }
        return Int64(length)
    }

    /// What is wrong with a header; nil when it describes exactly the bytes behind it.
    ///
    /// - Parameter dataSize: the file's bytes behind the header.
    static func problem(_ header: [UInt8], dataSize: Int64) -> String? {
        // Whatever is wrong with it: it is no header.
        guard let tensors = (try? JSONValue(parsing: header))?.objectValue else {
            return "its header is no JSON object"
        }
        var end: Int64 = 0
        for (name, tensor) in tensors where name != "__metadata__" {
            guard let range = range(tensor) else { return "its header does not describe \(name.prefix(100))" }
            guard range.upperBound <= dataSize else { return "the bytes of \(name.prefix(100)) are missing" }
            end = max(end, range.upperBound)
        }
        return end == dataSize ? nil : "its header describes \(end) bytes of tensors, and there are \(dataSize)"
    }

    /// Where the bytes of a tensor lie, if type, shape and offsets agree.
    private static func range(_ tensor: JSONValue) -> Range<Int64>? {
        guard let bits = bits[tensor["dtype"]?.stringValue ?? ""],
            let shape = tensor["shape"]?.arrayValue?.map(\.integerValue),
            let offsets = tensor["data_offsets"]?.arrayValue?.compactMap(\.integerValue), offsets.count == 2,
            0 <= offsets[0], offsets[0] <= offsets[1]
        else { return nil }
        var size = bits
        for dimension in shape {
            guard let dimension, dimension >= 0 else { return nil }
            let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
            if overflow { return nil }
            size = product
        }
        guard size % 8 == 0, offsets[1] - offsets[0] == size / 8 else { return nil }
        return offsets[0]..<offsets[1]
    }
}
