/// The names that Google accepts, checked again where URLs are built: none of them can leave its path segment.
public enum GoogleNames {
    /// A project id, also a domain-scoped one (`example.com:project`), or a project number.
    public static func isProject(_ name: String) -> Bool {
        matches(name, length: 1...63, others: isLowerAlphanumericOr("-.:"), last: isLowerAlphanumeric)
    }

    /// A region or a zone, e.g. `us-central1` or `us-central1-a`.
    public static func isLocation(_ name: String) -> Bool {
        matches(name, length: 1...40, others: isLowerAlphanumericOr("-"), last: isLowerAlphanumeric)
            && name.utf8.first.map(isLowercase) == true
    }

    /// A cluster or node pool: at most 40 characters, `[a-z]([-a-z0-9]*[a-z0-9])?`.
    public static func isResource(_ name: String) -> Bool { isLocation(name) }

    /// An operation, as GKE names it.
    public static func isOperation(_ name: String) -> Bool {
        matches(name, length: 1...128, others: isLowerAlphanumericOr("-"), last: isLowerAlphanumeric)
    }

    /// A bucket: 3 to 222 characters, lower case, digits, `-`, `_` and `.`.
    public static func isBucket(_ name: String) -> Bool {
        matches(name, length: 3...222, others: isLowerAlphanumericOr("-._"), last: isLowerAlphanumeric)
            && !name.contains("..")
    }

    /// An object: 1 to 1024 bytes without line breaks, not `.` or `..`. It is percent-encoded whole in a URL.
    public static func isObject(_ name: String) -> Bool {
        (1...1024).contains(name.utf8.count) && name != "." && name != ".."
            && !name.utf8.contains { $0 == 0x0A || $0 == 0x0D || $0 == 0 }
    }

    /// The first character follows the rule of the last.
    private static func matches(
        _ name: String, length: ClosedRange<Int>, others: (UInt8) -> Bool, last: (UInt8) -> Bool
    ) -> Bool {
        let bytes = Array(name.utf8)
        guard length.contains(bytes.count), let first = bytes.first, let final = bytes.last else { return false }
        return last(first) && last(final) && bytes.allSatisfy(others)
    }

    private static func isLowercase(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        isLowercase(byte) || (0x30...0x39).contains(byte)
    }

    private static func isLowerAlphanumericOr(_ others: String) -> (UInt8) -> Bool {
        { isLowerAlphanumeric($0) || others.utf8.contains($0) }
    }
}
