import Encoding
import Testing
import YAML

struct YAMLTests {
    @Test func `a manifest reads as JSON`() throws {
        let text = """
            # A comment
            apiVersion: trainyard.dev/v1alpha1
            kind: TrainingJob
            metadata:
              name: mnist   # trailing
              labels: {a: b, "c d": 'it''s'}
            spec:
              args: [train, "--epochs", "5"]
              candidates:
              - zone: us-central1-a
                count: 2
              -   zone: us-central1-b
              script: |
                line 1
                  line 2
              folded: >-
                one
                two
              empty:
            """
        #expect(
            try YAML.document(text).json == [
                "apiVersion": "trainyard.dev/v1alpha1", "kind": "TrainingJob",
                "metadata": ["name": "mnist", "labels": ["a": "b", "c d": "it's"]],
                "spec": [
                    "args": ["train", "--epochs", "5"],
                    "candidates": [["zone": "us-central1-a", "count": 2], ["zone": "us-central1-b"]],
                    "script": "line 1\n  line 2\n", "folded": "one two", "empty": nil,
                ],
            ])
    }

    /// As sigs.k8s.io/yaml reads them.
    @Test(
        arguments: [
            ("true", true), ("Yes", true), ("on", true), ("y", true), ("no", false), ("OFF", false), ("n", false),
            ("tRue", "tRue"), ("yess", "yess"), ("~", nil), ("null", nil), ("", nil), ("'~'", "~"),
            ("\"true\"", "true"),
            ("0", 0), ("-17", -17), ("+3", 3), ("1_000", 1000), ("0x1F", 31), ("010", 8), ("0o17", 15), ("0b101", 5),
            ("-0x10", -16), ("09", 9.0), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1.", 1.0),
            ("9223372036854775807", .integer(.max)), ("9223372036854775808", 9.223372036854775808e18), ("1e", "1e"),
            ("e1", "e1"), (".", "."), ("+", "+"), ("1.2.3", "1.2.3"), ("10Gi", "10Gi"), ("500m", "500m"),
            ("12:30:45", "12:30:45"), ("2026-11-21", "2026-11-21"), ("0x", "0x"), ("'1'", "1"), ("\"1\"", "1"),
            ("!!str 1", "1"), ("!!int 1", 1), ("!!float 1", 1.0), ("! 1", "1"), ("--1", "--1"), ("0-1", "0-1"),
        ] as [(String, JSONValue)]) func `scalars resolve as in Kubernetes`(_ text: String, value: JSONValue) throws
    {
        #expect(try YAML.document("v: \(text)\n").json == ["v": value])
    }

    @Test func `nodes know their places`() throws {
        let document = try YAML.document("a: 1\nb:\n  - x\n  -  c: yes\n     d: ü z\n")
        let b = try #require(document.entry("b"))
        #expect([b.key.line, b.key.column] == [2, 1])
        let d = try #require(b.value[1]?.entry("d"))
        #expect([d.key.line, d.key.column, d.value.line, d.value.column] == [5, 6, 5, 9])
        let deepest = document.deepest(on: ["b", "1", "c", "nothing"])
        #expect([deepest.line, deepest.column] == [4, 9])
        #expect(deepest.content == .scalar("yes", true))
    }

    @Test func `documents are separated, empty ones left out`() throws {
        let documents = try YAML.documents("---\na: 1\n---\n# only a comment\n---\n- 2\n...\n---\nx\n")
        #expect(documents.map(\.json) == [["a": 1], [2], "x"])
        #expect(documents.map(\.line) == [2, 6, 9])
        #expect(try YAML.documents("") == [])
        #expect(try YAML.documents("# nothing\n") == [])
    }

    @Test func `JSON is YAML`() throws {
        let text = #"{"a": [1, 2.5, null, true], "b": {"c": "é\n\t\"x\""}}"#
        #expect(try YAML.document(text).json == (try JSONValue(parsing: text)))
    }

    @Test func `aliases are written out, merge keys give way to own keys`() throws {
        let text = """
            base: &base {a: 1, b: 2}
            other: &other {b: 3, c: 4}
            copy: *base
            merged:
              <<: *base
              b: own
            several:
              <<: [*base, *other]
            """
        let json = try YAML.document(text).json
        #expect(json["copy"] == ["a": 1, "b": 2])
        #expect(json["merged"] == ["a": 1, "b": "own"])
        #expect(json["several"] == ["a": 1, "b": 2, "c": 4])
    }

    @Test func `keys become strings`() throws {
        #expect(
            try YAML.document("1: a\nyes: b\n1.5: c\n\"2\": d\n").json == ["1": "a", "true": "b", "1.5": "c", "2": "d"])
    }

    @Test(arguments: [
        ("a: [1, 2\nb: 3\n", YAMLError.Code.syntax, 2), ("a: b: c\n", .syntax, 1), ("a:\n\t- b\n", .syntax, 2),
        ("a: 1\n b: 2\n", .syntax, 2), ("a: \"x\n", .syntax, 2), ("a: *nowhere\n", .syntax, 1),
        ("a: &x [*x]\n", .syntax, 1), ("a: 1\nb: 2\na: 3\n", .duplicateKey, 3), ("{a: 1, 'a': 2}", .duplicateKey, 1),
        ("true: 1\nyes: 2\n", .duplicateKey, 2), ("? [a]\n: b\n", .unsupported, 1), ("~: 1\n", .unsupported, 1),
        ("a: !!binary aGk=\n", .unsupported, 1), ("a: !custom x\n", .unsupported, 1), ("a: !!int x\n", .unsupported, 1),
        ("a: .inf\n", .unsupported, 1), ("a: 1\nb: .nan\n", .unsupported, 2), ("a: \u{7}\n", .syntax, 1),
        ("<<: 1\n", .syntax, 1), ("%YAML 9.9\n---\na\n", .syntax, 1),
    ]) func `a wrong text is refused with its line`(_ text: String, code: YAMLError.Code, line: Int) {
        do throws(YAMLError) {
            let documents = try YAML.documents(text)
            Issue.record("read as \(documents.map(\.json))")
        } catch {
            #expect(error.code == code)
            #expect(error.line == line)
            #expect(error.column >= 1)
        }
    }

    @Test func `an alias bomb, deep nesting and huge texts are refused`() {
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            bomb += "a\(level): &a\(level) [\(aliases)]\n"
        }
        #expect(code(bomb) == .tooLarge)
        #expect(code(String(repeating: "[", count: 200) + String(repeating: "]", count: 200)) == .tooDeep)
        #expect(code(String(repeating: "- ", count: 200) + "x") == .tooDeep)
        #expect(code(String(repeating: "#", count: YAML.maximumBytes + 1)) == .tooLarge)
    }

    private func code(_ text: String) -> YAMLError.Code? {
        do throws(YAMLError) {
            _ = try YAML.documents(text)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `one document means one`() {
        #expect(throws: YAMLError.self) { try YAML.document("") }
        #expect(throws: YAMLError.self) { try YAML.document("a: 1\n---\nb: 2\n") }
    }

    @Test(arguments: 0..<200) func `damaged texts never crash`(_ seed: UInt64) {
        let text = "a: &x {b: [1, \"two\", 'three'], c: |\n  text\n  }\nd: *x\n--- !!map\n? k\n: >-\n v\n"
        var bytes = Array(text.utf8)
        var state = seed &* 6_364_136_223_846_793_005 &+ 1
        for _ in 0..<3 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes[Int(state >> 33) % bytes.count] = Array("&*:-[]{}|>'\"#\t\n !%@`".utf8)[Int(state >> 50) % 20]
        }
        if let documents = try? YAML.documents(String(decoding: bytes, as: UTF8.self)) {
            for document in documents { _ = document.json }
        }
    }
}

