import Encoding

/// One entry of `x-kubernetes-validations`.
struct ValidationRule: Sendable {
    let text: String
    let expression: CELExpression
    /// nil: the rule's text tells what is wrong.
    let message: String?
    let messageExpression: CELExpression?
    let reason: FieldError.Kind
    /// Below the rule's place: `.bucket.name`, `['a key']`; checked.
    let fieldPath: String
    let usesOldSelf: Bool
    let isOldSelfOptional: Bool
    /// The entry as it was written.
    let source: JSONValue

    /// Reads an entry; what is wrong with it goes to `problems`, and then there is no rule.
    init?(_ json: JSONValue, path: String, problems: inout [FieldError]) {
        let count = problems.count
        let text = json["rule"]?.stringValue ?? ""
        let message = json["message"]?.stringValue
        ValidationRule.checkTexts(text, message, json, path: path, problems: &problems)
        guard problems.count == count else { return nil }
        self.text = text
        self.message = message
        source = json
        guard
            let expression = ValidationRule.parse(
                text, place: "\(path).rule", json, prefix: "compilation failed", problems: &problems)
        else { return nil }
        self.expression = expression
        if let text = json["messageExpression"]?.stringValue {
            guard
                let parsed = ValidationRule.parse(
                    text, place: "\(path).messageExpression", json, prefix: "messageExpression compilation failed",
                    problems: &problems)
            else { return nil }
            messageExpression = parsed
        } else {
            messageExpression = nil
        }
        reason = json["reason"]?.stringValue.flatMap(FieldError.Kind.init) ?? .invalid
        fieldPath = json["fieldPath"]?.stringValue ?? ""
        usesOldSelf = expression.mentions("oldSelf")
        isOldSelfOptional = json["optionalOldSelf"]?.boolValue ?? false
        if json["optionalOldSelf"] != nil, !usesOldSelf {
            problems.append(
                FieldError(
                    .invalid, "\(path).optionalOldSelf", value: json["optionalOldSelf"],
                    "may not be set if oldSelf is not used in rule"))
        }
    }

    /// What an error of the rule is called by.
    var title: String { (message ?? text).trimmed }

    /// What a violation says, unless `messageExpression` does.
    var violation: String { message?.trimmed ?? "failed rule: \(text.trimmed)" }

    private static let reasons = [
        "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired",
    ]

    private static func checkTexts(
        _ text: String, _ message: String?, _ json: JSONValue, path: String, problems: inout [FieldError]
    ) {
        func isBlank(_ text: String) -> Bool { text.trimmed.isEmpty }
        func hasLineBreak(_ text: String) -> Bool { text.trimmed.contains { $0.isNewline } }
        if isBlank(text) {
            problems.append(FieldError(.required, "\(path).rule", "rule is not specified"))
        } else if let message, !message.isEmpty, isBlank(message) {
            problems.append(
                FieldError(.invalid, "\(path).message", value: .string(message), "must be non-empty if specified"))
        } else if let message, hasLineBreak(message) {
            problems.append(
                FieldError(.invalid, "\(path).message", value: .string(message), "must not contain line breaks"))
        } else if hasLineBreak(text), isBlank(message ?? "") {
            problems.append(
                FieldError(
                    .required, "\(path).message", "message must be specified if rule contains line breaks"))
        }
        if let expression = json["messageExpression"]?.stringValue, !expression.isEmpty, isBlank(expression) {
            problems.append(
                FieldError(
                    .required, "\(path).messageExpression", "messageExpression must be non-empty if specified"))
        }
        if let reason = json["reason"]?.stringValue, !reasons.contains(reason) {
            problems.append(.unsupported("\(path).reason", reason, supported: reasons))
        }
    }

    private static func parse(
        _ text: String, place: String, _ json: JSONValue, prefix: String, problems: inout [FieldError]
    ) -> CELExpression? {
        do throws(CELError) {
            return try CELParser.parse(text)
        } catch {
            problems.append(FieldError(.invalid, place, value: json, "\(prefix): \(error.shown(in: text))"))
            return nil
        }
    }
}

extension String {
    /// Without white space at both ends.
    var trimmed: String { String(self[...].trimmed) }
}
