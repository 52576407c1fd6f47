public import Encoding

/// Writes JSON values as YAML: block style, two spaces, sorted keys, strings quoted where they would read as something
/// else.
public enum YAMLWriter {
    /// One document, with a final newline.
    public static func text(_ value: JSONValue) -> String {
        var output = ""
        write(value, into: &output, indent: 0, isInline: false)
        return output
    }

    private static func write(_ value: JSONValue, into output: inout String, indent: Int, isInline: Bool) {
        switch value {
        case .object(let members) where !members.isEmpty:
            var isFirst = true
            for (key, member) in members.sorted(by: { $0.key < $1.key }) {
                if !(isInline && isFirst) { output += spaces(indent) }
                isFirst = false
                output += scalar(key) + ":"
                child(member, into: &output, indent: indent)
            }
        case .array(let elements) where !elements.isEmpty:
            for (index, element) in elements.enumerated() {
                if !(isInline && index == 0) { output += spaces(indent) }
                output += "- "
                write(element, into: &output, indent: indent + 2, isInline: true)
            }
        default: output += scalar(value) + "\n"
        }
    }

    private static func child(_ value: JSONValue, into output: inout String, indent: Int) {
        switch value {
        case .object(let members) where !members.isEmpty:
            output += "\n"
            write(value, into: &output, indent: indent + 2, isInline: false)
        case .array(let elements) where !elements.isEmpty:
            output += "\n"
            write(value, into: &output, indent: indent, isInline: false)
        default: output += " " + scalar(value) + "\n"
        }
    }

    private static func scalar(_ value: JSONValue) -> String {
        if case .string(let text) = value { return scalar(text) }
        return value.serializedText()  // Numbers, booleans, null, [] and {} are written as in JSON.
    }

    /// JSON's quoted form is YAML's too.
    private static func scalar(_ text: String) -> String {
        isPlain(text) ? text : JSONValue.string(text).serializedText()
    }

    private static func isPlain(_ text: String) -> Bool {
        guard case .string = YAMLScalar.plain(text), let first = text.utf8.first, let last = text.utf8.last else {
            return false
        }
        let isSafe = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || " ./_-:=+,()@$".utf8.contains(byte)
        }
        // A digit first may be a time or a number to other readers.
        let startsSafely = (0x41...0x5A).contains(first) || (0x61...0x7A).contains(first) || first == UInt8(ascii: "/")
        return isSafe && startsSafely && last != 0x20 && last != UInt8(ascii: ":") && !text.contains(": ")
            && text != "<<"
    }

    private static func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }
}
