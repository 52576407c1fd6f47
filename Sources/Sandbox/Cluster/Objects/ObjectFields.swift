import Encoding

/// The fields of any object that the API server itself reads and writes.
extension JSONValue {
    func metadata(_ key: String) -> JSONValue? { self["metadata"]?[key] }

    mutating func setMetadata(_ key: String, _ value: JSONValue?) {
        var metadata = self["metadata"] ?? .object([:])
        metadata[key] = value
        self["metadata"] = metadata
    }

    var apiVersion: String { self["apiVersion"]?.stringValue ?? "" }
    var kind: String { self["kind"]?.stringValue ?? "" }
    var objectName: String { metadata("name")?.stringValue ?? "" }
    var objectNamespace: String { metadata("namespace")?.stringValue ?? "" }
    var uid: String { metadata("uid")?.stringValue ?? "" }
    var resourceVersion: String { metadata("resourceVersion")?.stringValue ?? "" }
    var deletionTimestamp: String? { metadata("deletionTimestamp")?.stringValue }
    var finalizers: [String] { metadata("finalizers")?.arrayValue?.compactMap(\.stringValue) ?? [] }
    var ownerReferences: [JSONValue] { metadata("ownerReferences")?.arrayValue ?? [] }
    var generation: Int64 { metadata("generation")?.integerValue ?? 0 }

    var labels: [String: String] { strings(at: "labels") }
    var annotations: [String: String] { strings(at: "annotations") }

    private func strings(at key: String) -> [String: String] {
        (metadata(key)?.objectValue ?? [:]).compactMapValues(\.stringValue)
    }

    /// The metadata as the API server writes it: nothing is null, and empty lists and maps are left out.
    mutating func tidyMetadata() {
        guard case .object(let members) = self["metadata"] else { return }
        self["metadata"] = .object(members.filter { $0.value != .null && $0.value != [:] && $0.value != [] })
    }

    mutating func setFinalizers(_ finalizers: [String]) {
        setMetadata("finalizers", finalizers.isEmpty ? nil : .array(finalizers.map(JSONValue.string)))
    }

    /// The value without these members.
    func without(_ keys: String...) -> JSONValue {
        guard case .object(var members) = self else { return self }
        for key in keys { members[key] = nil }
        return .object(members)
    }

    /// The JSON type's name, as validation messages say it.
    var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .integer: "integer"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
