import Encoding

/// Built-in kinds are decoded into Go structures: what does not fit is refused before anything is validated.
enum BuiltInTypes {
    /// The metadata of every kind has types.
    static func metadataError(_ object: JSONValue, _ definition: ResourceDefinition) -> StatusError? {
        guard let metadata = object["metadata"], !metadata.isNull else { return nil }
        // Custom resources decode their metadata apart from the rest.
        let place = definition.isCustom ? "ObjectMeta" : "ObjectMeta.metadata"
        guard case .object(let members) = metadata else {
            let whole =
                definition.isCustom ? "value of" : "struct field \(definition.kind).metadata of"
            return failure("json: cannot unmarshal \(goName(metadata)) into Go \(whole) type v1.ObjectMeta", definition)
        }
        for key in ["generateName", "name", "namespace", "resourceVersion", "uid"] {
            guard let value = members[key], !value.isNull, value.stringValue == nil else { continue }
            return mismatch(value, "\(place).\(key)", "string", definition)
        }
        for key in ["annotations", "labels"] {
            guard let value = members[key], !value.isNull else { continue }
            guard case .object(let texts) = value else {
                return mismatch(value, "\(place).\(key)", "map[string]string", definition)
            }
            for text in texts.sorted(by: { $0.key < $1.key }).map(\.value) where text.stringValue == nil {
                if !text.isNull { return mismatch(text, "\(place).\(key)", "string", definition) }
            }
        }
        return nil
    }

    /// The refusal of a value that does not decode; nil when everything does.
    static func decodeError(
        _ errors: [FieldError], _ object: JSONValue, _ definition: ResourceDefinition
    ) -> StatusError? {
        if let error = errors.first(where: { $0.kind == .typeInvalid }) {
            // "spec.size in body must be of type integer: \"string\""
            let words = error.detail.split(separator: " ")
            let wanted = words.last.map { _ in words.dropLast().last.map { $0.filter { $0 != ":" } } ?? "" } ?? ""
            let path = error.path.filter { $0 != "[" && $0 != "]" && !$0.isNumber }
            let found = (error.value ?? "").filter { $0 != "\"" }
            return failure(
                "json: cannot unmarshal \(goName(found)) into Go struct field \(definition.kind).\(path) of type "
                    + (wanted == "integer" ? "int32" : wanted == "boolean" ? "bool" : String(wanted)), definition)
        }
        if definition.storage == CollectionID(group: "", plural: "secrets") {
            for value in (object["data"]?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }).map(\.value) {
                guard let text = value.stringValue, Base64.decode(text) == nil else { continue }
                let valid = text.prefix { $0.isLetter || $0.isNumber || $0 == "+" || $0 == "/" || $0 == "=" }
                return failure("illegal base64 data at input byte \(valid.utf8.count)", definition)
            }
        }
        return microTimeError(object, definition)
    }

    /// Leases and events count microseconds, and insist on them.
    private static func microTimeError(_ object: JSONValue, _ definition: ResourceDefinition) -> StatusError? {
        let paths: [[String]]
        switch (definition.storage.group, definition.storage.plural) {
        case ("coordination.k8s.io", "leases"): paths = [["spec", "acquireTime"], ["spec", "renewTime"]]
        case ("", "events"): paths = [["eventTime"], ["series", "lastObservedTime"]]
        default: return nil
        }
        for path in paths {
            guard let text = object.value(at: path)?.stringValue else { continue }
            let layout = "2006-01-02T15:04:05.000000Z07:00"
            let rest = text.drop { $0 != "T" }.dropFirst().drop { $0.isNumber || $0 == ":" }
            if Timestamp(text) == nil {
                return failure(
                    "parsing time \"\(text)\" as \"\(layout)\": cannot parse \"\(text)\" as \"2006\"", definition)
            }
            if rest.first != "." {
                return failure(
                    "parsing time \"\(text)\" as \"\(layout)\": cannot parse \"\(rest)\" as \".000000\"", definition)
            }
        }
        return nil
    }

    private static func mismatch(
        _ value: JSONValue, _ field: String, _ type: String, _ definition: ResourceDefinition
    ) -> StatusError {
        failure("json: cannot unmarshal \(goName(value)) into Go struct field \(field) of type \(type)", definition)
    }

    private static func failure(_ detail: String, _ definition: ResourceDefinition) -> StatusError {
        .badRequest(
            "\(definition.kind) in version \"\(definition.version)\" cannot be handled as a \(definition.kind): \(detail)"
        )
    }

    private static func goName(_ value: JSONValue) -> String { goName(value.typeName) }

    private static func goName(_ type: String) -> String {
        type == "boolean" ? "bool" : type == "integer" ? "number" : type
    }
}
