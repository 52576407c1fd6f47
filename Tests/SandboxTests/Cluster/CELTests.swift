import Encoding
import Testing

@testable import Sandbox

/// The expression evaluator alone.
@Suite struct CELTests {
    private static let object: JSONValue = [
        "name": "abc", "count": 3, "ratio": 0.5, "text": "1.5", "on": true, "list": [1, 2, 3],
        "items": [["name": "a", "weight": 1], ["name": "b", "weight": 2]], "map": ["x": "1", "y": "2"],
        "in": "keyword",
    ]

    private func evaluate(_ text: String, _ variables: [String: CELValue] = [:]) throws(CELError) -> JSONValue {
        var all: [String: CELValue] = ["self": .json(Self.object)]
        all.merge(variables) { $1 }
        var evaluator = CELEvaluator(variables: all)
        guard case .json(let value) = try evaluator.evaluate(try CELParser.parse(text)) else { return .null }
        return value
    }

    @Test(arguments: [
        ("self.count == 3 && self.ratio < 1.0", true), ("self.count == 3.0", true), ("self.count != 3", false),
        ("!self.on || self.name == 'abc'", true), ("self.name in ['x', \"abc\"]", true), ("'x' in self.map", true),
        ("has(self.name) && !has(self.gone)", true), ("has(self.map.x)", true), ("size(self.list) == 3", true),
        ("self.list.size() == 3 && self.name.size() == 3", true), ("self.list.all(i, i > 0)", true),
        ("self.list.exists(i, i == 2)", true), ("self.list.exists_one(i, i > 2)", true),
        ("self.list.exists_one(i, i > 1)", false), ("self.list.filter(i, i > 1) == [2, 3]", true),
        ("self.list.map(i, i * 2) == [2, 4, 6]", true), ("self.items.map(i, i.weight).isSorted()", true),
        ("[3, 1].isSorted()", false), ("self.map.all(k, k.matches('^[xy]$'))", true),
        ("self.items.all(x, self.items.exists_one(y, y.name == x.name))", true),
        ("double(self.text) > 1.0 && double(self.count) == 3.0", true), ("self.name.matches('b')", true),
        ("self.name.matches('^b')", false), ("self.on ? self.count > 2 : false", true),
        ("[has(self.name), has(self.gone)].filter(x, x).size() <= 1", true), ("self.list[0] == 1", true),
        ("self.map['y'] == '2'", true), ("self.name.startsWith('a') && self.name.endsWith('c')", true),
        ("self.name < 'abd' && self.name >= 'abc'", true), ("-self.count == -3", true),
        ("self.__in__ == 'keyword'", true), ("'it\\'s' == \"it's\" && r'\\d' == '\\\\d'", true),
        ("1 + 2 * 3 == 7 && 7 / 2 == 3 && 7 % 2 == 1 && 'a' + 'b' == 'ab'", true),
        ("self.gone == 1 || true", true), ("false && self.gone == 1", false),
        ("[].all(x, x) && ![].exists(x, x)", true),
        ("self.list.exists(i, i == 1 || self.gone == i)", true),
    ])
    func `expressions evaluate as in CEL`(text: String, expected: Bool) throws {
        #expect(try evaluate(text) == .bool(expected))
    }

    @Test(arguments: [
        ("self.gone == 1", "no such key: gone"), ("self.name.field == 1", "no such overload"),
        ("1 / 0 == 1", "division by zero"), ("self.list[5] == 1", "index out of bounds: 5"),
        ("double(self.name) > 1.0", "type conversion error from 'string' to 'double': abc"),
        ("self.list.exists(i, self.gone == i)", "no such key: gone"),
        ("9223372036854775807 + 1 > 0", "integer overflow"),
    ])
    func `errors say what is wrong`(text: String, message: String) {
        let error = #expect(throws: CELError.self) { try evaluate(text) }
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }

    @Test func `an optional old self tells whether there is one`() throws {
        let rule = "oldSelf.hasValue() || self.count == 3"
        #expect(try evaluate(rule, ["oldSelf": .optional(nil)]) == true)
        #expect(try evaluate("oldSelf.hasValue()", ["oldSelf": .optional(nil)]) == false)
        #expect(try evaluate("oldSelf.value() == 1", ["oldSelf": .optional(1)]) == true)
    }

    @Test func `a rule that costs too much is stopped`() {
        let list = JSONValue.array((0..<2000).map { .integer($0) })
        let text = "self.all(a, self.all(b, self.all(c, a + b + c >= 0)))"
        #expect(throws: CELError("operation cancelled: actual cost limit exceeded")) {
            try evaluate(text, ["self": .json(list)])
        }
    }

    @Test(arguments: ["(", "self.", "a b", "self.all(1, true)", "has(self)", "'open", "self.x.unknown()", "1 ++", "{}"])
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
