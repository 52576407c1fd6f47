import Encoding
import Testing

struct JSONTests {
    @Test(
        arguments: [
            ("null", JSONValue.null), ("true", true), (" false ", false), ("0", 0), ("-12", -12),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .number(9_223_372_036_854_775_808)), ("1.5", 1.5), ("1e3", .number(1000)),
            ("-2.5E-2", -0.025), ("\"\"", ""), ("\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "a\n\t\"\\/\u{8}\u{C}\r"),
            ("\"\\u00fc\\ud83d\\ude00\"", "ü😀"), ("\"\\ud800x\"", "\u{FFFD}x"), ("\"\\ud800\\u0041\"", "\u{FFFD}A"),
            ("[]", []), ("[1,[2],{}]", [1, [2], [:]]), ("{\"a\":{\"b\":null}}", ["a": ["b": nil]]),
            ("{\"a\":1,\"a\":2}", ["a": 2]), ("\"\u{2028}ü\"", "\u{2028}ü"),
        ] as [(String, JSONValue)])
    func `a text reads as its value`(_ text: String, value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test(arguments: [
        ("", JSONError.Code.syntax, 0), ("nul", .syntax, 0), ("[1,]", .syntax, 3), ("[1 2]", .syntax, 3),
        ("{\"a\" 1}", .syntax, 5), ("{a:1}", .syntax, 1), ("{\"a\":1,}", .syntax, 7), ("01", .syntax, 2),
        ("1.", .syntax, 2), ("1e", .syntax, 2), ("+1", .syntax, 0), (".5", .syntax, 0), ("1e999", .syntax, 5),
        ("\"abc", .syntax, 4), ("\"\\x\"", .syntax, 3), ("\"\\u12g4\"", .syntax, 5), ("\"\t\"", .syntax, 1),
        ("1 2", .syntax, 2), ("[", .syntax, 1), ("NaN", .syntax, 0), ("'a'", .syntax, 0),
    ]) func `a wrong text is refused with its place`(_ text: String, code: JSONError.Code, offset: Int) {
        do throws(JSONError) {
            let value = try JSONValue(parsing: text)
            Issue.record("read as \(value)")
        } catch {
            #expect(error.code == code)
            #expect(error.offset == offset)
        }
    }

    @Test func `bytes that are no UTF-8 are refused`() {
        let bytes: [UInt8] = [0x22, 0xC3, 0x28, 0x22]
        #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
    }

    @Test func `nesting is bounded`() throws {
        let depth = JSONValue.maximumDepth
        func nested(_ count: Int) -> String {
            String(repeating: "[", count: count) + String(repeating: "]", count: count)
        }
        _ = try JSONValue(parsing: nested(depth))
        #expect(throws: JSONError.self) { try JSONValue(parsing: nested(depth + 1)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "{\"a\":", count: 100_000)) }
    }

    @Test func `equal values have equal text, with sorted keys`() throws {
        let value: JSONValue = ["b": [1, 2.5, "x\u{1}\n"], "a": ["z": true, "y": nil], "": -0.0]
        #expect(value.serializedText() == #"{"":-0.0,"a":{"y":null,"z":true},"b":[1,2.5,"x\u0001\n"]}"#)
        #expect(
            value.prettyPrinted()
                == "{\n  \"\": -0.0,\n  \"a\": {\n    \"y\": null,\n    \"z\": true\n  },\n  \"b\": [\n    1,\n    2.5,\n    \"x\\u0001\\n\"\n  ]\n}\n"
        )
        #expect(JSONValue.number(.nan).serializedText() == "null")
        #expect(JSONValue.number(1e300).serializedText() == "1e+300")
    }

    @Test(arguments: 0..<300) func `random values round trip, and damaged texts never crash`(_ seed: Int) throws {
        var random = SplitMix(seed: UInt64(seed))
        let value = JSONTests.value(&random, depth: 4)
        var bytes = value.serialized()
        #expect(try JSONValue(parsing: bytes) == value)
        #expect(try JSONValue(parsing: value.prettyPrinted()) == value)
        for _ in 0..<20 where !bytes.isEmpty {
            let index = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 3 {
            case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.remove(at: index)
            default: bytes.insert(contentsOf: Array("\"{[\\u,:".utf8).shuffled(using: &random).prefix(1), at: index)
            }
            // Whatever is read must be writable and read the same again.
            if let read = try? JSONValue(parsing: bytes) { #expect(try JSONValue(parsing: read.serialized()) == read) }
        }
    }

    static func value(_ random: inout SplitMix, depth: Int) -> JSONValue {
        switch random.next() % (depth > 0 ? 8 : 6) {
        case 0: return nil
        case 1: return .bool(random.next() % 2 == 0)
        case 2: return .integer(Int64(bitPattern: random.next()))
        case 3: return .number(Double(random.next() % 1000) + 0.5)
        case 4, 5:
            let scalars = (0..<random.next() % 8).compactMap { _ in Unicode.Scalar(UInt32(random.next() % 0x2FF)) }
            return .string(String(String.UnicodeScalarView(scalars)))
        case 6: return .array((0..<random.next() % 5).map { _ in value(&random, depth: depth - 1) })
        default:
            var members: [String: JSONValue] = [:]
            for index in 0..<random.next() % 5 { members["k\(index)"] = value(&random, depth: depth - 1) }
            return .object(members)
        }
    }
}

