/// An absolute http or https URL, built from parts so that nothing reaches it unescaped.
///
/// `description` and dumps hide the values of query parameters that are credentials; `text` is the whole of it.
public struct HTTPURL: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// `scheme://host[:port]`, without a trailing slash.
    public var origin: String
    /// Percent-encoded, begins with "/".
    public var path: String
    /// Names and values, not encoded; order is kept.
    public var query: [QueryItem]

    /// One query parameter, not encoded. Printed without its value where that is a credential.
    public struct QueryItem: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
        public var name: String
        public var value: String

        public var description: String { "\(HTTPURL.encoded(name))=\(isCredential ? "***" : HTTPURL.encoded(value))" }
        public var customMirror: Mirror { Mirror(self, children: ["item": description]) }

        /// Signed URLs, upload sessions and OAuth's parameters.
        private var isCredential: Bool {
            [
                "access_token", "refresh_token", "id_token", "subject_token", "client_secret", "assertion", "key",
                "upload_id", "signature", "sig", "x-goog-signature", "x-goog-credential", "x-goog-security-token",
            ].contains(name.lowercased())
        }

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// `path` is already percent-encoded.
    public init(origin: String, path: String, query: [QueryItem] = []) {
        self.origin = origin
        self.path = path.hasPrefix("/") ? path : "/" + path
        self.query = query
    }

    /// Each segment is percent-encoded whole: a "/" inside it becomes `%2F`, and "." and ".." become `%2E…`.
    public init(origin: String, segments: [String], query: [QueryItem] = []) {
        self.init(
            origin: origin, path: "/" + segments.map(HTTPURL.encodedSegment).joined(separator: "/"), query: query)
    }

    /// Reads `scheme://host[:port][/path][?query]`; nil for anything else, user names and fragments included.
    public init?(_ text: String) {
        guard let schemeEnd = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<schemeEnd.lowerBound]
        guard scheme == "http" || scheme == "https" else { return nil }
        let rest = text[schemeEnd.upperBound...]
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<authorityEnd]
        guard !authority.isEmpty, !text.contains("#"),
            authority.utf8.allSatisfy({ HTTPURL.isAuthority($0) })
        else { return nil }
        let target = String(rest[authorityEnd...])
        guard let parsed = HTTPURL.parseTarget(target.hasPrefix("/") ? target : "/" + target) else { return nil }
        self.init(origin: "\(scheme)://\(authority)", path: parsed.path, query: parsed.query)
    }

    /// Splits a request target (`/path?query`); nil when it is not one. The path stays percent-encoded.
    public static func parseTarget(_ target: String) -> (path: String, query: [QueryItem])? {
        guard target.hasPrefix("/"), target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return (target, []) }
        var items: [QueryItem] = []
        for pair in parts[1].split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decoded(sides[0], plusIsSpace: true),
                let value = sides.count == 2 ? decoded(sides[1], plusIsSpace: true) : ""
            else { return nil }
            items.append(QueryItem(name, value))
        }
        return (String(parts[0]), items)
    }

    /// Path and query as they go on the wire.
    public var target: String {
        if query.isEmpty { return path }
        let items = query.map { "\(HTTPURL.encoded($0.name))=\(HTTPURL.encoded($0.value))" }
        return path + "?" + items.joined(separator: "&")
    }

    /// The whole address, as it goes on the wire: never to be shown.
    public var text: String { origin + target }

    public var description: String {
        query.isEmpty ? origin + path : origin + path + "?" + query.map(\.description).joined(separator: "&")
    }

    public var customMirror: Mirror { Mirror(self, children: ["url": description]) }

    /// `host[:port]`, as the Host header carries it.
    public var authority: String { origin.firstRange(of: "://").map { String(origin[$0.upperBound...]) } ?? origin }

    /// The first query value of that name.
    public func queryValue(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// The path's segments, percent-decoded one by one; nil when one of them is not valid UTF-8.
    public var decodedSegments: [String]? {
        var segments: [String] = []
        for segment in path.split(separator: "/", omittingEmptySubsequences: true) {
            guard let text = HTTPURL.decoded(segment) else { return nil }
            segments.append(text)
        }
        return segments
    }

    /// Everything but RFC 3986's unreserved characters as `%XX`.
    public static func encoded(_ text: String) -> String {
        var output = ""
        for byte in text.utf8 {
            if isUnreserved(byte) {
                output.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                output += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return output
    }

    /// One path segment; "." and ".." are encoded too, so that no client or proxy resolves them.
    public static func encodedSegment(_ text: String) -> String {
        if text == "." { return "%2E" }
        if text == ".." { return "%2E%2E" }
        return encoded(text)
    }

    /// Resolves `%XX`; nil when an escape is malformed or the bytes are not UTF-8.
    public static func decoded(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
        var bytes: [UInt8] = []
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            if byte == UInt8(ascii: "%") {
                guard let high = iterator.next().flatMap(hexValue), let low = iterator.next().flatMap(hexValue)
                else { return nil }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func isAuthority(_ byte: UInt8) -> Bool {
        isUnreserved(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]")
    }
}
