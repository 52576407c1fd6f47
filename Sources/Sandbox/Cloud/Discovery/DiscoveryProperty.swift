internal import Encoding

/// What a discovery document says of a field, a list's elements or a query parameter.
struct DiscoveryProperty: Sendable {
    indirect enum Kind: Sendable {
        case any
        case reference(String)
        case object(DiscoveryObject)
        case list(DiscoveryProperty)
        case boolean, integer, number, string
    }

    var kind: Kind
    var format: String?
    /// Empty where every word is good.
    var words: Set<String>
    /// A query parameter that may come several times.
    var isRepeated: Bool
    /// Of a field.
    var isRequired: Bool
    /// Of a query parameter: documents say it in more ways there.
    var isRequiredInQuery: Bool
    /// Methods by their ids in which the field is required.
    var requiredBy: [String]
    var isOutputOnly: Bool
    var isDeprecated: Bool

    init(_ value: JSONValue) {
        kind = Kind(value)
        format = value["format"]?.stringValue
        words = Set((value["enum"]?.arrayValue ?? []).compactMap(\.stringValue))
        isRepeated = value["repeated"]?.boolValue == true
        let description = value["description"]?.stringValue ?? ""
        isRequired = description.hasPrefix("Required.")
        isRequiredInQuery = value["required"]?.boolValue == true || description.hasPrefix("Required")
        requiredBy = (value.value(at: ["annotations", "required"])?.arrayValue ?? []).compactMap(\.stringValue)
        isOutputOnly = value["readOnly"]?.boolValue == true || DiscoveryProperty.saysOutputOnly(description)
        isDeprecated = value["deprecated"]?.boolValue == true
    }

    /// "Output only. …", "[Output Only] …".
    private static func saysOutputOnly(_ description: String) -> Bool {
        let start = description.drop { $0 == " " }.prefix(13).lowercased()
        return ["output only", "[output only]", "[output-only]"].contains(where: start.hasPrefix)
    }
}

extension DiscoveryProperty.Kind {
    fileprivate init(_ value: JSONValue) {
        if let name = value["$ref"]?.stringValue {
            self = .reference(name)
            return
        }
        switch value["type"]?.stringValue {
        case "object": self = .object(DiscoveryObject(value))
        case "array": self = .list(DiscoveryProperty(value["items"] ?? [:]))
        case "boolean": self = .boolean
        case "integer": self = .integer
        case "number": self = .number
        case "string": self = .string
        default: self = .any
        }
    }
}

/// The members of a message. Neither properties nor additional ones: an empty message, which takes no field.
struct DiscoveryObject: Sendable {
    var properties: [String: DiscoveryProperty]
    /// Of a map's values.
    var additional: [DiscoveryProperty]
    /// A schema that says nothing (`type: any`).
    var isAny: Bool

    init(_ value: JSONValue) {
        properties = (value["properties"]?.objectValue ?? [:]).mapValues(DiscoveryProperty.init)
        additional = value["additionalProperties"].map { [DiscoveryProperty($0)] } ?? []
        isAny = value["type"]?.stringValue == "any"
    }
}
