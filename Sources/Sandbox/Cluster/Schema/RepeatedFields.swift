/// Members that a JSON text has twice in one object, which a parsed value cannot tell: the last one won.
struct RepeatedFields {
    private var bytes: ArraySlice<UInt8>
    private var paths: [String] = []

    /// The paths in the order of the text, each once.
    ///
    /// - Parameter bytes: of a text that was parsed without an error; of any other, what was found before its fault.
    static func paths(in bytes: [UInt8]) -> [String] {
        var scan = RepeatedFields(bytes: bytes[...])
        scan.value(path: "")
        return scan.paths
    }

    private init(bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    private mutating func value(path: String) {
        switch next {
        case UInt8(ascii: "{"): object(path: path)
        case UInt8(ascii: "["): array(path: path)
        case UInt8(ascii: "\""): _ = string()
        default: bytes = bytes.drop { !Self.ends.contains($0) }
        }
    }

    private static let ends: Set<UInt8> = [UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]")]

    private mutating func object(path: String) {
        bytes.removeFirst()
        var seen: Set<String> = []
        while next == UInt8(ascii: "\"") {
            let key = string()
            let place = SchemaValidation.join(path, key)
            if !seen.insert(key).inserted, !paths.contains(place) { paths.append(place) }
            guard next == UInt8(ascii: ":") else { return }
            bytes.removeFirst()
            value(path: place)
            if next == UInt8(ascii: ",") { bytes.removeFirst() }
        }
        if next == UInt8(ascii: "}") { bytes.removeFirst() }
    }

    private mutating func array(path: String) {
        bytes.removeFirst()
        var index = 0
        while let byte = next, byte != UInt8(ascii: "]") {
            let before = bytes.count
            value(path: "\(path)[\(index)]")
            index += 1
            if next == UInt8(ascii: ",") { bytes.removeFirst() }
            guard bytes.count < before else { return }
        }
        if next == UInt8(ascii: "]") { bytes.removeFirst() }
    }

    /// A text with its escapes as they are: the same key is nearly always written in the same way.
    private mutating func string() -> String {
        var rest = bytes.dropFirst()
        var isEscaped = false
        while let byte = rest.first, isEscaped || byte != UInt8(ascii: "\"") {
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            rest = rest.dropFirst()
        }
        let text = String(decoding: bytes[(bytes.startIndex + 1)..<rest.startIndex], as: UTF8.self)
        bytes = rest.dropFirst()
        return text
    }

    /// The next byte that is no blank.
    private var next: UInt8? {
        mutating get {
            bytes = bytes.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
            return bytes.first
        }
    }
}
