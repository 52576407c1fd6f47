import Encoding
import TrainingContract

/// Named Float32 tensors in the safetensors format: 8 bytes with the header's length, little-endian; the header, a JSON
/// object with dtype, shape and data_offsets of each tensor; then the data, little-endian.
///
/// Source: github.com/huggingface/safetensors, README, "Format".
public struct Safetensors: Sendable, Hashable {
    /// One named tensor.
    public struct Entry: Sendable, Hashable {
        public var name: String
        /// Outermost first; empty for a scalar.
        public var shape: [Int]
        /// Row-major.
        public var values: [Float]

        public init(name: String, shape: [Int], values: [Float]) {
            self.name = name
            self.shape = shape
            self.values = values
        }
    }

    public var entries: [Entry]
    /// The header's `__metadata__`.
    public var metadata: [String: String]

    public init(_ entries: [Entry], metadata: [String: String] = [:]) {
        self.entries = entries
        self.metadata = metadata
    }

    /// The entry with a name, or nil.
    public subscript(name: String) -> Entry? { entries.first { $0.name == name } }

    /// The file. Data lies in the order of the entries; the header is filled up with spaces to 8 bytes.
    public func encoded() -> [UInt8] {
        var header: JSONValue = .object([:])
        if !metadata.isEmpty { header["__metadata__"] = .object(metadata.mapValues(JSONValue.string)) }
        var end = 0
        for entry in entries {
            let start = end
            end += entry.values.count * 4
            header[entry.name] = [
                "dtype": "F32", "shape": .array(entry.shape.map { .integer(Int64($0)) }),
                "data_offsets": .array([.integer(Int64(start)), .integer(Int64(end))]),
            ]
        }
        var text = header.serialized()
        while text.count % 8 != 0 { text.append(0x20) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + text.count + end)
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: text.count >> shift)) }
        bytes += text
        for entry in entries {
            #if _endian(little)
                entry.values.withUnsafeBytes { bytes.append(contentsOf: $0) }
            #else
                for value in entry.values { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 } }
            #endif
        }
        return bytes
    }
}

extension Safetensors {
    /// The format's own limit on a header.
    static let maximumHeaderCount = 100_000_000

    /// - Parameter name: the file, for messages.
    /// - Throws: `.badData` when the header is not valid or does not fit the data exactly.
    public init(decoding bytes: [UInt8], name: String) throws(TrainingError) {
        func corrupt(_ what: String) -> TrainingError { TrainingError(.badData, "\(name) is not usable: \(what)") }
        guard bytes.count >= 8 else { throw corrupt("it is shorter than a safetensors header's length") }
        let length = bytes[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(min(Safetensors.maximumHeaderCount, bytes.count - 8)) else {
            throw corrupt("its safetensors header promises \(length) bytes")
        }
        let dataStart = 8 + Int(length)
        let header: JSONValue
        do throws(JSONError) {
            header = try JSONValue(parsing: bytes[8..<dataStart])
        } catch {
            throw corrupt("its safetensors header is not JSON: \(error.message)")
        }
        guard let members = header.objectValue else { throw corrupt("its safetensors header is not a JSON object") }
        let data = bytes[dataStart...]
        var located: [(range: Range<Int>, entry: Entry)] = []
        for (key, value) in members where key != "__metadata__" {
            guard let location = Location(value, dataCount: data.count) else {
                throw corrupt("tensor \(key.prefix(100)) has a wrong dtype, shape or place in the file")
            }
            let values = location.values(in: data)
            located.append((location.range, Entry(name: key, shape: location.shape, values: values)))
        }
        located.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        var end = 0
        for tensor in located {
            guard tensor.range.lowerBound == end else { throw corrupt("its tensors overlap or leave gaps") }
            end = tensor.range.upperBound
        }
        guard end == data.count else { throw corrupt("it has \(data.count) bytes of data, its header says \(end)") }
        entries = located.map(\.entry)
        metadata = (members["__metadata__"]?.objectValue ?? [:]).compactMapValues(\.stringValue)
    }
}

/// Where a tensor lies in the data part: checked against the data and the shape.
private struct Location {
    let range: Range<Int>
    let shape: [Int]

    init?(_ value: JSONValue, dataCount: Int) {
        guard value["dtype"]?.stringValue == "F32", let shape = Location.integers(value["shape"]), shape.count <= 16,
            let offsets = Location.integers(value["data_offsets"]), offsets.count == 2,
            offsets[0] <= offsets[1], offsets[1] <= dataCount
        else { return nil }
        var size = 4
        for extent in shape {
            let product = size.multipliedReportingOverflow(by: extent)
            guard !product.overflow else { return nil }
            size = product.partialValue
        }
        guard offsets[1] - offsets[0] == size else { return nil }
        range = offsets[0]..<offsets[1]
        self.shape = shape
    }

    /// Whole numbers that are not negative.
    private static func integers(_ value: JSONValue?) -> [Int]? {
        guard let elements = value?.arrayValue else { return nil }
        let numbers = elements.compactMap(\.integerValue).compactMap { Int(exactly: $0) }.filter { $0 >= 0 }
        return numbers.count == elements.count ? numbers : nil
    }

    func values(in data: ArraySlice<UInt8>) -> [Float] {
        data.withUnsafeBytes { buffer in
            (0..<(range.count / 4)).map { index in
                let bits = buffer.loadUnaligned(fromByteOffset: range.lowerBound + 4 * index, as: UInt32.self)
                return Float(bitPattern: UInt32(littleEndian: bits))
            }
        }
    }
}
