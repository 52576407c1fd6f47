/// The names that Google accepts, checked again where URLs are built: none of them can leave its path segment.
public enum GoogleNames {
    /// A project id, also a domain-scoped one (`example.com:project`), or a project number.
    public static func isProject(_ name: String) -> Bool {
        let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let id = parts.last, parts.count == 1 || isDomain(parts[0]) else { return false }
        return matches(id, length: 1...30, others: isLowerAlphanumericOr("-"), last: isLowerAlphanumeric)
    }

    /// A region or a zone, e.g. `us-central1` or `us-central1-a`.
    public static func isLocation(_ name: String) -> Bool { isLabel(name, maximumLength: 40) }

    /// A cluster or node pool: at most 40 characters, `[a-z]([-a-z0-9]*[a-z0-9])?`.
    public static func isResource(_ name: String) -> Bool { isLabel(name, maximumLength: 40) }

    /// An operation, as GKE names it.
    public static func isOperation(_ name: String) -> Bool {
        matches(name, length: 1...128, others: isLowerAlphanumericOr("-"), last: isLowerAlphanumeric)
    }

    /// A bucket: 3 to 63 characters, with dots up to 222: lower case, digits, `-`, `_` and `.`.
    public static func isBucket(_ name: String) -> Bool {
        matches(name, length: 3...222, others: isLowerAlphanumericOr("-._"), last: isLowerAlphanumeric)
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
                (1...63).contains($0.utf8.count)
            }
    }

    /// An object: 1 to 1024 bytes without line breaks, not `.` or `..`. It is percent-encoded whole in a URL.
    public static func isObject(_ name: String) -> Bool {
        (1...1024).contains(name.utf8.count) && name != "." && name != ".."
            && !name.utf8.contains { $0 == 0x0A || $0 == 0x0D || $0 == 0 }
    }

    /// A service account: its e-mail address.
    public static func isServiceAccount(_ name: String) -> Bool {
        let parts = name.split(separator: "@", omittingEmptySubsequences: false).map(String.init)
        return parts.count == 2 && isDomain(parts[1]) && parts[1].utf8.contains(UInt8(ascii: "."))
            && matches(parts[0], length: 1...64, others: isLowerAlphanumericOr("-."), last: isLowerAlphanumeric)
    }

    /// `[a-z]([-a-z0-9]*[a-z0-9])?`
    static func isLabel(_ name: String, maximumLength: Int) -> Bool {
        matches(name, length: 1...maximumLength, others: isLowerAlphanumericOr("-"), last: isLowerAlphanumeric)
            && name.utf8.first.map(isLowercase) == true
    }

    /// Lower-case labels with dots between them.
    static func isDomain(_ name: String) -> Bool {
        name.utf8.count <= 253
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
                matches(String($0), length: 1...63, others: isLowerAlphanumericOr("-"), last: isLowerAlphanumeric)
            }
    }

    /// What comes after `/operations/` in the APIs' operation names: a uuid, `operation-…`, `acf.…`.
    static func isOperationID(_ name: String) -> Bool {
        matches(name, length: 1...200, others: { isAlphanumeric($0) || "-._".utf8.contains($0) }, last: isAlphanumeric)
    }

    /// A uuid that is not all zero, in lower or upper case.
    static func isUUID(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.utf8.count) == [8, 4, 4, 4, 12]
            && parts.allSatisfy { $0.utf8.allSatisfy { isAlphanumeric($0) && ($0 | 0x20 <= 0x66) } }
            && !parts.allSatisfy { $0.utf8.allSatisfy { $0 == 0x30 } }
    }

    /// A service of the billing catalogue: `6F81-5844-456A`.
    static func isCatalogService(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.utf8.count) == [4, 4, 4]
            && parts.allSatisfy { $0.utf8.allSatisfy { isDigit($0) || (0x41...0x46).contains($0) } }
    }

    /// An image's path in its repository.
    static func isImagePath(_ name: String) -> Bool {
        name.utf8.count <= 255
            && name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                matches(String($0), length: 1...255, others: isLowerAlphanumericOr("-._"), last: isLowerAlphanumeric)
            }
    }

    /// A tag of an image, which may end in anything.
    static func isImageTag(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count) && name.utf8.first.map { isAlphanumeric($0) || $0 == 0x5F } == true
            && name.utf8.allSatisfy { isAlphanumeric($0) || "-._".utf8.contains($0) }
    }

    /// `sha256:` and 64 hexadecimal digits.
    static func isImageDigest(_ name: String) -> Bool {
        name.hasPrefix("sha256:") && name.utf8.count == 71
            && name.utf8.dropFirst(7).allSatisfy { isDigit($0) || (0x61...0x66).contains($0) }
    }

    static func isNumber(_ name: String) -> Bool {
        (1...20).contains(name.utf8.count) && name.utf8.allSatisfy(isDigit)
    }

    /// The first character follows the rule of the last.
    private static func matches(
        _ name: String, length: ClosedRange<Int>, others: (UInt8) -> Bool, last: (UInt8) -> Bool
    ) -> Bool {
        let bytes = name.utf8
        guard length.contains(bytes.count), let first = bytes.first, let final = bytes.last else { return false }
        return last(first) && last(final) && bytes.allSatisfy(others)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func isLowercase(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool { isLowercase(byte) || isDigit(byte) }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLowerAlphanumeric(byte) || (0x41...0x5A).contains(byte)
    }

    private static func isLowerAlphanumericOr(_ others: String) -> (UInt8) -> Bool {
        { isLowerAlphanumeric($0) || others.utf8.contains($0) }
    }
}
