import Encoding
import Telemetry
import Testing
import YAML

@testable import Sandbox

/// The expression language alone: parser, checker, cost and evaluator.
@Suite struct CELTests {
    private static let schemaText = """
        type: object
        properties:
          name: {type: string}
          count: {type: integer}
          ratio: {type: number}
          text: {type: string}
          "on": {type: boolean}
          list: {type: array, items: {type: integer}}
          items:
            type: array
            x-kubernetes-list-type: map
            x-kubernetes-list-map-keys: [name]
            items:
              type: object
              required: [name]
              properties: {name: {type: string}, weight: {type: integer}}
          tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
          map: {type: object, additionalProperties: {type: string}}
          in: {type: string}
          a-b: {type: string}
          when: {type: string, format: date-time}
          later: {type: string, format: date-time}
          wait: {type: string, format: duration}
          port: {x-kubernetes-int-or-string: true}
          other: {type: string}
          note: {type: string, nullable: true}
          free: {type: object, x-kubernetes-preserve-unknown-fields: true}
          anything: {x-kubernetes-preserve-unknown-fields: true}
        """

    private static let object: JSONValue = [
        "name": "abc", "count": 3, "ratio": 2, "text": "1.5", "on": true, "list": [1, 2, 3],
        "items": [["name": "a", "weight": 1], ["name": "b", "weight": 2]], "map": ["x": "1", "y": "2"],
        "in": "keyword", "a-b": "dash", "when": "2026-11-21T10:00:00Z", "later": "2026-11-21T09:30:00.5-01:00",
        "wait": "90m", "port": "http", "note": nil, "tags": ["x", "y"], "free": ["any": 1],
    ]

    private static func schema(_ text: String = schemaText) throws -> Schema {
        try Schema(try YAML.document(text).json, path: "schema")
    }

    private func evaluate(
        _ text: String, old: JSONValue? = nil, isOldSelfOptional: Bool = false
    ) throws -> Bool {
        let declaration = try #require(CELDeclaration(try Self.schema()))
        let expression = try CELParser.parse(text)
        _ = try CELChecker.cost(
            of: expression, self: declaration, isOldSelfOptional: isOldSelfOptional, wanted: .bool)
        let former = try old.map { try CELValue($0, declaration) }
        var evaluator = CELEvaluator(variables: [
            "self": try CELValue(Self.object, declaration),
            "oldSelf": isOldSelfOptional ? .optional(former) : former ?? .null,
        ])
        return try evaluator.evaluateCondition(expression)
    }

    @Test(arguments: [
        ("self.count == 3 && self.ratio < 3.0", true), ("self.count < 3.5 && self.ratio > 1", true),
        ("self.count != 3", false), ("!self.on || self.name == 'abc'", true), ("self.ratio == 2.0", true),
        ("self.name in ['x', \"abc\"]", true), ("'x' in self.map", true), ("2 in self.list && !(4 in self.list)", true),
        ("has(self.name) && !has(self.other)", true), ("has(self.map.x)", true), ("size(self.list) == 3", true),
        ("has(self.note)", false), ("self.list.size() == 3 && self.name.size() == 3", true),
        ("self.list.all(i, i > 0)", true), ("self.list.exists(i, i == 2)", true),
        ("self.list.exists_one(i, i > 2)", true), ("self.list.exists_one(i, i > 1)", false),
        ("self.list.filter(i, i > 1) == [2, 3]", true), ("self.list.map(i, i * 2) == [2, 4, 6]", true),
        ("self.items.map(i, i.weight).isSorted()", true), ("[3, 1].isSorted()", false),
        ("self.map.all(k, k.matches('^[xy]$'))", true),
        ("self.items.all(x, self.items.exists_one(y, y.name == x.name))", true),
        ("double(self.text) > 1.0 && double(self.count) == 3.0", true), ("self.name.matches('b')", true),
        ("self.name.matches('^b')", false), ("self.on ? self.count > 2 : false", true),
        ("[has(self.name), has(self.other)].filter(x, x).size() <= 1", true), ("self.list[0] == 1", true),
        ("self.map['y'] == '2'", true), ("self.name.startsWith('a') && self.name.endsWith('c')", true),
        ("self.name.contains('bc') && !self.name.contains('ac')", true),
        ("self.name < 'abd' && self.name >= 'abc'", true), ("-self.count == -3", true),
        ("self.__in__ == 'keyword' && self.a__dash__b == 'dash'", true),
        ("'it\\'s' == \"it's\" && r'\\d' == '\\\\d'", true),
        ("1 + 2 * 3 == 7 && 7 / 2 == 3 && 7 % 2 == 1 && 'a' + 'b' == 'ab'", true),
        ("self.other == 'x' || true", true), ("false && self.other == 'x'", false),
        ("[].all(x, x) && ![].exists(x, x)", true), ("self.list.exists(i, i == 1 || self.other == 'x')", true),
        // 10:00 UTC is before 09:30:00.5 at -01:00, which is 10:30: as texts it is the other way round.
        ("self.when < self.later", true), ("self.later - self.when == duration('30m500ms')", true),
        ("self.when + self.wait == timestamp('2026-11-21T11:30:00Z')", true),
        ("self.wait > duration('1h')", true), ("int(self.when) == 1795255200", true),
        ("self.port == 'http' && self.port != 8080", true), ("self.tags == ['y', 'x']", true),
        ("self.list == [3, 2, 1]", false), ("[1, 5, 2].max() == 5 && [4, 5].min() == 4 && [1, 2].sum() == 3", true),
        ("string(self.count) + 'x' == '3x' // a comment", true), ("int('7') + int(2.9) == 9", true),
        ("'é'.size() == 1 && 'e\\u0301' != '\\u00e9'", true), ("dyn(self.count) == 3.0", true),
    ])
    func `expressions evaluate as in CEL`(text: String, expected: Bool) throws {
        #expect(try evaluate(text) == expected)
    }

