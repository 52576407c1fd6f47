import Encoding

/// JSON as the golden files have it: keys sorted, two spaces, what is short on one line.
enum PrettyJSON {
    private static let width = 108

    static func text(_ value: JSONValue, indent: Int = 0) -> String {
        let short = line(value)
        if short.count + indent <= width { return short }
        let space = String(repeating: " ", count: indent + 2)
        let end = "\n" + String(repeating: " ", count: indent)
        switch value {
        case .object(let members):
            let parts = members.sorted { $0.key < $1.key }.map {
                "\(space)\(JSONValue.string($0.key).serializedText()): \(text($0.value, indent: indent + 2))"
            }
            return "{\n" + parts.joined(separator: ",\n") + end + "}"
        case .array(let elements):
            let parts = elements.map { space + text($0, indent: indent + 2) }
            return "[\n" + parts.joined(separator: ",\n") + end + "]"
        default: return short
        }
    }

    private static func line(_ value: JSONValue) -> String {
        switch value {
        case .object(let members):
            let parts = members.sorted { $0.key < $1.key }.map {
                "\(JSONValue.string($0.key).serializedText()): \(line($0.value))"
            }
            return parts.isEmpty ? "{}" : "{" + parts.joined(separator: ", ") + "}"
        case .array(let elements): return "[" + elements.map(line).joined(separator: ", ") + "]"
        default: return value.serializedText()
        }
    }
}
