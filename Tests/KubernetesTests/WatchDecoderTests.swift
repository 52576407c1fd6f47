import Encoding
import HTTP
import Kubernetes
import Testing

private let lines = [
    #"{"type":"ADDED","object":{"metadata":{"name":"größe-😀","resourceVersion":"1"}}}"#,
    #"{"type":"MODIFIED","object":{"metadata":{"name":"b","resourceVersion":"2"}}}"#,
    #"{"type":"DELETED","object":{"metadata":{"name":"b","resourceVersion":"3"}}}"#,
    #"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"9"}}}"#,
    #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
    #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#,
]

private func element(_ value: JSONValue) -> JSONElement { JSONText(indexing: value).root }

private let events: [WatchEvent] = [
    .added(element(["metadata": ["name": "größe-😀", "resourceVersion": "1"]])),
    .modified(element(["metadata": ["name": "b", "resourceVersion": "2"]])),
    .deleted(element(["metadata": ["name": "b", "resourceVersion": "3"]])),
    .bookmark(resourceVersion: "9", endsInitialEvents: false),
    .bookmark(resourceVersion: "9", endsInitialEvents: true),
    .error(APIError(.expired, operation: "WATCH", message: "too old", reason: "Expired", httpStatus: 410)),
]

private func decoded(_ chunks: [[UInt8]], limit: Int = 1 << 20) throws -> [WatchEvent] {
    var decoder = WatchDecoder(limit: limit)
    return try chunks.flatMap { try decoder.append($0) }
}

@Suite struct WatchDecoderTests {
    @Test(arguments: 1...40)
    func `chunks may end anywhere`(size: Int) throws {
        let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
        let chunks = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
        #expect(try decoded(chunks) == events)
    }

    @Test func `carriage returns and empty lines mean nothing`() throws {
        #expect(try decoded([Array(lines.joined(separator: "\r\n\r\n").utf8), [0x0D, 0x0A], []]) == events)
    }

    @Test func `a line without its end is no event`() throws {
        #expect(try decoded([Array(lines[0].utf8)]) == [])
    }

    @Test func `a line that never ends is refused`() {
        let piece = [UInt8](repeating: 0x61, count: 60)
        #expect(throws: APIError(.tooLarge, operation: "WATCH", message: "a watch event of more than 100 bytes")) {
            try decoded([piece, piece], limit: 100)
        }
    }

    @Test(arguments: [
        "{}", "[1]", "not json", #"{"type":"ADDED""#, #"{"type":"NEWS","object":{}}"#,
        #"{"type":"BOOKMARK","object":{}}"#, #"{"type":"ADDED"}"#,
    ])
    func `a line that is no event is a malformed reply`(line: String) {
        #expect { try decoded([Array((line + "\n").utf8)]) } throws: { error in
            (error as? APIError)?.code == .malformedResponse
        }
    }

    @Test func `an error event without a code is a passing failure`() throws {
        let event = try #require(try decoded([Array(#"{"type":"ERROR","object":{}}"#.utf8) + [0x0A]]).first)
        guard case .error(let error) = event else {
            Issue.record("not an error: \(event)")
            return
        }
        #expect(error.code == .unavailable)
    }
}
