import Glibc

/// An IP address, or a range of them in CIDR notation.
struct Network: Sendable, Hashable {
    /// 4 or 16.
    private let bytes: [UInt8]
    private let prefixLength: Int

    /// Reads `10.0.0.1`, `10.0.0.0/8`, `::1` or `fd00::/8`; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = Network.address(String(parts[0])) else { return nil }
        var length = bytes.count * 8
        if parts.count == 2 {
            guard let written = Int(parts[1]), (0...length).contains(written) else { return nil }
            length = written
        }
        self.bytes = bytes
        self.prefixLength = length
    }

    /// Whether `host` is an address in it. Names are not resolved.
    func contains(_ host: String) -> Bool {
        guard let other = Network.address(host), other.count == bytes.count else { return false }
        let whole = prefixLength / 8
        guard bytes[..<whole] == other[..<whole] else { return false }
        let mask = UInt8(truncatingIfNeeded: 0xFF00 >> (prefixLength % 8))
        return mask == 0 || whole == bytes.count || bytes[whole] & mask == other[whole] & mask
    }

    private static func address(_ text: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return Array(bytes[..<4]) }
        return inet_pton(AF_INET6, text, &bytes) == 1 ? bytes : nil
    }
}
