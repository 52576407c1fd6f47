import Encoding

/// A decoder that answers from a CRD's schema and records what a Swift type asks for, so that the two can be compared.
final class SchemaProbe {
    /// One property that a type asked for.
    struct Request: Hashable {
        var path: String
        /// `decode`, not `decodeIfPresent`.
        var isRequired: Bool
        /// The schema's word for the Swift type; nil for nested objects and lists.
        var kind: String?
    }

    private(set) var requests: [Request] = []

    /// What `type` asks for when it is decoded from an object of that schema, by path; lists are `path[]`.
    static func requests<Value: Decodable>(of type: Value.Type, schema: JSONValue) throws -> [Request] {
        let probe = SchemaProbe()
        _ = try Value(from: ProbeDecoder(probe: probe, schema: schema, path: ""))
        return probe.requests
    }

    fileprivate func record(_ path: String, isRequired: Bool, kind: String?) {
        requests.append(Request(path: path, isRequired: isRequired, kind: kind))
    }

    fileprivate static func kind(of type: Any.Type) -> String? {
        switch type {
        case is String.Type, is Timestamp.Type: "string"
        case is Int.Type, is Int32.Type, is Int64.Type: "integer"
        case is Bool.Type: "boolean"
        case is Double.Type: "number"
        default: nil
        }
    }
}

private struct ProbeDecoder: Decoder {
    let probe: SchemaProbe
    let schema: JSONValue
    let path: String
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(ProbeObject<Key>(probe: probe, schema: schema, path: path))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        ProbeList(probe: probe, schema: schema["items"] ?? .null, path: path + "[]")
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    func value<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if type == JSONValue.self, let value = JSONValue.null as? Value { return value }
        return try Value(from: self)
    }
}

extension ProbeDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { false }

    func decode(_ type: String.Type) throws -> String {
        if schema["format"]?.stringValue == "date-time" { return "2026-11-21T10:00:00Z" }
        return schema["enum"]?[0]?.stringValue ?? "x"
    }

    private var number: Int { Int(schema["minimum"]?.integerValue ?? 1) }
    func decode(_ type: Bool.Type) throws -> Bool { true }
    func decode(_ type: Double.Type) throws -> Double { Double(number) }
    func decode(_ type: Float.Type) throws -> Float { Float(number) }
    func decode(_ type: Int.Type) throws -> Int { number }
    func decode(_ type: Int8.Type) throws -> Int8 { Int8(number) }
    func decode(_ type: Int16.Type) throws -> Int16 { Int16(number) }
    func decode(_ type: Int32.Type) throws -> Int32 { Int32(number) }
    func decode(_ type: Int64.Type) throws -> Int64 { Int64(number) }
    func decode(_ type: UInt.Type) throws -> UInt { UInt(number) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { UInt8(number) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { UInt16(number) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { UInt32(number) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { UInt64(number) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try value(type) }
}

private struct ProbeObject<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let probe: SchemaProbe
    let schema: JSONValue
    let path: String
    var codingPath: [any CodingKey] { [] }
    /// A dictionary asks for all keys: one stands for the values.
    var allKeys: [Key] { schema["additionalProperties"] == nil ? [] : [Key(stringValue: "key")].compactMap { $0 } }

    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) throws -> Bool { false }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try ask(type, key, isRequired: true)
    }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        try ask(type, key, isRequired: false)
    }

    private func ask<Value: Decodable>(_ type: Value.Type, _ key: Key, isRequired: Bool) throws -> Value {
        if let values = schema["additionalProperties"] {
            return try ProbeDecoder(probe: probe, schema: values, path: path + "{}").value(type)
        }
        let child = path.isEmpty ? key.stringValue : "\(path).\(key.stringValue)"
        probe.record(child, isRequired: isRequired, kind: SchemaProbe.kind(of: type))
        let property = schema.value(at: ["properties", key.stringValue]) ?? .null
        return try ProbeDecoder(probe: probe, schema: property, path: child).value(type)
    }

    // The synthesized code asks for these by their own methods.
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try ask(type, key, isRequired: true) }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try ask(type, key, isRequired: true) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try ask(type, key, isRequired: true) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try ask(type, key, isRequired: true) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        try ask(type, key, isRequired: false)
    }
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try ask(type, key, isRequired: false) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try ask(type, key, isRequired: false) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? {
        try ask(type, key, isRequired: false)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        throw JSONError(code: .wrongType, message: "nested containers are not probed")
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw JSONError(code: .wrongType, message: "nested containers are not probed")
    }

    func superDecoder() throws -> any Decoder { ProbeDecoder(probe: probe, schema: schema, path: path) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try superDecoder() }
}

/// A list of one element.
private struct ProbeList: UnkeyedDecodingContainer {
    let probe: SchemaProbe
    let schema: JSONValue
    let path: String
    var codingPath: [any CodingKey] { [] }
    var count: Int? { 1 }
    var currentIndex = 0
    var isAtEnd: Bool { currentIndex > 0 }

    init(probe: SchemaProbe, schema: JSONValue, path: String) {
        self.probe = probe
        self.schema = schema
        self.path = path
    }

    mutating func decodeNil() throws -> Bool { false }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        currentIndex += 1
        return try ProbeDecoder(probe: probe, schema: schema, path: path).value(type)
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        throw JSONError(code: .wrongType, message: "nested containers are not probed")
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw JSONError(code: .wrongType, message: "nested containers are not probed")
    }

    mutating func superDecoder() throws -> any Decoder { ProbeDecoder(probe: probe, schema: schema, path: path) }
}
