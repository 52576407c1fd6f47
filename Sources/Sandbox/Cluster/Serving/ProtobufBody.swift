import Encoding

/// Reads the protobuf bodies that kubectl sends for a few small built-in kinds (`create namespace`, `create configmap`,
/// `auth can-i`, …); replies are JSON, which every client takes.
///
/// Field numbers: `generated.proto` of k8s.io/api and k8s.io/apimachinery.
struct ProtobufBody {
    indirect enum Field: Sendable {
        case string, bytes, integer, boolean, time
        case strings, quantity, intOrString
        case map(Field)
        case message([UInt64: (name: String, field: Field)])
        case messages([UInt64: (name: String, field: Field)])
    }

    typealias Message = [UInt64: (name: String, field: Field)]

    private enum Wire {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)

        var isEmpty: Bool {
            switch self {
            case .number(let number): number == 0
            // A message of nothing but empty fields says nothing either.
            case .bytes(let bytes): bytes.isEmpty || fields(bytes)?.allSatisfy { $0.1.isEmpty } == true
            }
        }
    }

    /// The object in a body of `application/vnd.kubernetes.protobuf`.
    ///
    /// - Throws: 400 when it is malformed; 415 for a kind or a field that is not read here, so that nothing is lost.
    static func object(_ body: [UInt8]) throws(StatusError) -> JSONValue {
        guard body.starts(with: Array("k8s\0".utf8)), let envelope = fields(body.dropFirst(4)) else {
            throw .badRequest("the object provided is unrecognized: no protobuf of Kubernetes")
        }
        var type: JSONValue = [:]
        var raw: ArraySlice<UInt8>?
        for case (let number, .bytes(let bytes)) in envelope {
            if number == 1 { type = try json(bytes, typeMeta, "TypeMeta") }
            if number == 2 { raw = bytes }
        }
        let kind = type.kind
        guard let message = kinds[kind] else {
            throw .notRead("objects of kind \"\(kind)\"")
        }
        var object = try json(raw ?? [], message, kind)
        object["apiVersion"] = type["apiVersion"]
        object["kind"] = type["kind"]
        return object
    }

    // MARK: Decoding

    private static func json(
        _ bytes: ArraySlice<UInt8>, _ message: Message, _ place: String
    ) throws(StatusError) -> JSONValue {
        guard let values = fields(bytes) else { throw malformed(place) }
        var object: [String: JSONValue] = [:]
        for (number, wire) in values {
            guard let (name, field) = message[number] else {
                // Empty texts and zeros are sent for fields that are not set.
                guard wire.isEmpty else { throw .notRead("field \(number) of \(place)") }
                continue
            }
            let value = try value(wire, field, before: object[name], "\(place).\(name)")
            // An empty text and an empty message stand for an absent one.
            if value != "", value != [:], value != .null { object[name] = value }
        }
        return .object(object)
    }

    private static func malformed(_ place: String) -> StatusError {
        .badRequest("the object provided is unrecognized: malformed protobuf in \(place)")
    }

    private static func value(
        _ wire: Wire, _ field: Field, before: JSONValue?, _ place: String
    ) throws(StatusError) -> JSONValue {
        switch (field, wire) {
        case (.integer, .number(let number)): return .integer(Int64(bitPattern: number))
        case (.boolean, .number(let number)): return .bool(number != 0)
        case (.string, .bytes(let bytes)): return try text(bytes, place)
        case (.bytes, .bytes(let bytes)): return .string(Base64.encode(Array(bytes)))
        case (.strings, .bytes(let bytes)): return .array((before?.arrayValue ?? []) + [try text(bytes, place)])
        case (.time, .bytes(let bytes)): return try time(bytes, place)
        case (.quantity, .bytes(let bytes)): return try json(bytes, [1: ("string", .string)], place)["string"] ?? "0"
        case (.intOrString, .bytes(let bytes)): return try intOrString(bytes, place)
        case (.message(let message), .bytes(let bytes)): return try json(bytes, message, place)
        case (.messages(let message), .bytes(let bytes)):
            return .array((before?.arrayValue ?? []) + [try json(bytes, message, place)])
        case (.map(let content), .bytes(let bytes)): return try entry(bytes, content, before, place)
        default: throw malformed(place)
        }
    }

    private static func text(_ bytes: ArraySlice<UInt8>, _ place: String) throws(StatusError) -> JSONValue {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed(place) }
        return .string(text)
    }

    private static func time(_ bytes: ArraySlice<UInt8>, _ place: String) throws(StatusError) -> JSONValue {
        guard let values = fields(bytes) else { throw malformed(place) }
        for case (1, .number(let seconds)) in values {
            return .string(Timestamp(seconds: Int64(bitPattern: seconds)).description)
        }
        return .null
    }

    private static func intOrString(_ bytes: ArraySlice<UInt8>, _ place: String) throws(StatusError) -> JSONValue {
        let value = try json(
            bytes, [1: ("type", .integer), 2: ("number", .integer), 3: ("text", .string)], place)
        return value["type"] == 1 ? value["text"] ?? "" : value["number"] ?? 0
    }

    private static func entry(
        _ bytes: ArraySlice<UInt8>, _ field: Field, _ before: JSONValue?, _ place: String
    ) throws(StatusError) -> JSONValue {
        guard let values = fields(bytes) else { throw malformed(place) }
        var key = ""
        var content: JSONValue = ""
        for (number, wire) in values {
            let value = try value(wire, number == 1 ? .string : field, before: nil, place)
            if number == 1 { key = value.stringValue ?? "" } else { content = value }
        }
        var map = before ?? [:]
        map[key] = content
        return map
    }

    /// The fields of a message in order; nil when it is malformed or uses a wire type that Kubernetes does not.
    private static func fields(_ bytes: ArraySlice<UInt8>) -> [(UInt64, Wire)]? {
        var rest = bytes
        var result: [(UInt64, Wire)] = []
        while !rest.isEmpty {
            guard let tag = varint(&rest) else { return nil }
            switch tag & 7 {
            case 0:
                guard let number = varint(&rest) else { return nil }
                result.append((tag >> 3, .number(number)))
            case 2:
                guard let length = varint(&rest), length <= UInt64(rest.count) else { return nil }
                result.append((tag >> 3, .bytes(rest.prefix(Int(length)))))
                rest = rest.dropFirst(Int(length))
            default: return nil
            }
        }
        return result
    }

    private static func varint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
