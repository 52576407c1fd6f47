import Testing

@testable import HTTP

struct CurlTransferStateTests {
    private func head(_ lines: [String]) throws -> CurlTransferState.Head? {
        var state = CurlTransferState(maximumBodyBytes: nil)
        for line in lines { _ = try state.received(headerLine: Array("\(line)\r\n".utf8)) }
        return state.head
    }

    @Test func `the head is complete at the empty line, interim replies are skipped, trailers ignored`() throws {
        let lines = ["HTTP/1.1 100 Continue", "X: no", "", "HTTP/1.1 200 OK", "A:  b \t", "A: c", "Empty:"]
        #expect(try head(lines) == nil)
        #expect(
            try head(lines + ["", "Trailer: x"])
                == .init(status: 200, headers: ["A": "b", "A": "c", "Empty": ""]))
    }

    @Test(arguments: [
        ["HTTP/1.1 abc"], ["HTTP/1.1 99 X"], ["HTTP/1.1 1000"], ["HTTP/1.1"], ["A: b"], ["HTTP/1.1 200 OK", "a b: c"],
    ]) func `a malformed head is refused`(_ lines: [String]) {
        #expect(throws: CurlTransferState.Refusal.malformedHead) { try head(lines) }
    }

    @Test func `a head without end is refused`() {
        let lines = ["HTTP/1.1 200 OK"] + Array(repeating: "X: " + String(repeating: "x", count: 1000), count: 300)
        #expect(throws: CurlTransferState.Refusal.headTooLarge) { try head(lines) }
    }

    @Test func `the body is counted to its limit, a stream's is not`() throws {
        var collected = CurlTransferState(maximumBodyBytes: 10)
        try collected.received(bodyBytes: 10)
        #expect(throws: CurlTransferState.Refusal.bodyTooLarge) { try collected.received(bodyBytes: 1) }
        var streamed = CurlTransferState(maximumBodyBytes: nil)
        try streamed.received(bodyBytes: 1 << 40)
        #expect(streamed.activity == 1)
    }
}

struct RequestParserTests {
    private static let stream = [
        "GET /a?x=1 HTTP/1.1\r\nHost: h:1\r\nConnection: keep-alive\r\n\r\n",
        "\r\nPOST /b HTTP/1.1\r\nhost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n",
        "HEAD / HTTP/1.0\r\n\r\n",
    ].joined()

    private static func events(_ pieces: [ArraySlice<UInt8>]) -> [RequestParser.Event] {
        var parser = RequestParser(limits: HTTPServerLimits())
        var events: [RequestParser.Event] = []
        for piece in pieces {
            parser.append(piece)
            while true {
                let event = parser.next()
                if event == .needsMore { break }
                events.append(event)
            }
        }
        return events
    }

    @Test func `wherever the bytes are cut, the same requests come out`() {
        let bytes = Array(RequestParserTests.stream.utf8)
        let whole = RequestParserTests.events([bytes[...]])
        let bodies = whole.compactMap { event in
            if case .request(let parsed) = event { String(decoding: parsed.request.body, as: UTF8.self) } else { nil }
        }
        #expect(bodies == ["", "hello", "abcde", ""])
        #expect(whole.count == 5)
        #expect(whole[1] == .expectsContinue)
        #expect(RequestParserTests.events(bytes.indices.map { bytes[$0...$0] }) == whole)
        for cut in bytes.indices { #expect(RequestParserTests.events([bytes[..<cut], bytes[cut...]]) == whole) }
    }

    @Test(arguments: 0..<300) func `damaged requests never crash and never pass their bounds`(_ seed: UInt64) {
        var bytes = Array(RequestParserTests.stream.utf8)
        var state = seed &* 6_364_136_223_846_793_005 &+ 1
        for _ in 0..<3 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 50)
        }
        for event in RequestParserTests.events([bytes[...]]) {
            if case .request(let parsed) = event { #expect(parsed.request.body.count <= bytes.count) }
        }
    }
}
