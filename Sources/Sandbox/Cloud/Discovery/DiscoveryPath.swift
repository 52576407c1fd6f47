internal import Encoding

/// A path template, compiled: which paths it stands for. Paths are compared as they are on the wire, percent-encoded,
/// so that an object's name stays one segment.
struct DiscoveryPath: Sendable {
    private enum Part: Sendable {
        case literal(String)
        /// Something between a beginning and an end.
        case variable(prefix: String, suffix: String, allowsColon: Bool)
    }

    private var parts: [Part] = []
    /// Anything may follow.
    private var isOpen = false
    /// Bytes that are not variable: of two templates that match, the one with more is meant.
    private(set) var literalCount = 0

    /// Nil when it is open.
    var segmentCount: Int? { isOpen ? nil : parts.count }

    /// The paths of a method: its own, and those for uploads of media.
    static func paths(of method: JSONValue, service: String) -> [DiscoveryPath] {
        let parameters = method["parameters"]?.objectValue ?? [:]
        let protocols = method.value(at: ["mediaUpload", "protocols"])?.objectValue ?? [:]
        let uploads = protocols.values.compactMap { $0["path"]?.stringValue }
        let own = method["path"]?.stringValue.map { [service + $0] } ?? []
        return (own + uploads).map { DiscoveryPath($0, parameters: parameters) }
    }

    /// `{name}` is one segment, `{+name}` what the parameter's own pattern says.
    private init(_ template: String, parameters: [String: JSONValue]) {
        var pattern = ""
        var rest = template.drop { $0 == "/" }
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            pattern += rest[..<open]
            var name = rest[rest.index(after: open)..<close]
            let isWhole = name.first == "+"
            if isWhole { name = name.dropFirst() }
            let own = isWhole ? parameters[String(name)]?["pattern"]?.stringValue : nil
            pattern += own.map(Self.marked) ?? String(Self.anySegment)
            rest = rest[rest.index(after: close)...]
        }
        pattern += rest
        // `{+name}:setSize` beside `{+name}`: a name that ends the template has no colon.
        let endsInName = template.hasSuffix("}")
        for segment in pattern.split(separator: "/", omittingEmptySubsequences: false) {
            if segment.contains(Self.anything) {
                isOpen = true
                break
            }
            append(segment, namesHaveColons: !endsInName)
        }
    }

    // Characters that no path has stand for variables.
    private static let anySegment: Character = "\u{1}"
    private static let nameSegment: Character = "\u{2}"
    private static let anything: Character = "\u{3}"

    /// `^projects/[^/]+/locations/[^/]+$`; a pattern of another kind stands for anything.
    private static func marked(_ pattern: String) -> String {
        var rest = pattern[...]
        if rest.first == "^" { rest = rest.dropFirst() }
        if rest.last == "$" { rest = rest.dropLast() }
        var text = ""
        while let character = rest.first {
            if rest.hasPrefix("[^/]+") {
                text.append(nameSegment)
                rest = rest.dropFirst(5)
            } else if "[](){}.*+?\\|".contains(character) {
                return text + String(anything)
            } else {
                text.append(character)
                rest = rest.dropFirst()
            }
        }
        return text
    }

    private mutating func append(_ segment: Substring, namesHaveColons: Bool) {
        let isVariable: (Character) -> Bool = { $0 == Self.anySegment || $0 == Self.nameSegment }
        guard let first = segment.firstIndex(where: isVariable), let last = segment.lastIndex(where: isVariable) else {
            parts.append(.literal(String(segment)))
            literalCount += segment.utf8.count
            return
        }
        let prefix = String(segment[..<first])
        let suffix = String(segment[segment.index(after: last)...])
        let allowsColon = segment[first] == Self.anySegment || namesHaveColons
        parts.append(.variable(prefix: prefix, suffix: suffix, allowsColon: allowsColon))
        literalCount += prefix.utf8.count + suffix.utf8.count
    }

    /// Whether the path is one of this template's.
    func matches(_ segments: [Substring]) -> Bool {
        guard isOpen ? segments.count > parts.count : segments.count == parts.count else { return false }
        for (part, segment) in zip(parts, segments) {
            switch part {
            case .literal(let text):
                if segment != text { return false }
            case .variable(let prefix, let suffix, let allowsColon):
                guard segment.utf8.count > prefix.utf8.count + suffix.utf8.count, segment.hasPrefix(prefix),
                    segment.hasSuffix(suffix)
                else { return false }
                if !allowsColon, segment.dropFirst(prefix.count).dropLast(suffix.count).utf8.contains(0x3A) {
                    return false
                }
            }
        }
        return true
    }
}
