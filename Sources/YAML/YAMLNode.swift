public import Encoding

/// A YAML value with its place in the text.
public struct YAMLNode: Sendable, Hashable {
    /// What it is.
    public indirect enum Content: Sendable, Hashable {
        /// Its text, and the value that the text stands for (`yes` is true, `"yes"` a string).
        case scalar(String, JSONValue)
        case sequence([YAMLNode])
        /// In the text's order; keys are unique.
        case mapping([Entry])
    }

    /// A member of a mapping.
    public struct Entry: Sendable, Hashable {
        /// The key as JSON has it.
        public var name: String
        public var key: YAMLNode
        public var value: YAMLNode

        public init(name: String, key: YAMLNode, value: YAMLNode) {
            self.name = name
            self.key = key
            self.value = value
        }
    }

    public var content: Content
    /// From 1.
    public var line: Int
    /// From 1, in characters.
    public var column: Int

    public init(content: Content, line: Int, column: Int) {
        self.content = content
        self.line = line
        self.column = column
    }

    /// The value without places.
    public var json: JSONValue {
        switch content {
        case .scalar(_, let value): value
        case .sequence(let elements): .array(elements.map(\.json))
        case .mapping(let entries): .object(Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.value.json) }))
        }
    }

    /// The member of a mapping; nil when absent or no mapping.
    public subscript(name: String) -> YAMLNode? { entry(name)?.value }

    /// The element of a sequence; nil when out of range or no sequence.
    public subscript(index: Int) -> YAMLNode? {
        guard case .sequence(let elements) = content, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// The member with its key, whose place is where an unknown field stands.
    public func entry(_ name: String) -> Entry? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.name == name }
    }

    /// The deepest node on a path of member names and decimal indices, for the line of an error that names a field.
    public func deepest(on path: [String]) -> YAMLNode {
        var node = self
        for name in path {
            guard let next = node[name] ?? Int(name).flatMap({ node[$0] }) else { return node }
            node = next
        }
        return node
    }
}