struct YAMLWriterTests {
    @Test func `values are written sorted and in blocks`() {
        let value: JSONValue = [
            "kind": "List", "items": [["b": 1, "a": ["x", [2, 3], [:], []]], "text"], "empty": [:],
            "odd": ["true", "1", "", "a: b", "- x", "#c", "2026-11-21", " lead", "trail ", "line\nbreak", "ü", "~"],
        ]
        #expect(
            YAMLWriter.text(value) == """
                empty: {}
                items:
                - a:
                  - x
                  - - 2
                    - 3
                  - {}
                  - []
                  b: 1
                - text
                kind: List
                odd:
                - "true"
                - "1"
                - ""
                - "a: b"
                - "- x"
                - "#c"
                - "2026-11-21"
                - " lead"
                - "trail "
                - "line\\nbreak"
                - "ü"
                - "~"

                """)
    }

    @Test func `what is written reads back`() throws {
        let values: [JSONValue] = [
            nil, true, 1, -2.5, "x", [], [:], ["a": [["b": ["c": [[], [[1]]]]], nil]], ["k: ey": "v", "yes": "no"],
            ["a": "https://x/y?z=1", "b": "us-central1-a", "c": "1e3", "d": "0x10", "e": "a #b", "f": "<<"],
        ]
        for value in values { #expect(try YAML.document(YAMLWriter.text(value)).json == value) }
    }
}
