import Encoding

/// Objects by their names, whose names are kept in order: lists are read far more often than names come and go.
struct NamedObjects: Sendable {
    private var objects: [String: JSONValue] = [:]
    private(set) var names: [String] = []

    var isEmpty: Bool { names.isEmpty }

    /// All objects, sorted by name.
    var values: [JSONValue] { names.compactMap { objects[$0] } }

    subscript(name: String) -> JSONValue? {
        get { objects[name] }
        set {
            let isThere = objects[name] != nil
            objects[name] = newValue
            guard isThere != (newValue != nil) else { return }
            let place = place(of: name)
            if isThere { names.remove(at: place) } else { names.insert(name, at: place) }
        }
    }

    mutating func rewrite(_ change: (JSONValue) -> JSONValue) { objects = objects.mapValues(change) }

    /// Where a name is, or would be.
    private func place(of name: String) -> Int {
        var (low, high) = (0, names.count)
        while low < high {
            let middle = (low + high) / 2
            if names[middle] < name { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