    @Test(arguments: [
        ("self.other == 'x'", "no such key: other"), ("1 / 0 == 1", "division by zero"),
        ("1 % 0 == 1", "modulus by zero"), ("self.list[5] == 1", "index out of bounds: 5"),
        ("double(self.name) > 1.0", "type conversion error from 'string' to 'double': abc"),
        ("self.list.exists(i, self.other == 'x')", "no such key: other"),
        ("9223372036854775807 + 1 > 0", "integer overflow"), ("self.port < 5", "no such overload"),
        ("[1].filter(i, i > 1).max() == 1", "max called on empty list"),
    ])
    func `errors of values say what is wrong`(text: String, message: String) {
        let error = #expect(throws: CELError.self) { try evaluate(text) }
        #expect(error?.message == message)
    }

    @Test(arguments: [
        ("self.nope == 1", "ERROR: <input>:1:5: undefined field 'nope'\n | self.nope == 1\n | ....^"),
        ("gone == 1", "ERROR: <input>:1:1: undeclared reference to 'gone' (in container '')\n | gone == 1\n | ^"),
        (
            "self.count == 'x'",
            "ERROR: <input>:1:12: found no matching overload for '_==_' applied to '(int, string)'\n"
                + " | self.count == 'x'\n | ...........^"
        ),
        (
            "self.on &&\nself.count.matches('x')",
            "ERROR: <input>:2:19: found no matching overload for 'matches' applied to 'int.(string)'\n"
                + " | self.count.matches('x')\n | ..................^"
        ),
    ])
    func `errors of expressions show their place as cel-go does`(text: String, message: String) {
        let error = #expect(throws: CELError.self) { try evaluate(text) }
        #expect(error?.shown(in: text) == message)
    }

