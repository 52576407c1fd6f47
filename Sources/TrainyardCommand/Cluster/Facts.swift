import Encoding

/// An object's members as text for people; what is absent or empty is nil.
struct Facts {
    let value: JSONValue

    init(_ value: JSONValue?) { self.value = value ?? .null }

    func text(_ path: String...) -> String? {
        switch value.value(at: path) {
        case .string(let text): text.isEmpty ? nil : Format.line(text, limit: 1024)
        case .integer(let number): String(number)
        case .bool(let flag): flag ? "true" : "false"
        default: nil
        }
    }

    func number(_ path: String...) -> Int? {
        guard case .integer(let number)? = value.value(at: path) else { return nil }
        return Int(number)
    }

    func list(_ path: String...) -> [Facts] { (value.value(at: path)?.arrayValue ?? []).map(Facts.init) }

    func facts(_ path: String...) -> Facts { Facts(value.value(at: path)) }

    func time(_ path: String...) -> Timestamp? { value.value(at: path)?.stringValue.flatMap { Timestamp($0) } }

    func condition(_ type: String) -> Facts? { list("status", "conditions").first { $0.text("type") == type } }
}
