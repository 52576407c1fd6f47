import Encoding
import Testing
import YAML

@testable import Sandbox

/// The worst-case cost of rules. The numbers are the API server's: its own tests (`TestCostEstimation`) expect them.
@Suite struct CELCostTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var schema: String
        var rule: String
        var cost: UInt64
        var testDescription: String { "\(rule) on \(schema)" }

        init(_ schema: String, _ rule: String, _ cost: UInt64) {
            self.schema = schema
            self.rule = rule
            self.cost = cost
        }
    }

    private static func array(_ items: String, _ maximum: Int? = nil) -> String {
        "{type: array, items: {\(items)}\(maximum.map { ", maxItems: \($0)" } ?? "")}"
    }

    private static func map(_ values: String, _ maximum: Int? = nil) -> String {
        "{type: object, additionalProperties: {\(values)}\(maximum.map { ", maxProperties: \($0)" } ?? "")}"
    }

    private static let string = "type: string"
    private static let moment = "type: string, format: date-time"
    private static let intOrString = "x-kubernetes-int-or-string: true"
    private static let text = "{type: string}"

    static let cases: [Case] = [
        Case(array("type: number"), "self.all(x, true)", 4_718_591),
        Case(array("type: number", 10), "self.all(x, true)", 32),
        Case(array(string), "self.all(x, true)", 3_145_727), Case(array(string, 20), "self.all(x, true)", 62),
        Case(array("type: boolean"), "self.all(x, true)", 1_887_437),
        Case(array("type: array, items: {type: number}"), "self.all(x, true)", 3_145_727),
        Case(map("type: number"), "self.all(x, true)", 1_348_169), Case(map(string), "self.all(x, true)", 1_179_647),
        Case(map(string, 3), "self.all(x, true)", 11), Case(map("type: boolean"), "self.all(x, true)", 943_718),
        Case(text, "self.contains('test')", 314_574), Case("{type: string, maxLength: 10}", "self.contains('test')", 5),
        Case(text, "self.startsWith('test')", 2), Case(text, "self.endsWith('test')", 2),
        Case(text, "size(self + \"hello\") > size(\"hello\")", 314_578),
        Case("{type: string, maxLength: 4}", "size(self + \"hello\") > size(\"hello\")", 7),
        Case(array("type: number"), "self[1] == 0.0", 2), Case(array(string), "self[1] == self[1]", 314_577),
        Case(array("type: number", 10), "self.all(x, self.all(y, true))", 352),
        Case(array("type: number", 10), "self.all(x, self.all(y, self.all(z, true)))", 3552),
        Case(text, "self.matches(\"x\")", 314_574), Case("{type: string, maxLength: 50}", "self.matches(\"x\")", 22),
        Case(text, "\"\".matches(\"(((((((((())))))))))[0-9]\")", 7), Case(text, "self.matches(\"\")", 1),
        Case(text, "self == \"x\"", 2), Case("{type: string, maxLength: 0}", "self == \"x\"", 1),
        Case(array("type: number"), "self.all(x, x == 0.0)", 6_291_454),
        Case(array("type: number", 3 * 1024 * 2048), "self.all(x, x == 0.0)", 25_165_826),
        Case(array(intOrString), "self.all(x, true)", 4_718_591), Case(array(intOrString), "self[0] == 5", 3),
        Case(array("type: boolean"), "self[0] == false", 2),
        Case(array("type: array, items: {type: number}"), "self[0][0] == -1.0", 3),
        Case(array("type: object, additionalProperties: {type: number}"), "self.all(x, x.y == 25.2)", 6_291_452),
        Case(array("type: object, additionalProperties: {type: number}", 12), "self.all(x, x.y == 25.2)", 74),
        Case(array("type: object, additionalProperties: {type: number}"), "self[0].x > 2.0", 4),
        Case(array("type: string, format: duration"), "self.all(x, true)", 2_359_295),
        Case(array("type: string, format: date"), "self.all(x, true)", 725_936),
        Case(array(moment), "self.all(x, true)", 428_963), Case(map(moment), "self.all(x, true)", 349_526),
        Case(map(intOrString), "self.all(x, true)", 1_348_169),
        Case(map("type: array, items: {type: number}"), "self.all(x, true)", 1_179_647),
        Case(array(string), "self.isSorted() == true", 329_854_432_052),
        Case(array("type: string, maxLength: 10", 10), "self.isSorted() == true", 52),
        Case(map("type: integer"), "oldSelf.size() == self.size()", 5),
        Case(map(moment), "self[\"a\"] == self[\"b\"]", 8),
        Case(map("type: string, format: duration"), "self[\"c\"] == self[\"d\"]", 8),
        Case("{type: string, enum: [A, B, C, LongValue]}", "self.contains('A')", 2),
        Case("{type: string, enum: [A, B], maxLength: 1000}", "self.contains('A')", 401),
    ]

    @Test(arguments: cases)
    func `a rule is as expensive as the API server finds it`(example: Case) throws {
        let declaration = try #require(CELDeclaration(try Self.schema(example.schema)))
        let cost = try CELChecker.cost(
            of: try CELParser.parse(example.rule), self: declaration, isOldSelfOptional: false, wanted: .bool)
        #expect(cost.units == example.cost)
    }

    private static func schema(_ text: String) throws -> Schema {
        try Schema(try YAML.document(text).json, path: "schema")
    }

    // MARK: Definitions

    private static func problems(_ text: String) throws -> [String] {
        var problems: [FieldError] = []
        _ = Schema(checked: try YAML.document(text).json, path: "root", problems: &problems)
        return problems.map(\.description)
    }

    @Test func `a rule over its limit is refused with the factor and a way out`() throws {
        let problems = try Self.problems(
            """
            type: object
            properties:
              list:
                type: array
                items: {type: string}
                x-kubernetes-validations: [{rule: "self.all(x, self.all(y, x == y))", message: m}]
            """)
        #expect(
            problems == [
                "root.properties[list].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by "
                    + "factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and "
                    + "maxLength where arrays, maps, and strings are declared)",
                "root.properties[list].x-kubernetes-validations[0].rule: Forbidden: contributed to estimated rule cost "
                    + "total exceeding cost limit for entire OpenAPIv3 schema",
                "root: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds "
                    + "budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, "
                    + "and maxLength where arrays, maps, and strings are declared)",
            ])
    }

    @Test func `a rule counts as often as its place can occur`() throws {
        let text = """
            type: object
            properties:
              list:
                type: array
                maxItems: 1000
                items:
                  type: object
                  properties:
                    name:
                      type: string
                      maxLength: 2500
                      x-kubernetes-validations: [{rule: "self.matches('^[a-z]+$') && self != 'x'", message: m}]
            """
        // (10,001 × 0.1) × (8 × 0.25) + 1 for self, 1 + 1 for the comparison, a thousand times.
        #expect(
            RuleChecks.costs(try Self.schema(text)) == [
                ".properties[list].items.properties[name].x-kubernetes-validations[0].rule": 2_005_000
            ])
        #expect(try Self.problems(text) == [])
        let crowded = text.split(separator: "maxItems: 1000").joined(separator: "maxItems: 6000")
        let problem = try Self.problems(crowded).first ?? ""
        #expect(problem.contains("exceeds budget by factor of 1.203000x"), "\(problem)")
    }

    @Test func `oldSelf has no meaning in lists whose elements cannot be matched`() throws {
        let problems = try Self.problems(
            """
            type: object
            properties:
              list:
                type: array
                maxItems: 3
                items: {type: integer, x-kubernetes-validations: [{rule: self == oldSelf, message: m}]}
            """)
        #expect(
            problems == [
                "root.properties[list].items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": "
                    + "oldSelf cannot be used on the uncorrelatable portion of the schema within root.properties[list]"
            ])
    }
}