    @Test(arguments: [
        ("self.count == 3.0", "'_==_' applied to '(int, double)'"), ("self.count + 1.0 > 3.0", "'_+_'"),
        ("self.name.field == 1", "type 'string' does not support field selection"), ("self.count", "must evaluate to"),
        ("self.on && self.count", "'_&&_' applied to '(bool, int)'"), ("[1, 'a'].size() == 2", "expected type 'int'"),
        ("self.name in [1, 2]", "'@in'"), ("self.list['a'] == 1", "'_[_]'"), ("self.name.all(x, true)", "range of"),
        ("self.list.all(x, x)", "expected type 'bool'"), ("self.when < '2026'", "'_<_'"), ("!self.count", "'!_'"),
        ("self.on ? 1 : 'a'", "'_?_:_'"), ("self.name == null", "'_==_' applied to '(string, null)'"),
        ("self.anything == 1", "undefined field 'anything'"), ("self.free.any == 1", "undefined field 'any'"),
        ("self.name.lowerAscii() == 'abc'", "undeclared reference to 'lowerAscii'"),
        ("self.name.matches('[')", "invalid matches argument"), ("timestamp('x') == self.when", "invalid timestamp"),
        ("self.hasValue()", "'hasValue' applied to 'object.()'"), ("self.items.isSorted()", "'isSorted'"),
    ])
    func `types are checked as strictly as the API server does`(text: String, message: String) {
        let error = #expect(throws: CELError.self) { try evaluate(text) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func `an optional old self tells whether there is one`() throws {
        let rule = "oldSelf.hasValue() || self.count == 3"
        #expect(try evaluate(rule, isOldSelfOptional: true))
        #expect(try !evaluate("oldSelf.hasValue()", isOldSelfOptional: true))
        #expect(try evaluate("oldSelf.value().count == 1", old: ["count": 1], isOldSelfOptional: true))
        #expect(try evaluate("oldSelf.orValue(self).count == 3", isOldSelfOptional: true))
        let error = #expect(throws: CELError.self) {
            try evaluate("oldSelf.value().count == 1", isOldSelfOptional: true)
        }
        #expect(error?.message == "optional.none() dereference")
    }

    @Test func `map lists are equal in any order, plain lists are not`() throws {
        var reordered = Self.object
        reordered["items"] = [["name": "b", "weight": 2], ["name": "a", "weight": 1]]
        #expect(try evaluate("self == oldSelf && self.items == oldSelf.items", old: reordered))
        reordered["list"] = [3, 2, 1]
        #expect(try evaluate("self != oldSelf && self.list != oldSelf.list", old: reordered))
    }

    @Test func `a rule that costs too much is stopped`() throws {
        let schema = try Self.schema("{type: array, items: {type: integer}}")
        let declaration = try #require(CELDeclaration(schema))
        let list = JSONValue.array((0..<2000).map { .integer($0) })
        let expression = try CELParser.parse("self.all(a, self.all(b, self.all(c, a + b + c >= 0)))")
        var evaluator = CELEvaluator(variables: ["self": try CELValue(list, declaration)])
        #expect(throws: CELError("operation cancelled: actual cost limit exceeded")) {
            try evaluator.evaluateCondition(expression)
        }
    }

    @Test(arguments: [
        "(", "self.", "a b", "self.all(1, true)", "has(self)", "'open", "self.x.unknown()", "1 ++", "{}", "1u == 1u",
    ])
    func `what is no expression is refused`(text: String) {
        #expect(throws: CELError.self) { try CELParser.parse(text) }
    }

    @Test func `deep nesting is refused instead of exhausting the stack`() {
        #expect(throws: CELError.self) { try CELParser.parse(String(repeating: "(", count: 5000)) }
        #expect(throws: CELError.self) { try CELParser.parse(String(repeating: "!", count: 5000) + "true") }
    }
}

/// The regular expressions of `pattern` and `matches`.
@Suite struct PatternTests {
    @Test(arguments: [
        ("^[a-z]([-a-z0-9]*[a-z0-9])?$", "a-b9", true), ("^[a-z]([-a-z0-9]*[a-z0-9])?$", "a-", false),
        ("^([A-Za-z0-9][-A-Za-z0-9_.=]*/)+$", "a/b=1/", true), ("^([A-Za-z0-9][-A-Za-z0-9_.=]*/)+$", "/a/", false),
        ("(^|/)[.][.](/|$)", "a/../b", true), ("(^|/)[.][.](/|$)", "a/..b", false),
        ("^[0-9]{1,3}([.][0-9]{1,2})?$", "123.45", true), ("^[0-9]{1,3}([.][0-9]{1,2})?$", "1234", false),
        ("^[^/\\x00-\\x1f]+$", "a b", true), ("^[^/\\x00-\\x1f]+$", "a\nb", false), ("b", "abc", true),
        ("^a|c$", "xxc", true), ("^[^\\s]+( [^\\s]+){4}$", "* * * * *", true), ("^$", "", true), ("a{0}b", "b", true),
        ("^\\d+\\w\\.[[:upper:]]$", "12_.Q", true), ("^a+?b*?$", "aab", true), ("x{,2}", "x{,2}", true),
        ("^(?:ab)+$", "abab", true), ("é", "caf\u{e9}", true), ("\\bcat\\b", "a cat sat", true),
        ("\\bcat\\b", "concat", false),
    ])
    func `patterns match as RE2's`(pattern: String, text: String, expected: Bool) throws {
        #expect(try Pattern(pattern).matches(text) == expected)
    }

    @Test(arguments: [
        "(", "[a", "a{2,1}", "*a", "\\", "(?i)a", "[z-a]", "\\p{L}", "a{1001}", "(((a{1000}){1000}){10})",
    ])
    func `what is no pattern is refused`(pattern: String) {
        #expect(throws: SandboxError.self) { try Pattern(pattern) }
    }

    @Test func `a pattern that makes backtracking explode is linear here`() throws {
        let text = String(repeating: "a", count: 2000)
        #expect(try !Pattern("^(a+)+$").matches(text + "!"))
    }
}
