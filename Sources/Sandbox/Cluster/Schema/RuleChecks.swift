import Encoding

/// Compiles the rules of a definition: types, what each can cost, and where `oldSelf` has a meaning.
struct RuleChecks {
    /// The API server's limits of one rule, times how often it can apply, and of all rules of a definition.
    static let ruleLimit = CELCost(10_000_000)
    static let definitionLimit = CELCost(100_000_000)

    /// How often a node can occur in an object; nil: as often as a request has room for it.
    private typealias Cardinality = UInt64?

    private var problems: [FieldError] = []
    private var total = CELCost.zero
    private var expensive: [(path: String, cost: CELCost)] = []

    static func check(_ root: Schema, path: String, problems: inout [FieldError]) {
        guard root.hasRules else { return }
        var checks = RuleChecks()
        checks.visit(root, CELDeclaration(root: root), cardinality: 1, uncorrelated: nil, path)
        if checks.total > definitionLimit {
            for rule in checks.expensive.sorted(by: { $0.cost > $1.cost }).prefix(4) {
                checks.problems.append(
                    FieldError(
                        .forbidden, rule.path,
                        "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"))
            }
            checks.problems.append(
                FieldError(
                    .forbidden, path,
                    excess(
                        "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema",
                        checks.total, definitionLimit)))
        }
        problems += checks.problems
    }

    /// What the rules of a schema cost in the worst case, by their place: what tests and authors want to see.
    static func costs(_ root: Schema) -> [String: UInt64] {
        var checks = RuleChecks()
        checks.visit(root, CELDeclaration(root: root), cardinality: 1, uncorrelated: nil, "")
        return checks.observed
    }

    private var observed: [String: UInt64] = [:]

    /// - Parameter uncorrelated: the nearest list above whose elements cannot be matched with their old ones.
    private mutating func visit(
        _ schema: Schema, _ declaration: CELDeclaration?, cardinality: Cardinality, uncorrelated: String?,
        _ path: String
    ) {
        guard schema.hasRules else { return }
        if let declaration = declaration ?? CELDeclaration(schema) {
            for (index, rule) in schema.rules.enumerated() {
                let place = "\(path).x-kubernetes-validations[\(index)]"
                check(rule, schema, declaration, cardinality, uncorrelated, place)
            }
        } else if !schema.rules.isEmpty {
            problems.append(
                FieldError(
                    .invalid, "\(path).x-kubernetes-validations",
                    "rules need a type, and items or fields that have one"))
        }
        let limits = schema.limits
        for (key, property) in schema.properties.sorted(by: { $0.key < $1.key }) {
            visit(
                property, declaration?.fields[key], cardinality: cardinality, uncorrelated: uncorrelated,
                "\(path).properties[\(key)]")
        }
        if let values = schema.additionalProperties {
            visit(
                values, declaration?.element, cardinality: product(cardinality, limits.maxProperties),
                uncorrelated: uncorrelated, "\(path).additionalProperties")
        }
        if let items = schema.items {
            var lost = uncorrelated
            if case .map = schema.listType {} else { lost = lost ?? path }
            visit(
                items, declaration?.element, cardinality: product(cardinality, limits.maxItems), uncorrelated: lost,
                "\(path).items")
        }
    }

    private func product(_ cardinality: Cardinality, _ maximum: Int?) -> Cardinality {
        guard let cardinality, let maximum else { return nil }
        return (CELCost(cardinality) * CELCost(UInt64(max(0, maximum)))).units
    }

