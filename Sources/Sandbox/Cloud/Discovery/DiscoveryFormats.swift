internal import Encoding

/// The `format`s of discovery documents.
enum DiscoveryFormats {
    /// What a string of this format should look like; nil when it does.
    static func fault(_ text: String, format: String) -> String? {
        switch format {
        case "google-duration": isDuration(text) ? nil : "a duration (\"3.5s\")"
        case "google-datetime", "date-time": isTime(text) ? nil : "a time (RFC 3339)"
        case "date": text.utf8.count == 10 && isTime(text + "T00:00:00Z") ? nil : "a date (YYYY-MM-DD)"
        case "int64": Int64(text) != nil && text.first != "+" ? nil : "a 64-bit integer"
        case "uint64": UInt64(text) != nil && text.first != "+" ? nil : "an unsigned 64-bit integer"
        case "google-fieldmask": text.utf8.allSatisfy(isFieldMask) ? nil : "a field mask (a,b.c)"
        case "byte": Base64.decode(text) != nil || Base64.decodeURL(text) != nil ? nil : "base64"
        default: nil
        }
    }

    /// Whether an integer fits.
    static func holds(_ value: Int64, format: String?) -> Bool {
        switch format {
        case "int32": Int32(exactly: value) != nil
        case "uint32": UInt32(exactly: value) != nil
        case "uint64": value >= 0
        default: true
        }
    }

    /// `-?digits[.1 to 9 digits]s`.
    private static func isDuration(_ text: String) -> Bool {
        guard text.hasSuffix("s") else { return false }
        var number = text.dropLast()
        if number.first == "-" { number = number.dropFirst() }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(isDigit) }) else {
            return false
        }
        return parts.count == 1 || parts[1].utf8.count <= 9
    }

    private static func isTime(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count >= 20 && bytes[10] == UInt8(ascii: "T") && Timestamp(text) != nil
    }

    private static func isFieldMask(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || "_.*,".utf8.contains(byte)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