struct JSONCodingTests {
    struct Thing: Codable, Equatable {
        struct Part: Codable, Equatable {
            var size: Int32
            var name: String?
        }

        enum Kind: String, Codable {
            case big = "Big"
        }

        var kind: Kind
        var parts: [Part]
        var labels: [String: String]?
        var ratio: Double
        var raw: JSONValue?
        var time: Timestamp?
    }

    private let thing = Thing(
        kind: .big, parts: [.init(size: 1, name: "a"), .init(size: -2)], labels: ["x": "y"], ratio: 2,
        raw: ["k": [1, nil]], time: Timestamp("2026-11-21T10:00:00Z"))
    private let json: JSONValue = [
        "kind": "Big", "parts": [["size": 1, "name": "a"], ["size": -2]], "labels": ["x": "y"], "ratio": 2.0,
        "raw": ["k": [1, nil]], "time": "2026-11-21T10:00:00Z",
    ]

    @Test func `values encode without their nils and decode back`() throws {
        #expect(try JSONValue(encoding: thing) == json)
        #expect(try json.decode(Thing.self) == thing)
    }

    @Test func `unknown members are ignored, absent and null optionals are nil`() throws {
        let minimal: JSONValue = ["kind": "Big", "parts": [], "ratio": 1, "labels": nil, "future": [1]]
        #expect(try minimal.decode() == Thing(kind: .big, parts: [], ratio: 1))
    }

    @Test(
        arguments: [
            (
                ["parts", "size"], JSONValue.string("1"), JSONError.Code.wrongType,
                "parts[0].size: expected an integer, found a string"
            ),
            (["parts", "size"], 1.5, .wrongType, "parts[0].size: expected an integer, found a number"),
            (["parts", "size"], 4_000_000_000, .invalidValue, "parts[0].size: 4000000000 is out of range"),
            (["kind"], "Small", .invalidValue, "kind: "), (["ratio"], nil, .wrongType, "ratio"),
            (["labels"], ["x": 1], .wrongType, "labels.x: expected a string, found a number"),
            (["time"], "yesterday", .invalidValue, "time: not an RFC 3339 time"),
        ] as [([String], JSONValue, JSONError.Code, String)])
    func `errors name the path`(_ path: [String], value: JSONValue, code: JSONError.Code, message: String) {
        var json = json
        if path.first == "parts" { json["parts"] = [["size": value]] } else { json.set(value, at: path) }
        do throws(JSONError) {
            _ = try json.decode(Thing.self)
            Issue.record("decoded")
        } catch {
            #expect(error.code == code)
            #expect(error.message.hasPrefix(message))
        }
    }

    @Test func `a missing member is named`() {
        #expect(throws: JSONError(code: .missing, message: "parts[0].size is required")) {
            try (["kind": "Big", "parts": [[:]], "ratio": 1] as JSONValue).decode(Thing.self)
        }
    }

    @Test func `paths set and remove members`() {
        var value: JSONValue = ["a": ["b": 1]]
        value.set(2, at: ["a", "c", "d"])
        #expect(value == ["a": ["b": 1, "c": ["d": 2]]])
        value.set(nil, at: ["a", "c"])
        value.set(nil, at: ["x", "y"])
        #expect(value == ["a": ["b": 1]])
        #expect(value.value(at: ["a", "b"]) == 1)
        #expect(value.value(at: ["a", "b", "c"]) == nil)
    }
}
