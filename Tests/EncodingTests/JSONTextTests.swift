import Encoding
import Testing

/// What a Kubernetes object looks like on the wire: foreign fields, escapes, letters beyond ASCII, numbers of all forms.
private let pod = #"""
    {"apiVersion":"v1","kind":"Pod","metadata":{"name":"worker-0","namespace":"größe","uid":"2f1c",
    "resourceVersion":"1234567","generation":3,"creationTimestamp":"2026-11-21T10:00:00Z",
    "labels":{"a/b":"c","x":"\u00fc\ud83d\ude00\ud800"},"annotations":{"text":"line\nline\t\"quoted\" \\ \/ é"},
    "managedFields":[{"manager":"kubelet","operation":"Update","fieldsV1":{"f:status":{"f:phase":{},
    "k:{\"ip\":\"10.0.0.1\"}":{".":{},"f:ip":{}}}}}]},
    "spec":{"nodeName":"node-1","priority":-0,"ratio":1.5e-3,"big":12345678901234567890,"containers":[
    {"name":"main","image":"example.com/i@sha256:00"},{"name":"side","ports":[]}]},
    "status":{"phase":"Running","startTime":null,"conditions":[{"type":"Ready","status":"True"}]}}
    """#

private struct Object: Codable, Equatable {
    struct Metadata: Codable, Equatable {
        var name: String
        var uid: String?
        var generation: Int32?
        var creationTimestamp: Timestamp?
        var labels: [String: String]?
    }
    struct Spec: Codable, Equatable {
        struct Container: Codable, Equatable {
            var name: String
            var image: String?
            var ports: [JSONValue]?
        }
        var nodeName: String
        var priority: Int8
        var ratio: Double?
        var containers: [Container]
    }
    struct Status: Codable, Equatable {
        enum Phase: String, Codable { case running = "Running" }
        var phase: Phase?
        var startTime: Timestamp?
        var conditions: [[String: String]]
    }
    var metadata: Metadata
    var spec: Spec
    var status: Status?
}

private func indexed(_ bytes: [UInt8]) -> Result<JSONText, JSONError> {
    Result { () throws(JSONError) in try JSONText(parsing: bytes) }
}

/// Changes a few bytes, most of them where they matter.
private func damage(_ bytes: inout [UInt8], _ random: inout SplitMix) {
    let pieces = Array("\"\\{}[]:,0-9.eEtfnul u\u{0}\u{7F}\u{1F}".utf8) + [0xC3, 0x28, 0xED, 0xA0, 0x80, 0xF4, 0xFF]
    for _ in 0...random.next() % 3 where !bytes.isEmpty {
        let index = Int(random.next() % UInt64(bytes.count))
        let piece = pieces[Int(random.next() % UInt64(pieces.count))]
        switch random.next() % 5 {
        case 0: bytes[index] = piece
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(piece, at: index)
        case 3: bytes.removeSubrange(index..<min(bytes.count, index + Int(random.next() % 40)))
        default: bytes[index] = UInt8(truncatingIfNeeded: random.next())
        }
    }
}

struct JSONTextTests {
    @Test(arguments: 0..<40) func `it takes, refuses and reads what the reference reader does`(_ seed: Int) throws {
        var random = SplitMix(seed: UInt64(seed) * 1_000_003 + 1)
        for round in 0..<250 {
            var bytes = round % 2 == 0 ? Array(pod.utf8) : JSONTests.value(&random, depth: 5).serialized()
            damage(&bytes, &random)
            let reference = ReferenceParser.parse(bytes)
            #expect(indexed(bytes).map(\.root.value) == reference)
            #expect(Result { () throws(JSONError) in try JSONValue(parsing: bytes) } == reference)
        }
    }

    @Test(arguments: 0..<40) func `types decode from it as from the value, errors included`(_ seed: Int) throws {
        var random = SplitMix(seed: UInt64(seed) * 1_000_003 + 1)
        var readCount = 0
        for _ in 0..<250 {
            var bytes = Array(pod.utf8)
            damage(&bytes, &random)
            guard case .success(let text) = indexed(bytes) else { continue }
            readCount += 1
            let direct = Result { () throws(JSONError) in try text.root.decode(Object.self) }
            let made = Result { () throws(JSONError) in try text.root.value.decode(Object.self) }
            #expect(direct == made)
        }
        #expect(readCount > 20)
    }

    @Test func `members, elements and paths are found without making the rest`() throws {
        let root = try JSONText(parsing: Array(pod.utf8)).root
        #expect(root.value(at: ["metadata", "resourceVersion"])?.stringValue == "1234567")
        #expect(root["metadata"]?["labels"]?["x"]?.stringValue == "ü😀\u{FFFD}")
        #expect(root["spec"]?["big"]?.doubleValue == 12_345_678_901_234_567_168)
        #expect(root["spec"]?["containers"]?.elements?.compactMap { $0["name"]?.stringValue } == ["main", "side"])
        #expect(root["status"]?["startTime"]?.isNull == true)
        #expect(root["status"]?["phase"]?["x"] == nil)
        #expect(root["nothing"] == nil)
    }

    @Test func `the last of two members of one name counts, escaped or not`() throws {
        let root = try JSONText(parsing: Array(#"{"a":1,"b":[{}],"\u0061":{"c":2}}"#.utf8)).root
        #expect(root["a"]?.value == ["c": 2])
        #expect(try root.decode([String: JSONValue].self) == ["a": ["c": 2], "b": [[:]]])
    }

    @Test func `keys are compared byte by byte`() throws {
        // U+212A is the Kelvin sign, which Unicode calls equivalent to a plain K.
        #expect(try JSONText(parsing: Array("{\"\u{212A}ind\":1}".utf8)).root["Kind"] == nil)
    }

    @Test(arguments: 0..<64) func `a string is read whatever its length and place`(_ length: Int) throws {
        let plain = String(repeating: "x", count: length)
        for text in [plain, plain + "é", "é" + plain, plain + "\u{7F}", plain + "\\n"] {
            let bytes = Array("[\"\(text)\"]".utf8)
            #expect(indexed(bytes).map(\.root.value) == ReferenceParser.parse(bytes))
            for place in 1...text.utf8.count + 1 {
                var broken = bytes
                broken[place] = 0x1F
                #expect(indexed(broken).map(\.root.value) == ReferenceParser.parse(broken))
            }
        }
    }
}
