import Encoding

/// Hashes of text.
enum Digest {
    /// SHA-256 of the UTF-8 bytes, in lower-case hex.
    static func sha256Hex(_ text: String) -> String { SHA256.hexadecimal(of: Array(text.utf8)) }
}
