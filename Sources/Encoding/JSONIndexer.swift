/// One value (or key) of an indexed JSON text, in the order of the text; a container comes before what is in it, a key
/// before its value.
struct JSONNode: Sendable {
    /// In `extent` of a string: it has escapes.
    static let escapeFlag: UInt32 = 1 << 31

    /// Where the value begins; the byte there tells its kind (for a string: the quote).
    var offset: UInt32
    /// An object's or list's: the index of the first node after it. A string's: the bytes between the quotes. Any
    /// other value's: its bytes.
    var extent: UInt32
}

/// Checks a JSON text (RFC 8259) and writes down where its values are, without making any.
struct JSONIndexer {
    let bytes: UnsafeBufferPointer<UInt8>
    var nodes: [JSONNode] = []
    private var position = 0
    private var depth = 0

    private init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        // Kubernetes objects have a value or key every 15 bytes or so.
        nodes.reserveCapacity(bytes.count / 12 + 4)
    }

    /// The nodes of the whole text.
    ///
    /// - Throws: `.syntax`, `.tooDeep` or `.invalidUTF8` with the byte offset.
    static func index(_ bytes: UnsafeBufferPointer<UInt8>) throws(JSONError) -> [JSONNode] {
        guard bytes.count < Int(JSONNode.escapeFlag) else {
            throw JSONError(code: .syntax, message: "a JSON text of 2 GiB or more")
        }
        var indexer = JSONIndexer(bytes: bytes)
        try indexer.value()
        indexer.skipWhitespace()
        guard indexer.position == bytes.count else { throw indexer.syntax("text after the end of the JSON value") }
        return indexer.nodes
    }

    private mutating func value() throws(JSONError) {
        skipWhitespace()
        guard position < bytes.count else { throw syntax("the JSON text ends too early") }
        switch bytes[position] {
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "{"): try object()
        case UInt8(ascii: "["): try array()
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        default: try number()
        }
    }

    private mutating func object() throws(JSONError) {
        let node = try enter()
        if consume(UInt8(ascii: "}")) { return leave(node) }
        while true {
            skipWhitespace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw syntax("expected a key in quotes")
            }
            try string()
            skipWhitespace()
            guard consume(UInt8(ascii: ":")) else { throw syntax("expected ':' after a key") }
            try value()
            skipWhitespace()
            if consume(UInt8(ascii: ",")) { continue }
            guard consume(UInt8(ascii: "}")) else { throw syntax("expected ',' or '}'") }
            return leave(node)
        }
    }

    private mutating func array() throws(JSONError) {
        let node = try enter()
        if consume(UInt8(ascii: "]")) { return leave(node) }
        while true {
            try value()
            skipWhitespace()
            if consume(UInt8(ascii: ",")) { continue }
            guard consume(UInt8(ascii: "]")) else { throw syntax("expected ',' or ']'") }
            return leave(node)
        }
    }

    private mutating func enter() throws(JSONError) -> Int {
        depth += 1
        guard depth <= JSONValue.maximumDepth else {
            throw JSONError(
                code: .tooDeep, message: "more than \(JSONValue.maximumDepth) nested values", offset: position)
        }
        add(from: position, extent: 0)
        position += 1
        skipWhitespace()
        return nodes.count - 1
    }

    private mutating func leave(_ node: Int) {
        depth -= 1
        nodes[node].extent = UInt32(truncatingIfNeeded: nodes.count)
    }

    private mutating func add(from start: Int, extent: Int) {
        nodes.append(
            JSONNode(offset: UInt32(truncatingIfNeeded: start), extent: UInt32(truncatingIfNeeded: extent)))
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) {
        let start = position
        position += 1
        var hasEscapes = false
        var isASCII = true
        while true {
            isASCII = skipPlainText() && isASCII
            guard position < bytes.count else { throw syntax("a string without an end") }
            switch bytes[position] {
            case UInt8(ascii: "\""):
                if !isASCII { try checkUTF8(from: start + 1) }
                add(from: start, extent: position - start - 1)
                if hasEscapes { nodes[nodes.count - 1].extent |= JSONNode.escapeFlag }
                position += 1
                return
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try escape()
            default: throw syntax("a control character in a string")
            }
        }
    }

    /// Goes to the next quote, backslash or control character, eight bytes at a time; false when it passed a byte that
    /// is not ASCII.
    private mutating func skipPlainText() -> Bool {
        var seen: UInt64 = 0
        while position + 8 <= bytes.count {
            let word = UInt64(
                littleEndian: UnsafeRawPointer(bytes.baseAddress.unsafelyUnwrapped + position)
                    .loadUnaligned(as: UInt64.self))
            let stops =
                Self.zeroBytes(word ^ Self.quotes) | Self.zeroBytes(word ^ Self.backslashes)
                | (word &- Self.blanks) & ~word & Self.highBits
            guard stops == 0 else {
                let count = stops.trailingZeroBitCount / 8
                seen |= word & ((1 << UInt64(count * 8)) - 1)
                position += count
                return seen & Self.highBits == 0
            }
            seen |= word
            position += 8
        }
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
            seen |= UInt64(byte)
            position += 1
        }
        return seen & Self.highBits == 0
    }

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highBits: UInt64 = 0x8080_8080_8080_8080
    private static let quotes: UInt64 = 0x2222_2222_2222_2222
    private static let backslashes: UInt64 = 0x5C5C_5C5C_5C5C_5C5C
    private static let blanks: UInt64 = 0x2020_2020_2020_2020

    /// The high bit of every byte that is zero; bytes above the lowest such one may be marked wrongly.
    private static func zeroBytes(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & highBits }

    private mutating func escape() throws(JSONError) {
        position += 1
        guard position < bytes.count else { throw syntax("a string without an end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return
        case UInt8(ascii: "u"):
            guard position + 4 <= bytes.count else { throw syntax("a short \\u escape") }
            for _ in 0..<4 {
                guard hexadecimalDigit(bytes[position]) != nil else { throw syntax("a wrong digit in a \\u escape") }
                position += 1
            }
        default: throw syntax("an unknown escape in a string")
        }
    }

    private func checkUTF8(from start: Int) throws(JSONError) {
        let text = UnsafeBufferPointer(rebasing: bytes[start..<position])
        guard (try? UTF8Span(validating: text.span)) != nil else {  // The error says no more than where.
            throw JSONError(code: .invalidUTF8, message: "a string that is not UTF-8", offset: start)
        }
    }

    // MARK: Numbers and words

    private mutating func number() throws(JSONError) {
        let start = position
        _ = consume(UInt8(ascii: "-"))
        let integerStart = position
        let integerDigits = skipDigits()
        guard integerDigits > 0 else { throw syntax("expected a JSON value") }
        guard integerDigits == 1 || bytes[integerStart] != UInt8(ascii: "0") else {
            throw syntax("a number with a leading zero")
        }
        if consume(UInt8(ascii: ".")) {
            guard skipDigits() > 0 else { throw syntax("expected a digit after '.'") }
        }
        var hasExponent = false
        if consume(UInt8(ascii: "e")) || consume(UInt8(ascii: "E")) {
            hasExponent = true
            if !consume(UInt8(ascii: "+")) { _ = consume(UInt8(ascii: "-")) }
            guard skipDigits() > 0 else { throw syntax("expected a digit in the exponent") }
        }
        // Only these can be beyond a Double.
        if hasExponent || integerDigits > 300 {
            let number = JSONNumber(UnsafeBufferPointer(rebasing: bytes[start..<position]))
            guard number != nil else { throw syntax("a number out of range") }
        }
        add(from: start, extent: position - start)
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while position < bytes.count, bytes[position] >= UInt8(ascii: "0"), bytes[position] <= UInt8(ascii: "9") {
            position += 1
        }
        return position - start
    }

    private mutating func literal(_ text: StaticString) throws(JSONError) {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count else { throw syntax("expected a JSON value") }
        for index in 0..<count where bytes[position + index] != text.utf8Start[index] {
            throw syntax("expected a JSON value")
        }
        add(from: position, extent: count)
        position += count
    }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private mutating func consume(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private func syntax(_ message: String) -> JSONError {
        JSONError(code: .syntax, message: message, offset: position)
    }
}

/// The value of a hexadecimal digit; nil for any other byte.
func hexadecimalDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
}
