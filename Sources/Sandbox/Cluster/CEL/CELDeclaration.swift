import Encoding

/// What rules see of a schema: its type, and how large its values can be, which bounds what a rule can cost.
///
/// Sizes follow the API server's (`SchemaDeclType`): a string of unknown length may be as long as a request.
final class CELDeclaration: Sendable {
    enum Kind: Sendable { case any, bool, int, double, string, bytes, timestamp, duration, list, map, object }

    let kind: Kind
    /// nil for the fields of `metadata`, which no schema describes.
    let schema: Schema?
    /// The visible fields of an object.
    let fields: [String: CELDeclaration]
    /// Of a list or a map.
    let element: CELDeclaration?
    /// The largest `size()`; 0 for what has none.
    let maximumSize: UInt64
    /// The fewest bytes that a value takes as JSON.
    let minimumBytes: UInt64

    static let maximumRequestBytes: UInt64 = 3 << 20

    /// The declaration of a whole object: apiVersion, kind and the names in metadata are visible too.
    convenience init?(root schema: Schema) { self.init(schema, isResourceRoot: true) }

    /// nil: rules cannot see such a field.
    convenience init?(_ schema: Schema, isResourceRoot: Bool = false) {
        let limits = schema.limits
        if schema.isIntOrString {
            let size = limits.maxLength.map { UInt64(max(0, $0)) * 4 } ?? CELDeclaration.maximumRequestBytes - 2
            self.init(.any, schema, maximumSize: size, minimumBytes: 1)
            return
        }
        switch isResourceRoot ? "object" : schema.type {
        case "array":
            guard let items = schema.items,
                let element = CELDeclaration(items, isResourceRoot: items.isEmbeddedResource)
            else { return nil }
            let fallback = (CELDeclaration.maximumRequestBytes - 2) / (element.minimumBytes + 1)
            self.init(
                .list, schema, element: element, maximumSize: limits.maxItems.map { UInt64(max(0, $0)) } ?? fallback,
                minimumBytes: 2)
        case "object":
            self.init(object: schema, isResourceRoot: isResourceRoot)
        case "string": self.init(string: schema)
        case "boolean": self.init(.bool, schema, minimumBytes: 4)
        case "integer": self.init(.int, schema, minimumBytes: 1)
        case "number": self.init(.double, schema, minimumBytes: 1)
        default: return nil
        }
    }

    private convenience init?(object schema: Schema, isResourceRoot: Bool) {
        if let values = schema.additionalProperties {
            guard let element = CELDeclaration(values, isResourceRoot: values.isEmbeddedResource) else { return nil }
            let fallback = (CELDeclaration.maximumRequestBytes - 2) / (element.minimumBytes + 6)
            self.init(
                .map, schema, element: element,
                maximumSize: schema.limits.maxProperties.map { UInt64(max(0, $0)) } ?? fallback, minimumBytes: 2)
            return
        }
        var fields: [String: CELDeclaration] = [:]
        var bytes: UInt64 = 2
        for (name, property) in schema.properties {
            guard let field = CELDeclaration(property, isResourceRoot: property.isEmbeddedResource) else { continue }
            if CELDeclaration.isEscapable(name) { fields[name] = field }
            if schema.required.contains(name), property.defaultValue == nil {
                bytes += UInt64(name.utf8.count) + field.minimumBytes + 4
            }
        }
        if isResourceRoot { fields.merge(CELDeclaration.envelope) { $1 } }
        self.init(.object, schema, fields: fields, minimumBytes: bytes)
    }

    private convenience init(string schema: Schema) {
        let length = schema.limits.maxLength.map { UInt64(max(0, $0)) }
        let request = CELDeclaration.maximumRequestBytes - 2
        switch schema.format {
        case "byte": self.init(.bytes, schema, maximumSize: length ?? request, minimumBytes: 2)
        case "duration": self.init(.duration, schema, maximumSize: 32, minimumBytes: 3)
        case "date": self.init(.timestamp, schema, maximumSize: 12, minimumBytes: 12)
        case "date-time": self.init(.timestamp, schema, maximumSize: 32, minimumBytes: 21)
        default:
            let words = schema.enumeration?.compactMap { $0.stringValue?.utf8.count }.max().map { UInt64($0) }
            self.init(.string, schema, maximumSize: length.map { $0 * 4 } ?? words ?? request, minimumBytes: 2)
        }
    }

    private init(
        _ kind: Kind, _ schema: Schema?, fields: [String: CELDeclaration] = [:], element: CELDeclaration? = nil,
        maximumSize: UInt64 = 0, minimumBytes: UInt64
    ) {
        self.kind = kind
        self.schema = schema
        self.fields = fields
        self.element = element
        self.maximumSize = maximumSize
        self.minimumBytes = minimumBytes
    }

    /// A name of any length: API servers before 1.36 count with that.
    private static let anyString = CELDeclaration(
        .string, nil, maximumSize: maximumRequestBytes - 2, minimumBytes: 2)

    private static let envelope: [String: CELDeclaration] = [
        "apiVersion": anyString, "kind": anyString,
        "metadata": CELDeclaration(
            .object, nil, fields: ["name": anyString, "generateName": anyString], minimumBytes: 2),
    ]

    /// Whether a rule can write the name at all.
    private static func isEscapable(_ name: String) -> Bool {
        !name.isEmpty && !ScalarSet.digits.contains(name.unicodeScalars.first ?? "0")
            && name.unicodeScalars.allSatisfy { ScalarSet.word.contains($0) || [".", "-", "/"].contains($0) }
    }

    /// The declaration that a cost estimate's path leads to; nil when it leads nowhere.
    func at(_ path: ArraySlice<CELPathStep>) -> CELDeclaration? {
        guard let step = path.first else { return self }
        switch step {
        case .field(let name): return fields[name]?.at(path.dropFirst())
        case .elements: return element?.at(path.dropFirst())
        case .keys: return kind == .map ? CELDeclaration.key.at(path.dropFirst()) : nil
        }
    }

    /// The API server gives the keys of maps no size.
    private static let key = CELDeclaration(.string, nil, minimumBytes: 2)
}

/// A step of the way from a variable to a value.
enum CELPathStep: Sendable, Hashable {
    case field(String), elements, keys
}
