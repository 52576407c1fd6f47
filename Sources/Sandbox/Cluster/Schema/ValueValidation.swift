import Encoding

/// Lengths, patterns and formats of strings.
enum StringValidation {
    /// The first of length and pattern that does not hold, and the format.
    static func errors(_ text: String, _ schema: Schema, path: String) -> [FieldError] {
        var errors = shapeError(text, schema, path: path).map { [$0] } ?? []
        if !StringFormat.accepts(text, schema.format) {
            let quoted = JSONValue.string(text).serializedText()
            errors.append(
                FieldError(
                    .typeInvalid, path, value: .string(text),
                    "\(path) in body must be of type \(schema.format): \(quoted)"))
        }
        return errors
    }

    private static func shapeError(_ text: String, _ schema: Schema, path: String) -> FieldError? {
        if let maximum = schema.limits.maxLength, text.unicodeScalars.count > maximum {
            return FieldError(.tooLong, path, "may not be more than \(maximum) bytes")
        }
        if let minimum = schema.limits.minLength, text.unicodeScalars.count < minimum {
            return SchemaValidation.invalid(path, .string(text), "should be at least \(minimum) chars long")
        }
        if let pattern = schema.pattern, !pattern.matches(text) {
            return SchemaValidation.invalid(path, .string(text), "should match '\(pattern.text)'")
        }
        return nil
    }
}

/// Bounds and formats of numbers.
enum NumberValidation {
    static func errors(_ value: JSONValue, _ schema: Schema, path: String) -> [FieldError] {
        guard let number = value.doubleValue else { return [] }
        var errors = rangeErrors(value, schema, path: path)
        let limits = schema.limits
        if let minimum = limits.minimum, number < minimum || (limits.isMinimumExclusive && number == minimum) {
            let words = limits.isMinimumExclusive ? "greater than" : "greater than or equal to"
            errors.append(SchemaValidation.invalid(path, value, "should be \(words) \(text(minimum))"))
        }
        if let maximum = limits.maximum, number > maximum || (limits.isMaximumExclusive && number == maximum) {
            let words = limits.isMaximumExclusive ? "less than" : "less than or equal to"
            errors.append(SchemaValidation.invalid(path, value, "should be \(words) \(text(maximum))"))
        }
        if let factor = limits.multipleOf, factor > 0, (number / factor).rounded() * factor != number {
            errors.append(SchemaValidation.invalid(path, value, "should be a multiple of \(text(factor))"))
        }
        return errors
    }

    /// What no integer of the format can be; such an error has no place of its own, its text names it.
    private static func rangeErrors(_ value: JSONValue, _ schema: Schema, path: String) -> [FieldError] {
        guard schema.type == "integer" else { return [] }
        let isRight = value.integerValue.map { schema.format != "int32" || Int32(exactly: $0) != nil } ?? false
        guard !isRight else { return [] }
        let kind = schema.format.isEmpty ? "integer (default format)" : "integer with format \(schema.format)"
        return [FieldError(.invalid, "", value: "", "Checked value must be of type \(kind) in \(path)")]
    }

    private static func text(_ number: Double) -> String { JSONValue.number(number).serializedText() }
}
