import Encoding

/// What `metadata.name` must be.
enum NameRule: Sendable {
    case subdomain, label, label1035, pathSegment

    func error(_ name: String) -> String? {
        switch self {
        case .subdomain:
            MetadataValidation.isSubdomain(name)
                ? nil
                : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                    + "must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
                    + "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        case .label:
            MetadataValidation.isLabel(name)
                ? nil
                : "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                    + "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
                    + "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        case .label1035:
            MetadataValidation.isLabel(name) && name.first?.isLetter == true
                ? nil
                : "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                    + "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
                    + "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        case .pathSegment:
            name == "." || name == ".." || name.contains("/") || name.contains("%")
                ? "may not contain '/' or '%' and may not be '.' or '..'" : nil
        }
    }
}

/// The checks of every object's metadata.
enum MetadataValidation {
    static func errors(_ object: JSONValue, _ definition: ResourceDefinition, old: JSONValue?) -> [FieldError] {
        let rule = definition.nameRule
        var errors: [FieldError] = []
        let name = object.objectName
        if name.isEmpty {
            errors.append(FieldError(.required, "metadata.name", "name or generateName is required"))
        } else if name.utf8.count > 253 {
            errors.append(
                FieldError(.invalid, "metadata.name", value: .string(name), "must be no more than 253 characters"))
        } else if old == nil, let detail = rule.error(name) {
            errors.append(FieldError(.invalid, "metadata.name", value: .string(name), detail))
        }
        errors += labelErrors(object)
        errors += annotationErrors(object)
        errors += finalizerErrors(object, old, needDomains: !definition.isCustom)
        errors += ownerErrors(object)
        return errors
    }

    private static func labelErrors(_ object: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        for (key, value) in (object.metadata("labels")?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
            errors += qualifiedNameErrors(key).map {
                FieldError(.invalid, "metadata.labels", value: .string(key), $0)
            }
            errors += labelValueErrors(value.stringValue ?? "").map {
                FieldError(.invalid, "metadata.labels", value: value, $0)
            }
        }
        return errors
    }

    private static func annotationErrors(_ object: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        var size = 0
        for (key, value) in (object.metadata("annotations")?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
            size += key.utf8.count + (value.stringValue?.utf8.count ?? 0)
            errors += qualifiedNameErrors(key.lowercased()).map {
                FieldError(.invalid, "metadata.annotations", value: .string(key), $0)
            }
        }
        if size > 262_144 {
            errors.append(FieldError(.tooLong, "metadata.annotations", "may not be more than 262144 bytes"))
        }
        return errors
    }

    /// Built-in kinds take only finalizers with a domain, beside the standard ones.
    private static func finalizerErrors(
        _ object: JSONValue, _ old: JSONValue?, needDomains: Bool
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let standard: Set<String> = ["orphan", "foregroundDeletion", "kubernetes"]
        for finalizer in object.finalizers {
            errors += qualifiedNameErrors(finalizer).map {
                FieldError(.invalid, "metadata.finalizers", value: .string(finalizer), $0)
            }
        }
        for (index, finalizer) in object.finalizers.enumerated()
        where needDomains && !finalizer.contains("/") && !standard.contains(finalizer) {
            errors.append(
                FieldError(
                    .invalid, "metadata.finalizers[\(index)]", value: .string(finalizer),
                    "name is neither a standard finalizer name nor is it fully qualified"))
        }
        if let old, old.deletionTimestamp != nil {
            let added = object.finalizers.filter { !old.finalizers.contains($0) }
            if !added.isEmpty {
                let list = added.map { "\"\($0)\"" }.joined(separator: ", ")
                errors.append(
                    FieldError(
                        .forbidden, "metadata.finalizers",
                        "no new finalizers can be added if the object is being deleted, found new finalizers "
                            + "[]string{\(list)}"))
            }
        }
        return errors
    }

    private static func ownerErrors(_ object: JSONValue) -> [FieldError] {
        var errors: [FieldError] = []
        var controllers: [String] = []
        for reference in object.ownerReferences {
            let path = "metadata.ownerReferences"
            for (key, word) in [("apiVersion", "version"), ("kind", "kind"), ("name", "name"), ("uid", "uid")]
            where (reference[key]?.stringValue ?? "").isEmpty {
                errors.append(FieldError(.invalid, "\(path).\(key)", value: "", "\(word) must not be empty"))
            }
            if reference["controller"]?.boolValue == true {
                controllers.append("\(reference["kind"]?.stringValue ?? "")/\(reference["name"]?.stringValue ?? "")")
            }
        }
        if controllers.count > 1 {
            errors.append(
                FieldError(
                    .invalid, "metadata.ownerReferences", value: .array(object.ownerReferences),
                    "Only one reference can have Controller set to true. Found \"true\" in references for "
                        + controllers.joined(separator: " and ")))
        }
        return errors
    }

    // MARK: Syntax

    private static let nameRule =
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
        + "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        + "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

    /// What is wrong with a label's key, in the words of `k8s.io/apimachinery/pkg/util/validation`.
    static func qualifiedNameErrors(_ text: String) -> [String] {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let name = parts.last else {
            return [
                "a qualified name \(nameRule) with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        }
        var errors: [String] = []
        if parts.count == 2 {
            if parts[0].isEmpty {
                errors.append("prefix part must be non-empty")
            } else if let detail = NameRule.subdomain.error(String(parts[0])) {
                errors.append("prefix part \(detail)")
            }
        }
        if name.isEmpty { errors.append("name part must be non-empty") }
        if name.utf8.count > 63 { errors.append("name part must be no more than 63 characters") }
        if !isNameText(name) { errors.append("name part \(nameRule)") }
        return errors
    }

    static func labelValueErrors(_ text: String) -> [String] {
        var errors: [String] = []
        if text.utf8.count > 63 { errors.append("must be no more than 63 characters") }
        if !text.isEmpty, !isNameText(text[...]) {
            errors.append(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                    + "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
                    + "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')")
        }
        return errors
    }

    private static func isNameText(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else {
            return false
        }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F }
    }

    static func isSubdomain(_ text: String) -> Bool {
        text.utf8.count <= 253
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isLabelText($0) }
    }

    static func isLabel(_ text: String) -> Bool { text.utf8.count <= 63 && isLabelText(text[...]) }

    private static func isLabelText(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isLowerAlphanumeric(first) && isLowerAlphanumeric(last)
            && text.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == 0x2D }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLowerAlphanumeric(byte) || (0x41...0x5A).contains(byte)
    }

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
