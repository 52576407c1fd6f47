/// A JSON text that was checked as a whole, but whose values are made only when somebody asks for them: what a type does
/// not declare costs a few nanoseconds and no memory.
public final class JSONText: Sendable {
    let bytes: [UInt8]
    let nodes: [JSONNode]

    /// Checks a text (RFC 8259), as strictly as `JSONValue(parsing:)`.
    ///
    /// - Throws: `.syntax`, `.tooDeep` or `.invalidUTF8` with the byte offset.
    public init(parsing bytes: [UInt8]) throws(JSONError) {
        self.bytes = bytes
        nodes = try bytes.withUnsafeBufferPointer { buffer in
            Result { () throws(JSONError) in try JSONIndexer.index(buffer) }
        }.get()
    }

    /// A value as an indexed text.
    public init(indexing value: JSONValue) {
        var writer = JSONIndexWriter()
        writer.write(value)
        bytes = writer.bytes
        nodes = writer.nodes
    }

    /// The whole value.
    public var root: JSONElement { JSONElement(text: self, index: 0) }
}

/// One value in a `JSONText`, which it keeps alive: copy out what is to stay.
public struct JSONElement: Sendable {
    let text: JSONText
    let index: Int

    /// Calls `body` with the same place as pointers, which are good until it returns.
    func withCursor<Result>(_ body: (JSONCursor) throws -> Result) rethrows -> Result {
        try text.bytes.withUnsafeBufferPointer { bytes in
            try text.nodes.withUnsafeBufferPointer { nodes in
                try body(JSONCursor(bytes: bytes, nodes: nodes, index: index))
            }
        }
    }

    /// Whether the value is `null`.
    public var isNull: Bool { withCursor { $0.isNull } }

    /// The text of a string value, else nil.
    public var stringValue: String? { withCursor { $0.stringValue } }

    /// The truth of a boolean value, else nil.
    public var boolValue: Bool? { withCursor { $0.boolValue } }

    /// An integer value, or a number without a fraction that fits 64 bits, else nil.
    public var integerValue: Int64? { withCursor { $0.integerValue } }

    /// Any number as a Double, else nil.
    public var doubleValue: Double? { withCursor { $0.doubleValue } }

    /// The member `key` of an object, the last one where it is repeated; nil when absent or when the value is no object.
    /// Keys compare byte by byte.
    public subscript(key: String) -> JSONElement? {
        withCursor { $0.member(key)?.index }.map { JSONElement(text: text, index: $0) }
    }

    /// The value at a path of object members; nil when any of them is absent.
    public func value(at path: [String]) -> JSONElement? {
        var current = self
        for key in path {
            guard let next = current[key] else { return nil }
            current = next
        }
        return current
    }

    /// The elements of an array, else nil.
    public var elements: [JSONElement]? {
        withCursor { cursor in
            cursor.isArray ? cursor.children.map { JSONElement(text: text, index: $0.index) } : nil
        }
    }

    /// The value made.
    public var value: JSONValue { withCursor { $0.value } }
}

extension JSONElement: Equatable {
    /// Whether the values are equal, wherever they come from.
    public static func == (left: JSONElement, right: JSONElement) -> Bool { left.value == right.value }
}

/// Writes a value and its index at once.
private struct JSONIndexWriter {
    private(set) var bytes: [UInt8] = []
    private(set) var nodes: [JSONNode] = []

    mutating func write(_ value: JSONValue) {
        let node = nodes.count
        let start = bytes.count
        nodes.append(JSONNode(offset: UInt32(truncatingIfNeeded: start), extent: 0))
        switch value {
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for element in elements { write(element) }
            nodes[node].extent = UInt32(truncatingIfNeeded: nodes.count)
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (key, value) in members {
                write(.string(key))
                write(value)
            }
            nodes[node].extent = UInt32(truncatingIfNeeded: nodes.count)
        case .string(let text):
            // As it is: nobody reads these bytes as a text again, so that nothing must be escaped.
            bytes.append(UInt8(ascii: "\""))
            bytes.append(contentsOf: text.utf8)
            nodes[node].extent = UInt32(truncatingIfNeeded: bytes.count - start - 1)
        case .null: literal("null", node)
        case .bool(let value): literal(value ? "true" : "false", node)
        case .integer(let value): literal(value.description, node)
        // Keeps its fraction, so that it stays a Double; NaN and infinities are no JSON.
        case .number(let value): literal(value.isFinite ? value.description : "null", node)
        }
    }

    private mutating func literal(_ text: String, _ node: Int) {
        let start = bytes.count
        bytes.append(contentsOf: text.utf8)
        nodes[node].extent = UInt32(truncatingIfNeeded: bytes.count - start)
    }
}
