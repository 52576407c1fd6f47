internal import Encoding

/// The messages of an API and how a request body is checked against them, as Google's front end (ESF) does: unknown
/// fields, wrong types and unknown enum words are refused. Stricter than the service in one thing: fields that are
/// output only are refused too.
struct BodySchema: Sendable {
    indirect enum FieldType: Sendable {
        case string, int32, int64, bool, number, duration, date, any
        case enumeration([String])
        case list(FieldType)
        case map(FieldType)
        case message(String)
        case outputOnly
    }

    /// One thing that is wrong with a body.
    struct Violation: Equatable {
        /// In snake case, as the service names it: `node_pool.config`; empty at the top.
        var path: String
        var description: String
    }

    private let messages: [String: [String: FieldType]]

    /// Reads the text form that `ContainerSchema` describes.
    init(_ text: String) {
        var messages: [String: [String: FieldType]] = [:]
        var current = ""
        for line in text.split(separator: "\n") {
            var words = line.split(separator: " ")
            if !line.hasPrefix(" "), !words.isEmpty {
                current = String(words.removeFirst())
                messages[current] = [:]
            }
            for word in words {
                guard let colon = word.firstIndex(of: ":") else { continue }
                messages[current]?[String(word[..<colon])] = FieldType(word[word.index(after: colon)...])
            }
        }
        self.messages = messages
    }

    /// All that is wrong with a body of this message, in order of path.
    func violations(in body: JSONValue, message: String) -> [Violation] {
        var found: [Violation] = []
        check(body, message: message, at: "", &found)
        return found.sorted { ($0.path, $0.description) < ($1.path, $1.description) }
    }

    private func check(_ value: JSONValue, message: String, at path: String, _ found: inout [Violation]) {
        guard let fields = messages[message] else { return }
        guard case .object(let members) = value else {
            found.append(Violation(path: path, description: "Starting an object on a scalar field"))
            return
        }
        for (name, member) in members {
            guard let type = fields[name] else {
                let place = path.isEmpty ? "" : " at '\(path)'"
                found.append(
                    Violation(
                        path: path,
                        description:
                            "Invalid JSON payload received. Unknown name \"\(name)\"\(place): Cannot find field."))
                continue
            }
            let field = path.isEmpty ? BodySchema.snakeCase(name) : "\(path).\(BodySchema.snakeCase(name))"
            check(member, type, at: field, &found)
        }
    }

    private func check(_ value: JSONValue, _ type: FieldType, at path: String, _ found: inout [Violation]) {
        if value.isNull { return }
        switch type {
        case .any: break
        case .message(let name): check(value, message: name, at: path, &found)
        case .outputOnly:
            found.append(Violation(path: path, description: "'\(path)' is output only"))
        case .list(let element):
            guard case .array(let elements) = value else { return found.append(.wrongType(path, "a list", value)) }
            for (index, item) in elements.enumerated() { check(item, element, at: "\(path)[\(index)]", &found) }
        case .map(let element):
            guard case .object(let members) = value else { return found.append(.wrongType(path, "a map", value)) }
            for (key, item) in members { check(item, element, at: "\(path)[\(key)]", &found) }
        default:
            if !type.accepts(value) { found.append(.wrongType(path, type.name, value)) }
        }
    }

    /// `nodePool` → `node_pool`.
    private static func snakeCase(_ name: String) -> String {
        name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : String($1) }
    }
}

extension BodySchema.Violation {
    fileprivate static func wrongType(_ path: String, _ wanted: String, _ value: JSONValue) -> BodySchema.Violation {
        BodySchema.Violation(
            path: path,
            description: "Invalid value at '\(path)' (\(wanted)), \(value.serializedText().prefix(60))")
    }
}

extension BodySchema.FieldType {
    init(_ text: Substring) {
        switch text.first {
        case "[": self = .list(BodySchema.FieldType(text.dropFirst().dropLast()))
        case "{": self = .map(BodySchema.FieldType(text.dropFirst().dropLast()))
        case "(": self = .enumeration(text.dropFirst().dropLast().split(separator: "|").map(String.init))
        default:
            switch text {
            case "string": self = .string
            case "int32": self = .int32
            case "int64": self = .int64
            case "bool": self = .bool
            case "number": self = .number
            case "duration": self = .duration
            case "date": self = .date
            case "any": self = .any
            case "-": self = .outputOnly
            default: self = .message(String(text))
            }
        }
    }

    fileprivate var name: String {
        switch self {
        case .string: "TYPE_STRING"
        case .int32: "TYPE_INT32"
        case .int64: "TYPE_INT64"
        case .bool: "TYPE_BOOL"
        case .number: "TYPE_DOUBLE"
        case .duration: "type.googleapis.com/google.protobuf.Duration"
        case .date: "date"
        case .enumeration: "TYPE_ENUM"
        case .any, .list, .map, .message, .outputOnly: "TYPE_MESSAGE"
        }
    }

    /// Scalars only.
    fileprivate func accepts(_ value: JSONValue) -> Bool {
        switch self {
        case .string: value.stringValue != nil
        case .bool: value.boolValue != nil
        case .number: value.doubleValue != nil
        case .int32: integer(value).map { Int32(exactly: $0) != nil } ?? false
        case .int64: integer(value) != nil
        case .duration: value.stringValue.map(Self.isDuration) ?? false
        case .date: value.stringValue.map { $0.utf8.count == 10 && Timestamp($0 + "T00:00:00Z") != nil } ?? false
        case .enumeration(let words): value.stringValue.map(words.contains) ?? false
        case .any, .list, .map, .message, .outputOnly: true
        }
    }

    /// Numbers and decimal strings are both taken.
    private func integer(_ value: JSONValue) -> Int64? {
        value.integerValue ?? value.stringValue.flatMap { Int64($0) }
    }

    /// `3600s`, `1.5s`.
    private static func isDuration(_ text: String) -> Bool {
        guard text.hasSuffix("s") else { return false }
        let parts = text.dropLast().split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, Int64(whole) != nil else { return false }
        return parts.count == 1 || ((1...9).contains(parts[1].count) && Int64(parts[1]) != nil && parts[1].first != "-")
    }
}
