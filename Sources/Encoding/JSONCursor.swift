import Glibc

/// One value in an indexed text, by pointers: what the decoder works on. Trivial to copy, where a reference would be
/// counted up and down a hundred times an object; whoever makes one sees to it that it does not outlive the text.
struct JSONCursor {
    let bytes: UnsafeBufferPointer<UInt8>
    let nodes: UnsafeBufferPointer<JSONNode>
    let index: Int

    private var node: JSONNode { nodes[index] }

    /// The byte that tells the kind.
    var firstByte: UInt8 { bytes[Int(node.offset)] }
    var isObject: Bool { firstByte == UInt8(ascii: "{") }
    var isArray: Bool { firstByte == UInt8(ascii: "[") }
    var isString: Bool { firstByte == UInt8(ascii: "\"") }
    var isNull: Bool { firstByte == UInt8(ascii: "n") }

    /// The index of the node after this value.
    var end: Int { node.end(at: index, in: bytes) }

    func at(_ index: Int) -> JSONCursor { JSONCursor(bytes: bytes, nodes: nodes, index: index) }

    var stringValue: String? { isString ? node.string(in: bytes) : nil }

    /// A string value as a time; nil when it is none.
    var timestamp: Timestamp? {
        guard isString, node.extent & JSONNode.escapeFlag == 0 else { return nil }
        return Timestamp(utf8: node.content(in: bytes))
    }

    var boolValue: Bool? {
        switch firstByte {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    var integerValue: Int64? {
        switch number {
        case nil: nil
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        }
    }

    var doubleValue: Double? {
        switch number {
        case nil: nil
        case .integer(let value): Double(value)
        case .number(let value): value
        }
    }

    private var number: JSONNumber? {
        switch firstByte {
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): JSONNumber(node.bytes(in: bytes))
        default: nil
        }
    }

    /// The last member of that name; nil when there is none or when the value is no object.
    func member(_ key: String) -> JSONCursor? {
        guard isObject else { return nil }
        var key = key
        return key.withUTF8 { wanted in
            var found: Int?
            var position = index + 1
            let end = Int(node.extent)
            while position < end {
                if nodes[position].isString(wanted, in: bytes) { found = position + 1 }
                position = nodes[position + 1].end(at: position + 1, in: bytes)
            }
            return found.map(at)
        }
    }

    /// The keys of an object in the order of the text; empty when the value is no object.
    var keys: [String] {
        guard isObject else { return [] }
        var keys: [String] = []
        var position = index + 1
        while position < Int(node.extent) {
            keys.append(nodes[position].string(in: bytes))
            position = nodes[position + 1].end(at: position + 1, in: bytes)
        }
        return keys
    }

    /// An object's members or a list's elements.
    var children: [JSONCursor] {
        guard isObject || isArray else { return [] }
        var children: [JSONCursor] = []
        var position = index + 1
        while position < Int(node.extent) {
            let child = at(isObject ? position + 1 : position)
            children.append(child)
            position = child.end
        }
        return children
    }

    /// How many elements a list has.
    var count: Int {
        var count = 0
        var position = index + 1
        while position < end {
            position = at(position).end
            count += 1
        }
        return count
    }

    /// The value made.
    var value: JSONValue {
        var maker = JSONValueMaker(bytes: bytes, nodes: nodes, position: index)
        return maker.value()
    }

    /// The way from the root, found by going down from there again: only errors want to know.
    var codingPath: [any CodingKey] {
        var path: [any CodingKey] = []
        var current = at(0)
        while current.index < index {
            let keys = current.keys
            let children = current.children
            guard let place = children.firstIndex(where: { index < $0.end }) else { break }
            path.append(current.isObject ? NameKey(keys[place]) : IndexKey(place))
            current = children[place]
        }
        return path
    }
}

/// A member's name in the path of an error.
private struct NameKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension JSONNode {
    /// The index of the node after the value at `index`.
    func end(at index: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int {
        isContainer(bytes[Int(offset)]) ? Int(extent) : index + 1
    }

    private func isContainer(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") }

    /// What is between a string's quotes.
    func content(in bytes: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        let start = Int(offset) + 1
        return UnsafeBufferPointer(rebasing: bytes[start..<(start + Int(extent & ~JSONNode.escapeFlag))])
    }

    /// A number's or word's text.
    func bytes(in bytes: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[Int(offset)..<(Int(offset) + Int(extent))])
    }

    /// A string's text.
    func string(in bytes: UnsafeBufferPointer<UInt8>) -> String {
        String(json: content(in: bytes), hasEscapes: extent & JSONNode.escapeFlag != 0)
    }

    /// Whether a string has exactly this text.
    func isString(_ text: UnsafeBufferPointer<UInt8>, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard extent & JSONNode.escapeFlag == 0 else { return string(in: bytes).utf8.elementsEqual(text) }
        guard Int(extent) == text.count, let wanted = text.baseAddress else { return extent == 0 && text.isEmpty }
        return memcmp(bytes.baseAddress.unsafelyUnwrapped + Int(offset) + 1, wanted, text.count) == 0
    }
}
