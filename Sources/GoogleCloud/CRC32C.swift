/// CRC32C (Castagnoli), byte by byte: until `Encoding` has the fast one.
struct CRC32C {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
    }
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    private var state: UInt32 = 0xFFFF_FFFF

    mutating func update(_ bytes: [UInt8]) {
        for byte in bytes { state = CRC32C.table[Int((state ^ UInt32(byte)) & 0xFF)] ^ state >> 8 }
    }

    /// The four bytes, big-endian, as Cloud Storage writes them.
    var base64: String {
        let bits = UInt64(~state) << 4
        return String((0..<6).map { CRC32C.alphabet[Int(bits >> UInt64(30 - 6 * $0) & 63)] }) + "=="
    }
}
