/// A JSON number: exact where it is an integer of 64 bits.
enum JSONNumber {
    case integer(Int64)
    case number(Double)

    /// Reads a text that has a number's form; nil when it is beyond a Double.
    init?(_ text: UnsafeBufferPointer<UInt8>) {
        if let integer = JSONNumber.integer(text) {
            self = .integer(integer)
            return
        }
        guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else { return nil }
        self = .number(value)
    }

    private static func integer(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        let isNegative = text.first == UInt8(ascii: "-")
        var value: Int64 = 0
        for byte in isNegative ? text.dropFirst() : text[...] {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte - UInt8(ascii: "0"))
            let (sum, carry) =
                isNegative
                ? tens.subtractingReportingOverflow(digit) : tens.addingReportingOverflow(digit)
            if overflow || carry { return nil }
            value = sum
        }
        return value
    }
}

extension String {
    /// The text of a checked JSON string, given its bytes between the quotes.
    init(json raw: UnsafeBufferPointer<UInt8>, hasEscapes: Bool) {
        guard hasEscapes else {
            self.init(decoding: raw, as: UTF8.self)
            return
        }
        // No escape is shorter than what it stands for.
        self.init(unsafeUninitializedCapacity: raw.count) { output in
            var writer = Unescaper(raw: raw, output: output)
            return writer.run()
        }
    }
}

/// Replaces the escapes of a checked string.
private struct Unescaper {
    let raw: UnsafeBufferPointer<UInt8>
    let output: UnsafeMutableBufferPointer<UInt8>
    private var position = 0
    private var count = 0

    init(raw: UnsafeBufferPointer<UInt8>, output: UnsafeMutableBufferPointer<UInt8>) {
        self.raw = raw
        self.output = output
    }

    mutating func run() -> Int {
        while position < raw.count {
            let byte = raw[position]
            position += 1
            if byte == UInt8(ascii: "\\") { escape() } else { put(byte) }
        }
        return count
    }

    private mutating func put(_ byte: UInt8) {
        output[count] = byte
        count += 1
    }

    private mutating func escape() {
        let byte = raw[position]
        position += 1
        switch byte {
        case UInt8(ascii: "b"): put(0x08)
        case UInt8(ascii: "f"): put(0x0C)
        case UInt8(ascii: "n"): put(0x0A)
        case UInt8(ascii: "r"): put(0x0D)
        case UInt8(ascii: "t"): put(0x09)
        case UInt8(ascii: "u"): for byte in UTF8.encode(scalar()) ?? UTF8.encodedReplacementCharacter { put(byte) }
        default: put(byte)
        }
    }

    /// The scalar of `\uXXXX`, surrogate pairs joined; a lone surrogate reads as U+FFFD, as Go's decoder does.
    private mutating func scalar() -> Unicode.Scalar {
        let replacement: Unicode.Scalar = "\u{FFFD}"
        let first = hexadecimal4()
        if !(0xD800..<0xE000).contains(first) { return Unicode.Scalar(first) ?? replacement }
        guard first < 0xDC00, position + 6 <= raw.count, raw[position] == UInt8(ascii: "\\"),
            raw[position + 1] == UInt8(ascii: "u")
        else { return replacement }
        let mark = position
        position += 2
        let second = hexadecimal4()
        guard (0xDC00..<0xE000).contains(second) else {
            position = mark
            return replacement
        }
        return Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) ?? replacement
    }

    private mutating func hexadecimal4() -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            value = value << 4 | (hexadecimalDigit(raw[position]) ?? 0)
            position += 1
        }
        return value
    }
}
