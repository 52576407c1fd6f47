/// Elements in the order of their coming, each once; adding, taking and removing cost the same whatever their number.
struct OrderedKeys<Element: Hashable & Sendable>: Sendable {
    private struct Links: Sendable {
        var previous: Element?
        var next: Element?
    }

    private var links: [Element: Links] = [:]
    private(set) var first: Element?
    private var last: Element?

    var isEmpty: Bool { first == nil }

    /// Adds an element at the end; one that is there stays where it is.
    mutating func append(_ element: Element) {
        guard links[element] == nil else { return }
        links[element] = Links(previous: last, next: nil)
        if let last { links[last]?.next = element } else { first = element }
        last = element
    }

    mutating func remove(_ element: Element) {
        guard let links = links.removeValue(forKey: element) else { return }
        if let previous = links.previous { self.links[previous]?.next = links.next } else { first = links.next }
        if let next = links.next { self.links[next]?.previous = links.previous } else { last = links.previous }
    }

    /// Takes the first element out.
    mutating func popFirst() -> Element? {
        guard let first else { return nil }
        remove(first)
        return first
    }

    /// The element behind another one.
    func element(after element: Element) -> Element? { links[element]?.next }
}
