import Encoding
import Testing

/// RFC 7386, the other way round.
struct JSONMergePatchTests {
    static let pairs: [(old: JSONValue, new: JSONValue, patch: JSONValue)] = [
        ([:], ["a": 1], ["a": 1]),
        (["a": 1], [:], ["a": .null]),
        (["a": 1, "b": 2], ["a": 1, "b": 3], ["b": 3]),
        (["a": ["b": 1, "c": 2]], ["a": ["b": 1, "c": 3]], ["a": ["c": 3]]),
        (["a": ["b": 1]], ["a": "text"], ["a": "text"]),
        (["a": "text"], ["a": ["b": 1]], ["a": ["b": 1]]),
        (["a": [1, 2]], ["a": [1, 3]], ["a": [1, 3]]),
        (["a": [["x": 1]]], ["a": [["x": 1]]], [:]),
        ("text", 5, 5),
    ]

    @Test(arguments: pairs) func `a patch says what differs and nothing else`(
        old: JSONValue, new: JSONValue, patch: JSONValue
    ) {
        #expect(new.mergePatch(from: old) == patch)
    }
}
