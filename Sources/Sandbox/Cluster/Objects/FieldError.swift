import Encoding

/// One violated rule of an object: what a `Status` lists as a cause.
struct FieldError: Sendable, Hashable {
    /// The words of `k8s.io/apimachinery/pkg/util/validation/field`.
    enum Kind: String, Sendable {
        case required = "FieldValueRequired"
        case invalid = "FieldValueInvalid"
        case typeInvalid = "FieldValueTypeInvalid"
        case notSupported = "FieldValueNotSupported"
        case duplicate = "FieldValueDuplicate"
        case forbidden = "FieldValueForbidden"
        case tooLong = "FieldValueTooLong"
        case tooMany = "FieldValueTooMany"

        var words: String {
            switch self {
            case .required: "Required value"
            case .invalid, .typeInvalid: "Invalid value"
            case .notSupported: "Unsupported value"
            case .duplicate: "Duplicate value"
            case .forbidden: "Forbidden"
            case .tooLong: "Too long"
            case .tooMany: "Too many"
            }
        }
    }

    var kind: Kind
    /// `spec.inputs[0].name`; "<nil>" for the object itself.
    var path: String
    /// What was found, as it is shown.
    var value: String?
    var detail: String

    init(_ kind: Kind, _ path: String, value: JSONValue? = nil, _ detail: String = "") {
        self.kind = kind
        self.path = path.isEmpty ? "<nil>" : path
        self.value = value.map(FieldError.shown)
        self.detail = detail
    }

    /// The only value that `dryRun` may have is `All`.
    static func dryRun(_ asked: [String]) -> FieldError {
        var error = FieldError(.notSupported, "dryRun", "supported values: \"All\"")
        error.value = "[]string{\(asked.map { "\"\($0)\"" }.joined(separator: ", "))}"
        return error
    }

    /// What comes with others that keep rules from being tried.
    static let rulesNotChecked = FieldError(
        .invalid, "", value: .null,
        "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
            + "validation")

    /// The same, found in a member.
    func below(_ member: String) -> FieldError {
        var error = self
        error.path = path == "<nil>" ? member : path.hasPrefix("[") ? member + path : "\(member).\(path)"
        return error
    }

    /// Without the path: the message of a cause.
    var body: String {
        let head = value.map { "\(kind.words): \($0)" } ?? kind.words
        return detail.isEmpty ? head : "\(head): \(detail)"
    }

    var description: String { "\(path): \(body)" }

    var cause: JSONValue {
        ["reason": .string(kind.rawValue), "message": .string(body), "field": .string(path)]
    }

    /// Whether CEL rules are not tried once this is found: they could fail for the same reason only.
    var blocksRules: Bool {
        switch kind {
        case .required, .typeInvalid, .tooLong, .tooMany, .notSupported: true
        case .invalid, .duplicate, .forbidden: false
        }
    }

    private static func shown(_ value: JSONValue) -> String {
        let text = value.serializedText()
        return text.utf8.count <= 256 ? text : String(text.prefix(256)) + "…"
    }
}
