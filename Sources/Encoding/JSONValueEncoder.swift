extension JSONValue {
    /// Encodes a value; members that are nil are left out.
    ///
    /// - Throws: `.invalidValue` when the type's own `encode(to:)` fails.
    public init(encoding value: some Encodable) throws(JSONError) {
        do {
            self = try JSONValueEncoder.box(value, codingPath: [])
        } catch {
            throw JSONError(code: .invalidValue, message: "\(type(of: value)) cannot be encoded")
        }
    }
}

/// Where a container writes; a class because `Encoder`'s containers share it.
private final class Box {
    enum Content {
        case value(JSONValue)
        case object([String: Box])
        case array([Box])
    }
    var content: Content?

    var json: JSONValue {
        switch content {
        case nil: .object([:])
        case .value(let value): value
        case .object(let members): .object(members.mapValues(\.json))
        case .array(let elements): .array(elements.map(\.json))
        }
    }

    func member(_ key: String) -> Box {
        let child = Box()
        if case .object(var members) = content {
            content = nil
            members[key] = child
            content = .object(members)
        } else {
            content = .object([key: child])
        }
        return child
    }

    func element() -> Box {
        let child = Box()
        if case .array(var elements) = content {
            content = nil
            elements.append(child)
            content = .array(elements)
        } else {
            content = .array([child])
        }
        return child
    }
}

private struct JSONValueEncoder: Encoder {
    let box: Box
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    static func box<Value: Encodable>(_ value: Value, codingPath: [any CodingKey]) throws -> JSONValue {
        if let value = value as? JSONValue { return value }
        let box = Box()
        try value.encode(to: JSONValueEncoder(box: box, codingPath: codingPath))
        return box.json
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if box.content == nil { box.content = .object([:]) }
        return KeyedEncodingContainer(KeyedContainer<Key>(box: box, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if box.content == nil { box.content = .array([]) }
        return UnkeyedContainer(box: box, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension JSONValueEncoder: SingleValueEncodingContainer {
    private func put(_ value: JSONValue) { box.content = .value(value) }

    private func putInteger(_ value: some FixedWidthInteger) {
        put(Int64(exactly: value).map(JSONValue.integer) ?? .number(Double(value)))
    }

    func encodeNil() throws { put(.null) }
    func encode(_ value: Bool) throws { put(.bool(value)) }
    func encode(_ value: String) throws { put(.string(value)) }
    func encode(_ value: Double) throws { put(.number(value)) }
    func encode(_ value: Float) throws { put(.number(Double(value))) }
    func encode(_ value: Int) throws { putInteger(value) }
    func encode(_ value: Int8) throws { putInteger(value) }
    func encode(_ value: Int16) throws { putInteger(value) }
    func encode(_ value: Int32) throws { putInteger(value) }
    func encode(_ value: Int64) throws { putInteger(value) }
    func encode(_ value: UInt) throws { putInteger(value) }
    func encode(_ value: UInt8) throws { putInteger(value) }
    func encode(_ value: UInt16) throws { putInteger(value) }
    func encode(_ value: UInt32) throws { putInteger(value) }
    func encode(_ value: UInt64) throws { putInteger(value) }
    func encode<Value: Encodable>(_ value: Value) throws {
        put(try JSONValueEncoder.box(value, codingPath: codingPath))
    }
}

private struct KeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let box: Box
    let codingPath: [any CodingKey]

    private func value(_ key: Key) -> JSONValueEncoder {
        JSONValueEncoder(box: box.member(key.stringValue), codingPath: codingPath + [key])
    }

    func encodeNil(forKey key: Key) throws { try value(key).encodeNil() }
    func encode(_ value: Bool, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: String, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: Double, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: Float, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: Int, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: Int8, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: Int16, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: Int32, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: Int64, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: UInt, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: UInt8, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: UInt16, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: UInt32, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode(_ value: UInt64, forKey key: Key) throws { try self.value(key).encode(value) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try self.value(key).encode(value) }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        value(key).container(keyedBy: keyType)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { value(key).unkeyedContainer() }
    func superEncoder() -> any Encoder { JSONValueEncoder(box: box, codingPath: codingPath) }
    func superEncoder(forKey key: Key) -> any Encoder { value(key) }
}

private struct UnkeyedContainer: UnkeyedEncodingContainer {
    let box: Box
    let codingPath: [any CodingKey]
    var count: Int { if case .array(let elements) = box.content { elements.count } else { 0 } }

    private func value() -> JSONValueEncoder {
        JSONValueEncoder(box: box.element(), codingPath: codingPath + [IndexKey(count)])
    }

    func encodeNil() throws { try value().encodeNil() }
    func encode(_ value: Bool) throws { try self.value().encode(value) }
    func encode(_ value: String) throws { try self.value().encode(value) }
    func encode(_ value: Double) throws { try self.value().encode(value) }
    func encode(_ value: Float) throws { try self.value().encode(value) }
    func encode(_ value: Int) throws { try self.value().encode(value) }
    func encode(_ value: Int8) throws { try self.value().encode(value) }
    func encode(_ value: Int16) throws { try self.value().encode(value) }
    func encode(_ value: Int32) throws { try self.value().encode(value) }
    func encode(_ value: Int64) throws { try self.value().encode(value) }
    func encode(_ value: UInt) throws { try self.value().encode(value) }
    func encode(_ value: UInt8) throws { try self.value().encode(value) }
    func encode(_ value: UInt16) throws { try self.value().encode(value) }
    func encode(_ value: UInt32) throws { try self.value().encode(value) }
    func encode(_ value: UInt64) throws { try self.value().encode(value) }
    func encode<Value: Encodable>(_ value: Value) throws { try self.value().encode(value) }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type
    ) -> KeyedEncodingContainer<NestedKey> {
        value().container(keyedBy: keyType)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { value().unkeyedContainer() }
    func superEncoder() -> any Encoder { JSONValueEncoder(box: box, codingPath: codingPath) }
}
