extension JSONValue {
    /// Deepest nesting that is read: deeper input is refused, so that it cannot exhaust the stack.
    public static let maximumDepth = 256

    /// Reads one JSON text (RFC 8259). When a key is repeated, the last one wins, as in Kubernetes.
    ///
    /// - Throws: `.syntax`, `.tooDeep` or `.invalidUTF8` with the byte offset.
    public init(parsing bytes: some Collection<UInt8>) throws(JSONError) {
        let result = bytes.withContiguousStorageIfAvailable { buffer in
            Result { () throws(JSONError) in try JSONValue(reading: buffer) }
        }
        if let result {
            self = try result.get()
            return
        }
        let copy = Array(bytes)
        self = try copy.withUnsafeBufferPointer { buffer in
            Result { () throws(JSONError) in try JSONValue(reading: buffer) }
        }.get()
    }

    /// Reads one JSON text.
    ///
    /// - Throws: as `init(parsing:)` for bytes.
    public init(parsing text: String) throws(JSONError) {
        try self.init(parsing: Array(text.utf8))
    }

    private init(reading buffer: UnsafeBufferPointer<UInt8>) throws(JSONError) {
        let nodes = try JSONIndexer.index(buffer)
        self = nodes.withUnsafeBufferPointer { nodes in
            var maker = JSONValueMaker(bytes: buffer, nodes: nodes, position: 0)
            return maker.value()
        }
    }
}

/// Makes a value and all in it.
struct JSONValueMaker {
    let bytes: UnsafeBufferPointer<UInt8>
    let nodes: UnsafeBufferPointer<JSONNode>
    var position: Int

    mutating func value() -> JSONValue {
        let node = nodes[position]
        position += 1
        switch bytes[Int(node.offset)] {
        case UInt8(ascii: "\""): return .string(node.string(in: bytes))
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            while position < Int(node.extent) {
                let key = nodes[position].string(in: bytes)
                position += 1
                members[key] = value()
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            while position < Int(node.extent) { elements.append(value()) }
            return .array(elements)
        case UInt8(ascii: "t"): return .bool(true)
        case UInt8(ascii: "f"): return .bool(false)
        case UInt8(ascii: "n"): return .null
        default:
            switch JSONNumber(node.bytes(in: bytes)) {
            case .integer(let value): return .integer(value)
            case .number(let value): return .number(value)
            case nil: return .null  // Never: the indexer refuses numbers that a Double cannot hold.
            }
        }
    }
}
