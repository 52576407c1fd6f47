import Encoding

/// Reads the protobuf bodies that kubectl sends for a few small built-in kinds (`create namespace`, `create configmap`,
/// `auth can-i`, …); replies are JSON, which every client takes.
///
/// Field numbers: `generated.proto` of k8s.io/api and k8s.io/apimachinery.
struct ProtobufBody {
    private indirect enum Field: Sendable {
        case string, bytes, integer, boolean, time
        case strings
        case stringMap, bytesMap
        case message([UInt64: (name: String, field: Field)])
        case messages([UInt64: (name: String, field: Field)])
    }

    private typealias Message = [UInt64: (name: String, field: Field)]

    private enum Wire {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    /// The object in a body of `application/vnd.kubernetes.protobuf`; nil when it is malformed or of another kind.
    static func object(_ body: [UInt8]) -> JSONValue? {
        guard body.starts(with: Array("k8s\0".utf8)), let envelope = fields(body.dropFirst(4)) else { return nil }
        var type: JSONValue = [:]
        var raw: ArraySlice<UInt8>?
        for case (let number, .bytes(let bytes)) in envelope {
            if number == 1 { type = json(bytes, typeMeta) ?? [:] }
            if number == 2 { raw = bytes }
        }
        guard let raw, let message = kinds[type.kind], var object = json(raw, message) else { return nil }
        object["apiVersion"] = type["apiVersion"]
        object["kind"] = type["kind"]
        return object
    }

    // MARK: Kinds

    private static let typeMeta: Message = [1: ("apiVersion", .string), 2: ("kind", .string)]

    private static let objectMeta: Message = [
        1: ("name", .string), 2: ("generateName", .string), 3: ("namespace", .string), 5: ("uid", .string),
        6: ("resourceVersion", .string), 7: ("generation", .integer), 8: ("creationTimestamp", .time),
        9: ("deletionTimestamp", .time), 11: ("labels", .stringMap), 12: ("annotations", .stringMap),
        14: ("finalizers", .strings),
    ]

    private static let kinds: [String: Message] = [
        "Namespace": [
            1: ("metadata", .message(objectMeta)), 2: ("spec", .message([1: ("finalizers", .strings)])),
            3: ("status", .message([1: ("phase", .string)])),
        ],
        "ConfigMap": [
            1: ("metadata", .message(objectMeta)), 2: ("data", .stringMap), 3: ("binaryData", .bytesMap),
            4: ("immutable", .boolean),
        ],
        "Secret": [
            1: ("metadata", .message(objectMeta)), 2: ("data", .bytesMap), 3: ("type", .string),
            4: ("stringData", .stringMap), 5: ("immutable", .boolean),
        ],
        "ServiceAccount": [
            1: ("metadata", .message(objectMeta)), 3: ("imagePullSecrets", .messages([1: ("name", .string)])),
            4: ("automountServiceAccountToken", .boolean),
        ],
        "SelfSubjectAccessReview": [
            1: ("metadata", .message(objectMeta)),
            2: (
                "spec",
                .message([
                    1: (
                        "resourceAttributes",
                        .message([
                            1: ("namespace", .string), 2: ("verb", .string), 3: ("group", .string),
                            4: ("version", .string), 5: ("resource", .string), 6: ("subresource", .string),
                            7: ("name", .string),
                        ])
                    ),
                    2: ("nonResourceAttributes", .message([1: ("path", .string), 2: ("verb", .string)])),
                ])
            ),
        ],
        "DeleteOptions": [
            1: ("gracePeriodSeconds", .integer),
            2: ("preconditions", .message([1: ("uid", .string), 2: ("resourceVersion", .string)])),
            3: ("orphanDependents", .boolean), 4: ("propagationPolicy", .string), 5: ("dryRun", .strings),
        ],
    ]

    // MARK: Decoding

    private static func json(_ bytes: ArraySlice<UInt8>, _ message: Message) -> JSONValue? {
        guard let values = fields(bytes) else { return nil }
        var object: [String: JSONValue] = [:]
        for (number, wire) in values {
            guard let (name, field) = message[number] else { continue }
            guard let value = value(wire, field, before: object[name]) else { return nil }
            // An empty text and an empty message stand for an absent one.
            if value != "", value != [:], value != .null { object[name] = value }
        }
        return .object(object)
    }

    private static func value(_ wire: Wire, _ field: Field, before: JSONValue?) -> JSONValue? {
        switch (field, wire) {
        case (.integer, .number(let number)): .integer(Int64(bitPattern: number))
        case (.boolean, .number(let number)): .bool(number != 0)
        case (.string, .bytes(let bytes)): text(bytes)
        case (.bytes, .bytes(let bytes)): .string(Base64.encode(Array(bytes)))
        case (.strings, .bytes(let bytes)): text(bytes).map { .array((before?.arrayValue ?? []) + [$0]) }
        case (.time, .bytes(let bytes)): time(bytes)
        case (.message(let message), .bytes(let bytes)): json(bytes, message)
        case (.messages(let message), .bytes(let bytes)):
            json(bytes, message).map { .array((before?.arrayValue ?? []) + [$0]) }
        case (.stringMap, .bytes(let bytes)): entry(bytes, .string, before)
        case (.bytesMap, .bytes(let bytes)): entry(bytes, .bytes, before)
        default: nil
        }
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> JSONValue? {
        String(validating: bytes, as: UTF8.self).map(JSONValue.string)
    }

    private static func time(_ bytes: ArraySlice<UInt8>) -> JSONValue? {
        guard let values = fields(bytes) else { return nil }
        for case (1, .number(let seconds)) in values {
            return .string(Timestamp(seconds: Int64(bitPattern: seconds)).description)
        }
        return .null
    }

    private static func entry(_ bytes: ArraySlice<UInt8>, _ field: Field, _ before: JSONValue?) -> JSONValue? {
        guard let values = fields(bytes) else { return nil }
        var key = ""
        var content: JSONValue = ""
        for (number, wire) in values {
            guard let value = value(wire, number == 1 ? .string : field, before: nil) else { return nil }
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
