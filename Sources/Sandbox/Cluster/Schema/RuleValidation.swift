import Encoding

/// Evaluates the CEL rules of a schema over a value, within the API server's budgets.
struct RuleValidation {
    private var errors: [FieldError] = []
    private var warnings: [String] = []
    /// Whether rules are also tried on what the update leaves alone; what they find there are warnings.
    private let checksUnchanged: Bool
    private var budget = CELEvaluator.requestLimit
    private var isOver = false

    private init(checksUnchanged: Bool) { self.checksUnchanged = checksUnchanged }

    /// The violated rules; `old` is nil on create.
    ///
    /// - Parameter checksUnchanged: false when the old object is known to satisfy all rules.
    static func findings(
        _ object: JSONValue, _ old: JSONValue?, _ schema: Schema, _ declaration: CELDeclaration?, path: String = "",
        checksUnchanged: Bool
    ) -> (errors: [FieldError], warnings: [String]) {
        var validation = RuleValidation(checksUnchanged: checksUnchanged)
        validation.visit(object, old, schema, declaration, path: path, isRatcheted: false)
        return (validation.errors, validation.warnings)
    }

    /// What the update leaves alone fails by rules that compare old and new only; the others warn (ratcheting).
    ///
    /// - Parameter isRatcheted: the nearest value above that can be matched with its old one is unchanged.
    private mutating func visit(
        _ value: JSONValue, _ old: JSONValue?, _ schema: Schema, _ declaration: CELDeclaration?, path: String,
        isRatcheted: Bool
    ) {
        guard schema.hasRules, !value.isNull, !isOver else { return }
        let isUnchanged = old.map { $0 == value } ?? isRatcheted
        if isUnchanged, !checksUnchanged, !schema.hasTransitionRules { return }
        if !schema.rules.isEmpty, let declaration = declaration ?? CELDeclaration(schema) {
            evaluate(schema, value, old, declaration, path: path, isUnchanged: isUnchanged)
        }
        switch value {
        case .object(let members):
            for (key, member) in members.sorted(by: { $0.key < $1.key }) {
                guard let memberSchema = schema.member(key) else { continue }
                let isField = schema.properties[key] != nil
                let memberPath = isField ? SchemaValidation.join(path, key) : "\(path)[\(key)]"
                let child = isField ? declaration?.fields[key] : declaration?.element
                visit(member, old?[key], memberSchema, child, path: memberPath, isRatcheted: isUnchanged)
            }
        case .array(let elements):
            guard let items = schema.items, items.hasRules else { return }
            let correlation = ListCorrelation(old: old, listType: schema.listType)
            for (index, element) in elements.enumerated() {
                visit(
                    element, correlation.old(of: element), items, declaration?.element, path: "\(path)[\(index)]",
                    isRatcheted: isUnchanged)
            }
        default: return
        }
    }

    private mutating func evaluate(
        _ schema: Schema, _ value: JSONValue, _ old: JSONValue?, _ declaration: CELDeclaration, path: String,
        isUnchanged: Bool
    ) {
        for rule in schema.rules where !isOver && applies(rule, old: old, isUnchanged: isUnchanged) {
            do throws(CELError) {
                let variables = try variables(rule, value, old, declaration)
                guard let error = try violation(of: rule, schema, value, variables, path: path) else { continue }
                add(error, rule, isUnchanged: isUnchanged)
            } catch {
                report(error, rule, schema, path: path, isUnchanged: isUnchanged)
            }
        }
    }

    private func applies(_ rule: ValidationRule, old: JSONValue?, isUnchanged: Bool) -> Bool {
        guard rule.usesOldSelf else { return checksUnchanged || !isUnchanged }
        return rule.isOldSelfOptional || !(old?.isNull ?? true)
    }

    private func variables(
        _ rule: ValidationRule, _ value: JSONValue, _ old: JSONValue?, _ declaration: CELDeclaration
    ) throws(CELError) -> [String: CELValue] {
        var variables = ["self": try CELValue(value, declaration)]
        guard rule.usesOldSelf else { return variables }
        var former: CELValue?
        if let old, !old.isNull { former = try CELValue(old, declaration) }
        variables["oldSelf"] = rule.isOldSelfOptional ? .optional(former) : former
        return variables
    }

    private mutating func add(_ error: FieldError, _ rule: ValidationRule, isUnchanged: Bool) {
        if isUnchanged, !rule.usesOldSelf {
            warnings.append(error.description)
        } else {
            errors.append(error)
        }
    }

    private mutating func violation(
        of rule: ValidationRule, _ schema: Schema, _ value: JSONValue, _ variables: [String: CELValue], path: String
    ) throws(CELError) -> FieldError? {
        var evaluator = CELEvaluator(variables: variables)
        let holds: Bool
        do throws(CELError) {
            holds = try evaluator.evaluateCondition(rule.expression)
        } catch {
            spend(evaluator.cost, schema, path)
            if isOver { return nil }
            throw error
        }
        spend(evaluator.cost, schema, path)
        guard !holds, !isOver else { return nil }
        let place = RuleFieldPath.resolved(rule.fieldPath, in: schema).map { RuleValidation.joined(path, $0) } ?? path
        let message = message(rule, variables) ?? rule.violation
        // A literal nil beside a JSONValue would be its null.
        let shown: JSONValue? = value.objectValue == nil && value.arrayValue == nil ? .some(value) : .none
        switch rule.reason {
        case .forbidden, .required: return FieldError(rule.reason, place, message)
        case .duplicate: return FieldError(.duplicate, place, value: shown)
        default: return FieldError(.invalid, place, value: shown, message)
        }
    }

    private static func joined(_ path: String, _ rest: String) -> String {
        rest.hasPrefix("[") ? path + rest : SchemaValidation.join(path, rest)
    }

    /// What `messageExpression` says; nil when there is none, or it fails, or it says nothing that fits in a line.
    private mutating func message(_ rule: ValidationRule, _ variables: [String: CELValue]) -> String? {
        guard let expression = rule.messageExpression else { return nil }
        var evaluator = CELEvaluator(variables: variables)
        // As the API server does it: a message that cannot be made gives way to the plain one.
        guard case .string(let text)? = try? evaluator.evaluate(expression) else { return nil }
        budget -= min(budget, evaluator.cost)
        let trimmed = text.trimmed
        return trimmed.isEmpty || trimmed.contains("\n") || trimmed.utf8.count > 5 << 10 ? nil : trimmed
    }

    private mutating func spend(_ cost: UInt64, _ schema: Schema, _ path: String) {
        guard cost > budget else {
            budget -= cost
            return
        }
        isOver = true
        errors.append(
            FieldError(
                .invalid, path, value: .string(schema.type ?? ""),
                "validation failed due to running out of cost budget, no further validation rules will be run"))
    }

    private mutating func report(
        _ error: CELError, _ rule: ValidationRule, _ schema: Schema, path: String, isUnchanged: Bool
    ) {
        let detail: String
        if error.message.hasPrefix("no such overload") {
            detail =
                "'\(error.message)': call arguments did not match a supported operator, function or macro signature "
                + "for rule: \(rule.title)"
        } else if error.message == CELEvaluator.limitMessage {
            isOver = true
            detail =
                "'\(error.message)': no further validation rules will be run due to call cost exceeds limit for rule: "
                + rule.title
        } else {
            detail = "\(error.message) evaluating rule: \(rule.title)"
        }
        let failure = FieldError(.invalid, path, value: .string(schema.type ?? ""), detail)
        if isOver { errors.append(failure) } else { add(failure, rule, isUnchanged: isUnchanged) }
    }
}
