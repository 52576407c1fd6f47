import Encoding

/// Evaluates the CEL rules of a schema over a value.
struct RuleValidation {
    private var errors: [FieldError] = []
    private var budget = CELEvaluator.requestBudget

    /// The violated rules; `old` is nil on create.
    static func errors(_ object: JSONValue, _ old: JSONValue?, _ schema: Schema) -> [FieldError] {
        var validation = RuleValidation()
        validation.visit(object, old, schema, path: "")
        return validation.errors
    }

    /// A value that the update leaves alone is only shown to rules that compare old and new.
    private mutating func visit(_ value: JSONValue, _ old: JSONValue?, _ schema: Schema, path: String) {
        guard schema.hasRules, !(value.isNull && schema.isNullable) else { return }
        let isUnchanged = old == value
        if isUnchanged, !schema.hasTransitionRules { return }
        for rule in schema.rules where applies(rule, old: old, isUnchanged: isUnchanged) {
            evaluate(rule, value, old, path: path, typeName: schema.type ?? value.typeName)
        }
        switch value {
        case .object(let members):
            for (key, member) in members.sorted(by: { $0.key < $1.key }) {
                guard let memberSchema = schema.member(key) else { continue }
                let isField = schema.properties[key] != nil
                let memberPath = isField ? SchemaValidation.join(path, key) : "\(path)[\(key)]"
                visit(member, old?[key], memberSchema, path: memberPath)
            }
        case .array(let elements):
            guard let items = schema.items else { return }
            let correlation = ListCorrelation(old: old, listType: schema.listType)
            for (index, element) in elements.enumerated() {
                visit(element, correlation.old(of: element), items, path: "\(path)[\(index)]")
            }
        default: return
        }
    }

    private func applies(_ rule: ValidationRule, old: JSONValue?, isUnchanged: Bool) -> Bool {
        guard rule.usesOldSelf else { return !isUnchanged }
        return rule.isOldSelfOptional || old != nil
    }

    private mutating func evaluate(
        _ rule: ValidationRule, _ value: JSONValue, _ old: JSONValue?, path: String, typeName: String
    ) {
        var variables: [String: CELValue] = ["self": .json(value)]
        variables["oldSelf"] = rule.isOldSelfOptional ? .optional(old) : old.map(CELValue.json)
        var evaluator = CELEvaluator(variables: variables, budget: budget)
        defer { budget = evaluator.budget }
        let place = rule.fieldPath.isEmpty ? path : SchemaValidation.join(path, rule.fieldPath)
        do throws(CELError) {
            guard try !evaluator.evaluateCondition(rule.expression) else { return }
            var message = rule.message
            if let expression = rule.messageExpression,
                case .json(.string(let text)) = try evaluator.evaluate(expression)
            {
                message = text
            }
            errors.append(FieldError(rule.reason, place, value: .string(typeName), message))
        } catch {
            errors.append(
                FieldError(
                    .invalid, place, value: .string(typeName),
                    "\(error.message) evaluating rule: \(rule.message)"))
        }
    }
}
