internal import Encoding

/// The two checksums of an object, as bytes arrive.
struct Checksums: Sendable {
    private var crc = CRC32C()
    private var hash = MD5()

    mutating func update(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { buffer in
            crc.update(buffer)
            hash.update(buffer)
        }
    }

    /// Big-endian, base64.
    var crc32c: String { crc.base64 }
    /// Base64.
    var md5: String { Base64.encode(hash.digest) }
}
