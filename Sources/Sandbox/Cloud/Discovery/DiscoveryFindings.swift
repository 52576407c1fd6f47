internal import Encoding

/// Collects what is wrong with one request, by walking it along a discovery document.
struct DiscoveryFindings {
    /// More is cut off.
    private static let limit = 20

    let document: DiscoveryDocument
    let method: DiscoveryMethod
    private(set) var sentences: [String] = []

    init(document: DiscoveryDocument, method: DiscoveryMethod) {
        self.document = document
        self.method = method
    }

    private mutating func add(_ sentence: String) {
        if sentences.count < Self.limit { sentences.append(sentence) }
    }

    // MARK: Query

    mutating func check(query: [(name: String, value: String)]) {
        var counts: [String: Int] = [:]
        for (name, value) in query {
            counts[name, default: 0] += 1
            guard let parameter = method.query[name] ?? document.parameters[name] else {
                add("unknown query parameter \(name)\(hint(name, method.query))")
                continue
            }
            check(parameter, text: value, at: "query parameter \(name)")
            if parameter.isDeprecated { add("deprecated query parameter \(name)") }
            if counts[name] == 2, !parameter.isRepeated { add("query parameter \(name) comes twice") }
        }
        for (name, parameter) in method.query.sorted(by: { $0.key < $1.key })
        where parameter.isRequiredInQuery && counts[name] == nil {
            if !DiscoveryExceptions.notEnforcedQuery.contains("\(document.name)/\(name)") {
                add("missing query parameter \(name)")
            }
        }
    }

    private mutating func check(_ parameter: DiscoveryProperty, text: String, at place: String) {
        switch parameter.kind {
        case .boolean:
            if text != "true" && text != "false" { add("\(place) is no boolean: \(Self.short(text))") }
        case .integer:
            if Int64(text).map({ DiscoveryFormats.holds($0, format: parameter.format) }) != true {
                add("\(place) is no integer: \(Self.short(text))")
            }
        case .number:
            if Double(text) == nil { add("\(place) is no number: \(Self.short(text))") }
        default:
            check(words: parameter.words, text, at: place)
            check(format: parameter.format == "byte" ? nil : parameter.format, text, at: place)
        }
    }

    // MARK: Body

    mutating func check(body: JSONValue?) {
        guard let request = method.request else {
            if let body, body != [:] { add("a body is sent, and the method takes none") }
            return
        }
        check(body ?? [:], message: request, at: "")
    }

    private mutating func check(_ value: JSONValue, message: String, at place: String) {
        guard let schema = document.schemas[message] else {
            add("\(place) has a schema \(message) that the document does not hold")
            return
        }
        if !schema.isAny { check(value, schema, name: message, at: place) }
    }

    private mutating func check(_ value: JSONValue, _ object: DiscoveryObject, name: String, at place: String) {
        guard let members = value.objectValue else { return add("\(title(place)) is no object") }
        for (key, member) in members.sorted(by: { $0.key < $1.key }) {
            let here = place.isEmpty ? key : "\(place).\(key)"
            guard let property = object.properties[key] else {
                if let element = object.additional.first {
                    check(member, element, schema: name, key: "*", at: here)
                } else {
                    add("unknown field \(here)\(hint(key, object.properties))")
                }
                continue
            }
            if property.isOutputOnly || DiscoveryExceptions.outputOnly.contains("\(document.name)/\(name).\(key)") {
                add("output-only field \(here)")
            }
            if property.isDeprecated { add("deprecated field \(here)") }
            check(member, property, schema: name, key: key, at: here)
        }
        checkRequired(object, members, name: name, at: place)
    }

    private mutating func checkRequired(
        _ object: DiscoveryObject, _ members: [String: JSONValue], name: String, at place: String
    ) {
        // Patches say with a mask, or by leaving out, what stays.
        if method.verb == "PATCH", place.isEmpty { return }
        for (key, property) in object.properties.sorted(by: { $0.key < $1.key })
        where members[key] == nil && !property.isOutputOnly {
            guard property.isRequired || property.requiredBy.contains(method.id),
                !DiscoveryExceptions.notEnforced.contains("\(document.name)/\(name).\(key)")
            else { continue }
            add("missing field \(place.isEmpty ? key : "\(place).\(key)")")
        }
    }

    private mutating func check(
        _ value: JSONValue, _ property: DiscoveryProperty, schema: String, key: String, at place: String
    ) {
        if value.isNull { return }
        switch property.kind {
        case .any: return
        case .reference(let name): check(value, message: name, at: place)
        case .object(let object): check(value, object, name: "\(schema).\(key)", at: place)
        case .list(let element):
            guard let items = value.arrayValue else { return add("\(place) is no list") }
            for (index, item) in items.enumerated() {
                check(item, element, schema: schema, key: key, at: "\(place)[\(index)]")
            }
        case .boolean:
            if value.boolValue == nil { add("\(place) is no boolean") }
        case .integer:
            let number = value.integerValue ?? value.stringValue.flatMap { Int64($0) }
            if number.map({ DiscoveryFormats.holds($0, format: property.format) }) != true {
                add("\(place) is no \(property.format ?? "integer")")
            }
        case .number:
            if value.doubleValue == nil { add("\(place) is no number") }
        case .string:
            checkString(value, property, at: place, isOpen: isOpen(schema, key))
        }
    }

    private mutating func checkString(
        _ value: JSONValue, _ property: DiscoveryProperty, at place: String, isOpen: Bool
    ) {
        if let number = value.integerValue, property.format == "int64" || property.format == "uint64" {
            if !DiscoveryFormats.holds(number, format: property.format) { add("\(place) is negative") }
            return
        }
        guard let text = value.stringValue else { return add("\(place) is no string") }
        if !isOpen { check(words: property.words, text, at: place) }
        check(format: property.format, text, at: place)
    }

    private func isOpen(_ schema: String, _ key: String) -> Bool {
        DiscoveryExceptions.openWords.contains("\(document.name)/\(schema).\(key)")
    }

    // MARK: Scalars

    private mutating func check(words: Set<String>, _ text: String, at place: String) {
        if !words.isEmpty, !words.contains(text) {
            add("\(place) is \(Self.short(text)), which is none of \(words.sorted().prefix(8).joined(separator: ", "))")
        }
    }

    private mutating func check(format: String?, _ text: String, at place: String) {
        guard let format, let wanted = DiscoveryFormats.fault(text, format: format) else { return }
        add("\(place) is \(Self.short(text)), which is not \(wanted)")
    }

    private static func short(_ text: String) -> String { "\"\(text.prefix(40))\"" }

    private func title(_ place: String) -> String { place.isEmpty ? "the body" : place }

    /// The name that was meant: services take `node_pool` too, and one spelling is enough.
    private func hint(_ name: String, _ known: [String: DiscoveryProperty]) -> String {
        let parts = name.split(separator: "_")
        let camel = parts.prefix(1) + parts.dropFirst().map { $0.prefix(1).uppercased()[...] + $0.dropFirst() }
        let joined = camel.joined()
        return joined != name && known[joined] != nil ? " (it is \(joined))" : ""
    }
}