    private mutating func check(
        _ rule: ValidationRule, _ schema: Schema, _ declaration: CELDeclaration, _ cardinality: Cardinality,
        _ uncorrelated: String?, _ place: String
    ) {
        let most = cardinality ?? CELDeclaration.maximumRequestBytes / (declaration.minimumBytes + 1)
        if let cost = cost(rule.expression, rule, rule.text, declaration, .bool, "\(place).rule", "compilation failed")
        {
            observe(cost * CELCost(most), "estimated rule cost", "\(place).rule")
        }
        if let expression = rule.messageExpression {
            let text = rule.source["messageExpression"]?.stringValue ?? ""
            let spot = "\(place).messageExpression"
            if let cost = cost(
                expression, rule, text, declaration, .string, spot, "messageExpression compilation failed")
            {
                observe(cost, "estimated messageExpression cost", spot)
            }
        }
        if rule.usesOldSelf, let uncorrelated {
            problems.append(
                FieldError(
                    .invalid, "\(place).rule", value: .string(rule.text),
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within \(uncorrelated)"))
        }
        if !rule.fieldPath.isEmpty, RuleFieldPath.resolved(rule.fieldPath, in: schema) == nil {
            problems.append(
                FieldError(.invalid, "\(place).fieldPath", value: .string(rule.fieldPath), "must be a valid path"))
        }
    }

    private mutating func cost(
        _ expression: CELExpression, _ rule: ValidationRule, _ text: String, _ declaration: CELDeclaration,
        _ wanted: CELType, _ place: String, _ prefix: String
    ) -> CELCost? {
        do throws(CELError) {
            return try CELChecker.cost(
                of: expression, self: declaration, isOldSelfOptional: rule.isOldSelfOptional, wanted: wanted)
        } catch {
            let isResult = error.position == nil
            let subject = wanted.name == "bool" ? "cel expression" : "messageExpression"
            let detail = isResult ? "\(subject) \(error.message)" : "\(prefix): \(error.shown(in: text))"
            problems.append(FieldError(.invalid, place, value: rule.source, detail))
            return nil
        }
    }

    private mutating func observe(_ cost: CELCost, _ name: String, _ place: String) {
        observed[place] = cost.units
        total = total + cost
        if cost.units >= RuleChecks.definitionLimit.units / 100 { expensive.append((place, cost)) }
        if cost > RuleChecks.ruleLimit {
            problems.append(FieldError(.forbidden, place, RuleChecks.excess(name, cost, RuleChecks.ruleLimit)))
        }
    }

    private static func excess(_ name: String, _ cost: CELCost, _ limit: CELCost) -> String {
        let factor = Double(cost.units) / Double(limit.units)
        let text: String
        if factor > 100 {
            text = "more than 100x"
        } else {
            // Go's %f and %.1f.
            let digits = factor < 1.5 ? 6 : 1
            let scale = factor < 1.5 ? 1_000_000.0 : 10
            let scaled = Int64((factor * scale).rounded(.toNearestOrEven))
            let fraction = String(scaled % Int64(scale))
            text =
                "\(scaled / Int64(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction + "x"
        }
        return "\(name) exceeds budget by factor of \(text) (try simplifying the rule, or adding maxItems, "
            + "maxProperties, and maxLength where arrays, maps, and strings are declared)"
    }
}

/// `fieldPath` of a rule: `.a.b`, `['a key']`.
enum RuleFieldPath {
    /// The path as errors show it, without a leading dot; nil when it leads nowhere.
    static func resolved(_ text: String, in schema: Schema) -> String? {
        var rest = Substring(text)
        var current = schema
        var shown = ""
        while let first = rest.first {
            let name: String
            if first == "." {
                let part = rest.dropFirst().prefix { $0 != "." && $0 != "[" && $0 != "]" }
                name = String(part)
                rest = rest.dropFirst(1 + part.count)
            } else if rest.hasPrefix("['"), let end = rest.firstRange(of: "']") {
                name = String(rest[rest.index(rest.startIndex, offsetBy: 2)..<end.lowerBound])
                rest = rest[end.upperBound...]
            } else {
                return nil
            }
            if let property = current.properties[name] {
                shown += shown.isEmpty ? name : ".\(name)"
                current = property
            } else if current.properties.isEmpty, let values = current.additionalProperties {
                shown += "[\(name)]"
                current = values
            } else {
                return nil
            }
        }
        return shown.isEmpty ? nil : shown
    }
}
