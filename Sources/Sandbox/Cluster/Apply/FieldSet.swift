import Encoding

/// One step of a field's path.
enum PathElement: Hashable, Sendable {
    case field(String)
    /// An element of a map list, by its keys.
    case key(JSONValue)
    /// An element of a set.
    case value(JSONValue)

    /// As `fieldsV1` writes it.
    var text: String {
        switch self {
        case .field(let name): "f:" + name
        case .key(let keys): "k:" + keys.serializedText()
        case .value(let value): "v:" + value.serializedText()
        }
    }

    init?(_ text: String) {
        let rest = String(text.dropFirst(2))
        if text.hasPrefix("f:") {
            self = .field(rest)
            return
        }
        // A key or value that is no JSON cannot have come from us: it names nothing.
        guard let value = try? JSONValue(parsing: rest) else { return nil }
        switch text.prefix(2) {
        case "k:": self = .key(value)
        case "v:": self = .value(value)
        default: return nil
        }
    }

    /// As messages write it.
    var shown: String {
        switch self {
        case .field(let name): ".\(name)"
        case .key(let keys):
            "["
                + (keys.objectValue ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.serializedText())" }
                .joined(separator: ",") + "]"
        case .value(let value): "[=\(value.serializedText())]"
        }
    }
}

/// A set of field paths (`fieldsV1`): which fields a manager owns.
struct FieldSet: Hashable, Sendable {
    /// Paths that end here.
    var members: Set<PathElement> = []
    /// Paths that go on.
    var children: [PathElement: FieldSet] = [:]

    var isEmpty: Bool { members.isEmpty && children.isEmpty }

    func child(_ element: PathElement) -> FieldSet { children[element] ?? FieldSet() }

    mutating func setChild(_ element: PathElement, _ set: FieldSet) {
        children[element] = set.isEmpty ? nil : set
    }

    func union(_ other: FieldSet) -> FieldSet {
        var result = self
        result.members.formUnion(other.members)
        for (element, set) in other.children { result.children[element] = child(element).union(set) }
        return result
    }

    func subtracting(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(members: members.subtracting(other.members))
        for (element, set) in children { result.setChild(element, set.subtracting(other.child(element))) }
        return result
    }

    /// Without these fields and all below them.
    func removing(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(members: members.subtracting(other.members))
        for (element, set) in children where !other.members.contains(element) {
            result.setChild(element, set.removing(other.child(element)))
        }
        return result
    }

    func intersection(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(members: members.intersection(other.members))
        for (element, set) in children {
            guard let counterpart = other.children[element] else { continue }
            result.setChild(element, set.intersection(counterpart))
        }
        return result
    }

    /// Every path as messages write it, sorted.
    var shownPaths: [String] { paths(prefix: "").sorted() }

    private func paths(prefix: String) -> [String] {
        members.map { prefix + $0.shown }
            + children.flatMap { element, set in set.paths(prefix: prefix + element.shown) }
    }

    // MARK: fieldsV1

    var json: JSONValue {
        var object: [String: JSONValue] = [:]
        for member in members { object[member.text] = .object([:]) }
        for (element, set) in children {
            var value = set.json
            if members.contains(element) { value["."] = .object([:]) }
            object[element.text] = value
        }
        return .object(object)
    }

    init() {}

    init(members: Set<PathElement>) { self.members = members }

    init(_ json: JSONValue) {
        for (key, value) in json.objectValue ?? [:] where key != "." {
            guard let element = PathElement(key) else { continue }
            let set = FieldSet(value)
            if set.isEmpty || value["."] != nil { members.insert(element) }
            setChild(element, set)
        }
    }
}
