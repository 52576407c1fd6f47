extension JSONValue {
    /// Decodes a value of a type. Unknown members are ignored; errors name the path, e.g. `spec.trainer.image`.
    ///
    /// - Throws: `.missing`, `.wrongType` or `.invalidValue`.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(JSONError) -> Value {
        try JSONText(indexing: self).root.decode(type)
    }
}

extension JSONElement {
    /// Decodes a value of a type, as `JSONValue.decode`; members that the type does not ask for are not made.
    ///
    /// - Throws: `.missing`, `.wrongType` or `.invalidValue`.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(JSONError) -> Value {
        try withCursor { cursor in
            Result { () throws(JSONError) in try JSONDecoding(cursor).decoded(type) }
        }.get()
    }
}

extension JSONError {
    fileprivate init(_ error: DecodingError) {
        switch error {
        case .keyNotFound(let key, let context):
            self.init(code: .missing, message: "\(JSONError.path(context.codingPath + [key])) is required")
        case .valueNotFound(_, let context):
            self.init(code: .missing, message: "\(JSONError.path(context.codingPath)) is required")
        case .typeMismatch(_, let context):
            self.init(
                code: .wrongType, message: "\(JSONError.path(context.codingPath)): \(context.debugDescription)")
        case .dataCorrupted(let context):
            self.init(
                code: .invalidValue, message: "\(JSONError.path(context.codingPath)): \(context.debugDescription)")
        @unknown default:
            self.init(code: .invalidValue, message: "the value cannot be decoded")
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        var text = ""
        for key in keys {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : "." + key.stringValue
            }
        }
        return text.isEmpty ? "the value" : text
    }
}

struct IndexKey: CodingKey {
    let intValue: Int?
    var stringValue: String { "\(intValue ?? 0)" }
    init(_ index: Int) { intValue = index }
    init?(intValue: Int) { self.intValue = intValue }
    init?(stringValue: String) { nil }
}

/// What a `Decodable` type sees of an element. A type must not keep its decoder or containers: the pointers in them are
/// good until its `init(from:)` returns.
///
/// Not generic over where it reads: metadata of generic types is looked up at run time for every container, which took
/// a third of the time of decoding.
struct JSONDecoding: Decoder {
    let source: JSONCursor

    init(_ source: JSONCursor) { self.source = source }

    var codingPath: [any CodingKey] { source.codingPath }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func decoded<Value: Decodable>(_ type: Value.Type) throws(JSONError) -> Value {
        do {
            return try unbox(type)
        } catch let error as JSONError {
            throw error
        } catch let error as DecodingError {
            throw JSONError(error)
        } catch {
            throw JSONError(code: .invalidValue, message: "\(type) cannot be decoded")
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard source.isObject else { throw mismatch(type, "an object") }
        return KeyedDecodingContainer(KeyedContainer<Key>(source: source))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard source.isArray else { throw mismatch([JSONValue].self, "a list") }
        return UnkeyedContainer(list: source)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    func unbox<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if type == JSONValue.self, let value = source.value as? Value { return value }
        // Times are a tenth of what statuses hold: read without a text in between.
        if type == Timestamp.self, let time = source.timestamp as? Value { return time }
        return try type.init(from: self)
    }

    func mismatch(_ type: Any.Type, _ wanted: String) -> DecodingError {
        let found =
            switch source.firstByte {
            case UInt8(ascii: "n"): "null"
            case UInt8(ascii: "t"), UInt8(ascii: "f"): "a boolean"
            case UInt8(ascii: "\""): "a string"
            case UInt8(ascii: "["): "a list"
            case UInt8(ascii: "{"): "an object"
            default: "a number"
            }
        return .typeMismatch(
            type, .init(codingPath: codingPath, debugDescription: "expected \(wanted), found \(found)"))
    }
}

extension JSONDecoding: SingleValueDecodingContainer {
    func decodeNil() -> Bool { source.isNull }

    func decode(_ type: Bool.Type) throws -> Bool {
        guard let result = source.boolValue else { throw mismatch(type, "a boolean") }
        return result
    }

    func decode(_ type: String.Type) throws -> String {
        guard let result = source.stringValue else { throw mismatch(type, "a string") }
        return result
    }

    func decode(_ type: Double.Type) throws -> Double {
        guard let result = source.doubleValue else { throw mismatch(type, "a number") }
        return result
    }

    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }

    private func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws -> Value {
        guard let integer = source.integerValue else { throw mismatch(type, "an integer") }
        guard let result = Value(exactly: integer) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: "\(integer) is out of range"))
        }
        return result
    }

    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try unbox(type) }
}

private struct KeyedContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let source: JSONCursor
    var codingPath: [any CodingKey] { source.codingPath }
    var allKeys: [Key] { source.keys.compactMap(Key.init(stringValue:)) }

    func contains(_ key: Key) -> Bool { source.member(key.stringValue) != nil }

    private func decoder(_ key: Key) throws -> JSONDecoding {
        guard let member = source.member(key.stringValue) else {
            throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: ""))
        }
        return JSONDecoding(member)
    }

    /// The decoder of a member that is there and not null: one search where the protocol's own way makes three.
    private func present(_ key: Key) -> JSONDecoding? {
        guard let member = source.member(key.stringValue), !member.isNull else { return nil }
        return JSONDecoding(member)
    }

    func decodeNil(forKey key: Key) throws -> Bool { source.member(key.stringValue)?.isNull ?? true }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try decoder(key).decode(type) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try decoder(key).decode(type) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try decoder(key).decode(type) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try decoder(key).decode(type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try decoder(key).decode(type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try decoder(key).decode(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try decoder(key).decode(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try decoder(key).decode(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try decoder(key).decode(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try decoder(key).decode(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try decoder(key).decode(type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try decoder(key).decode(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try decoder(key).decode(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try decoder(key).decode(type) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try decoder(key).unbox(type)
    }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try present(key)?.decode(type) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try present(key)?.decode(type) }
    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        try present(key)?.unbox(type)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { JSONDecoding(source) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

private struct UnkeyedContainer: UnkeyedDecodingContainer {
    private let list: JSONCursor
    private var position: Int
    private let end: Int
    private(set) var currentIndex = 0

    init(list: JSONCursor) {
        self.list = list
        position = list.index + 1
        end = list.end
    }

    var codingPath: [any CodingKey] { list.codingPath }
    var count: Int? { list.count }
    var isAtEnd: Bool { position >= end }

    private mutating func next() throws -> JSONDecoding {
        guard position < end else {
            throw DecodingError.valueNotFound(
                JSONValue.self,
                .init(codingPath: codingPath + [IndexKey(currentIndex)], debugDescription: "the list has ended"))
        }
        let element = list.at(position)
        position = element.end
        currentIndex += 1
        return JSONDecoding(element)
    }

    mutating func decodeNil() throws -> Bool {
        guard position < end, list.at(position).isNull else { return false }
        _ = try next()
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try next().decode(type) }
    mutating func decode(_ type: String.Type) throws -> String { try next().decode(type) }
    mutating func decode(_ type: Double.Type) throws -> Double { try next().decode(type) }
    mutating func decode(_ type: Float.Type) throws -> Float { try next().decode(type) }
    mutating func decode(_ type: Int.Type) throws -> Int { try next().decode(type) }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try next().decode(type) }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try next().decode(type) }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try next().decode(type) }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try next().decode(type) }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try next().decode(type) }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try next().decode(type) }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try next().decode(type) }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try next().decode(type) }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try next().decode(type) }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next().unbox(type) }

    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        try next().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next().unkeyedContainer()
    }

    mutating func superDecoder() throws -> any Decoder { try next() }
}
