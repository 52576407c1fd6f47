import Encoding

/// The formats of strings that the API server checks; all others are only a note.
enum StringFormat {
    private static let checks: [String: @Sendable (String) -> Bool] = [
        "datetime": { Timestamp($0) != nil },
        "date": { Timestamp($0 + "T00:00:00Z") != nil },
        "duration": { CELDuration.parse($0) != nil },
        "byte": { Base64.decode($0) != nil && $0.utf8.count % 4 == 0 },
        "password": { _ in true },
        "uuid": { isUUID($0, version: nil) },
        "uuid3": { isUUID($0, version: "3") },
        "uuid4": { isUUID($0, version: "4") },
        "uuid5": { isUUID($0, version: "5") },
        "ipv4": { isIPv4($0) },
        "ipv6": { isIPv6($0) },
        "cidr": { isCIDR($0) },
        "mac": { isMAC($0) },
        "hostname": { matches($0, hostname) && $0.utf8.count <= 255 },
        "uri": { isURI($0) },
        "email": { matches($0, email) },
        "hexcolor": { matches($0, hexColor) },
    ]

    /// The API server checks these, and we do not: a schema with one is refused.
    private static let unchecked: Set<String> = [
        "bsonobjectid", "isbn", "isbn10", "isbn13", "creditcard", "ssn", "rgbcolor",
    ]

    static func isUnchecked(_ format: String) -> Bool { unchecked.contains(normalized(format)) }

    static func isKnown(_ format: String) -> Bool { checks[normalized(format)] != nil }

    static func accepts(_ text: String, _ format: String) -> Bool {
        guard !format.isEmpty else { return true }
        return checks[normalized(format)]?(text) ?? true
    }

    private static func normalized(_ format: String) -> String { format.filter { $0 != "-" } }

    private static func pattern(_ text: String) -> Pattern? {
        try? Pattern(text)  // Constants; a test tries each.
    }

    private static let hostname = pattern(
        "^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*[.]?$")
    private static let email = pattern("^[^@ <>]+@[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?$")
    private static let hexColor = pattern("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")

    private static func matches(_ text: String, _ pattern: Pattern?) -> Bool { pattern?.matches(text) ?? false }

    /// Dashes may be left out.
    private static func isUUID(_ text: String, version: Character?) -> Bool {
        let digits = Array(text.filter { $0 != "-" })
        guard digits.count == 32, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return false }
        if text.contains("-"), text.split(separator: "-").map(\.count) != [8, 4, 4, 4, 12] { return false }
        guard let version else { return true }
        return digits[12] == version && (version == "3" || "89abAB".contains(digits[16]))
    }

    private static func isIPv4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.utf8.count) && part.allSatisfy { $0.isASCII && $0.isNumber }
                    && (part == "0" || !part.hasPrefix("0")) && (Int(part) ?? 256) < 256
            }
    }

    private static func isIPv6(_ text: String) -> Bool {
        guard text.contains(":"), !text.contains("%") else { return false }
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return false }
        var groups = 0
        for (index, half) in halves.enumerated() where !half.isEmpty {
            let parts = half.split(separator: ":", omittingEmptySubsequences: false)
            for (position, part) in parts.enumerated() {
                let isLast = index == halves.count - 1 && position == parts.count - 1
                if isLast, part.contains(".") {
                    guard isIPv4(String(part)) else { return false }
                    groups += 2
                } else {
                    guard (1...4).contains(part.utf8.count), part.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
                        return false
                    }
                    groups += 1
                }
            }
        }
        return halves.count == 2 ? groups < 8 : groups == 8
    }

    private static func isCIDR(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let length = Int(parts[1]), String(length) == parts[1], length >= 0 else {
            return false
        }
        return isIPv4(parts[0]) ? length <= 32 : isIPv6(parts[0]) && length <= 128
    }

    private static func isMAC(_ text: String) -> Bool {
        for separator in [":", "-"] as [Character] {
            let parts = text.split(separator: separator, omittingEmptySubsequences: false)
            if [6, 8, 20].contains(parts.count),
                parts.allSatisfy({ $0.count == 2 && $0.allSatisfy { $0.isASCII && $0.isHexDigit } })
            {
                return true
            }
        }
        return false
    }

    /// As Go's `url.ParseRequestURI`: absolute, or a path from the root.
    private static func isURI(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return false }
        if text.hasPrefix("/") { return true }
        guard let colon = text.firstIndex(of: ":"), let first = text.first, first.isASCII, first.isLetter else {
            return false
        }
        return text[..<colon].allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
    }
}
