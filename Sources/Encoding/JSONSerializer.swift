extension JSONValue {
    /// The JSON text with sorted keys and no white space: equal values give equal bytes, so that it can be hashed.
    public func serialized() -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(256)
        write(into: &output, indent: nil, level: 0)
        return output
    }

    /// The text of `serialized()`.
    public func serializedText() -> String { String(decoding: serialized(), as: UTF8.self) }

    /// The JSON text with sorted keys, two spaces a level and a final newline, for files that people read.
    public func prettyPrinted() -> String {
        var output: [UInt8] = []
        write(into: &output, indent: 2, level: 0)
        output.append(0x0A)
        return String(decoding: output, as: UTF8.self)
    }

    private func write(into output: inout [UInt8], indent: Int?, level: Int) {
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): output.append(contentsOf: value.description.utf8)
        case .number(let value): JSONValue.write(value, into: &output)
        case .string(let value): JSONValue.write(value, into: &output)
        case .array(let elements):
            JSONValue.writeList(
                elements, open: "[", close: "]", into: &output, indent: indent, level: level
            ) { element, output in
                element.write(into: &output, indent: indent, level: level + 1)
            }
        case .object(let members):
            JSONValue.writeList(
                members.sorted { $0.key < $1.key }, open: "{", close: "}", into: &output, indent: indent, level: level
            ) { member, output in
                JSONValue.write(member.key, into: &output)
                output.append(UInt8(ascii: ":"))
                if indent != nil { output.append(0x20) }
                member.value.write(into: &output, indent: indent, level: level + 1)
            }
        }
    }

    private static func writeList<Element>(
        _ elements: [Element], open: Unicode.Scalar, close: Unicode.Scalar, into output: inout [UInt8], indent: Int?,
        level: Int, write: (Element, inout [UInt8]) -> Void
    ) {
        output.append(UInt8(ascii: open))
        for (index, element) in elements.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            newline(into: &output, indent: indent, level: level + 1)
            write(element, &output)
        }
        if !elements.isEmpty { newline(into: &output, indent: indent, level: level) }
        output.append(UInt8(ascii: close))
    }

    private static func newline(into output: inout [UInt8], indent: Int?, level: Int) {
        guard let indent else { return }
        output.append(0x0A)
        output.append(contentsOf: repeatElement(0x20, count: indent * level))
    }

    /// JSON has no NaN and no infinities: they are written as null.
    private static func write(_ value: Double, into output: inout [UInt8]) {
        guard value.isFinite else {
            output.append(contentsOf: "null".utf8)
            return
        }
        if let integer = Int64(exactly: value), abs(value) < 1e15, !(integer == 0 && value.sign == .minus) {
            output.append(contentsOf: integer.description.utf8)
        } else {
            output.append(contentsOf: value.description.utf8)
        }
    }

    private static func write(_ text: String, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): output.append(contentsOf: "\\\"".utf8)
            case UInt8(ascii: "\\"): output.append(contentsOf: "\\\\".utf8)
            case 0x0A: output.append(contentsOf: "\\n".utf8)
            case 0x0D: output.append(contentsOf: "\\r".utf8)
            case 0x09: output.append(contentsOf: "\\t".utf8)
            case 0..<0x20:
                output.append(contentsOf: "\\u00".utf8)
                output.append(hexDigit(byte >> 4))
                output.append(hexDigit(byte & 0xF))
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private static func hexDigit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
    }
}
