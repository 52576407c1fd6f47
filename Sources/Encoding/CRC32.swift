/// A reflected 32-bit CRC, eight bytes at a time ("slicing by eight").
private struct SlicedCRC {
    /// Eight tables of 256 entries, one after the other.
    let tables: [UInt32]

    /// - Parameter polynomial: reflected, as in 0x82F63B78 for CRC-32C.
    init(polynomial: UInt32) {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1 }
            tables[index] = value
        }
        for index in 256..<8 * 256 {
            let previous = tables[index - 256]
            tables[index] = previous >> 8 ^ tables[Int(previous & 0xFF)]
        }
        self.tables = tables
    }

    func update(_ crc: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var crc = ~crc
            var position = 0
            while position + 8 <= bytes.count {
                let low = bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self).littleEndian ^ crc
                let high = bytes.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self).littleEndian
                crc = table[7 * 256 + Int(low & 0xFF)] ^ table[6 * 256 + Int(low >> 8 & 0xFF)]
                crc ^= table[5 * 256 + Int(low >> 16 & 0xFF)] ^ table[4 * 256 + Int(low >> 24)]
                crc ^= table[3 * 256 + Int(high & 0xFF)] ^ table[2 * 256 + Int(high >> 8 & 0xFF)]
                crc ^= table[256 + Int(high >> 16 & 0xFF)] ^ table[Int(high >> 24)]
                position += 8
            }
            while position < bytes.count {
                crc = crc >> 8 ^ table[Int((crc ^ UInt32(bytes[position])) & 0xFF)]
                position += 1
            }
            return ~crc
        }
    }
}

/// CRC-32 as gzip uses it.
struct CRC32 {
    private static let crc = SlicedCRC(polynomial: 0xEDB8_8320)
    private(set) var value: UInt32 = 0

    mutating func update(_ bytes: UnsafeRawBufferPointer) { value = CRC32.crc.update(value, bytes) }
}

/// CRC-32C (Castagnoli), the checksum of Cloud Storage objects; incremental.
public struct CRC32C: Sendable, Hashable {
    private static let crc = SlicedCRC(polynomial: 0x82F6_3B78)
    /// The checksum of all bytes so far.
    public private(set) var value: UInt32 = 0

    /// Of no bytes.
    public init() {}

    /// Of these bytes.
    public init(of bytes: [UInt8]) { update(bytes) }

    /// Reads Cloud Storage's form: base64 of the four bytes, most significant first. Nil for anything else.
    public init?(base64 text: String) {
        guard let bytes = Base64.decode(text), bytes.count == 4 else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { value = CRC32C.crc.update(value, $0) }
    }

    public mutating func update(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { value = CRC32C.crc.update(value, $0) }
    }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) { value = CRC32C.crc.update(value, bytes) }

    /// As Cloud Storage writes it: base64 of the four bytes, most significant first.
    public var base64: String {
        Base64.encode((0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) })
    }
}
