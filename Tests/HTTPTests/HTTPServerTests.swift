import HTTP
import Testing

@Suite(.timeLimit(.minutes(3))) struct HTTPServerTests {
    private static func server(
        limits: HTTPServerLimits = HTTPServerLimits(),
        _ handler: @escaping @Sendable (HTTPRequest) async -> HTTPReply = { HTTPReply(status: 200, body: $0.body) }
    ) throws -> HTTPServer {
        try HTTPServer(handler: ClosureHandler(handler), limits: limits)
    }

    struct Malformed: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: String
        let status: String

        init(_ name: String, _ bytes: String, _ status: String) {
            testDescription = name
            self.bytes = bytes
            self.status = status
        }
    }

    @Test(arguments: [
        Malformed("no HTTP", "hello\r\n\r\n", "400"), Malformed("a TLS greeting", "\u{16}\u{3}\u{1}", "400"),
        Malformed("a bad version", "GET / HTTP/3\r\nHost: a\r\n\r\n", "400"),
        Malformed("an unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
        Malformed("no host", "GET / HTTP/1.1\r\n\r\n", "400"),
        Malformed("a bad host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        Malformed("a bad target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        Malformed("a space in a name", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
        Malformed("a folded header", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "400"),
        Malformed(
            "two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"),
        Malformed(
            "length and chunks",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"
        ),
        Malformed("a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400"),
        Malformed(
            "an endless length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "400"
        ),
        Malformed("a bad chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"),
        Malformed(
            "a long chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "400"),
        Malformed("an unknown encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501"),
        Malformed("a null", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", "400"),
        Malformed(
            "a long head", "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 3000) + "\r\n\r\n", "431"),
        Malformed("a long body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", "413"),
        Malformed(
            "a long chunked body", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n", "413"
        ),
    ])
    func `a malformed request gets its status and the end`(_ malformed: Malformed) async throws {
        let server = try HTTPServerTests.server(limits: HTTPServerLimits(headerBytes: 2048, bodyBytes: 4096))
        let raw = try RawSocket(port: server.port)
        raw.send(malformed.bytes)
        let reply = await raw.receive()
        #expect(reply.hasPrefix("HTTP/1.1 \(malformed.status) "))
        #expect(reply.contains("Connection: close\r\n"))
        await server.stop(grace: .zero)
    }

    @Test func `requests that come in one piece are answered in order on one connection`() async throws {
        let server = try HTTPServerTests.server { HTTPReply(status: 200, body: Array($0.url.path.utf8)) }
        let raw = try RawSocket(port: server.port)
        raw.send(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        let bodies = await raw.receive().components("\r\n").filter { $0.hasPrefix("/") }.map { String($0.prefix(2)) }
        #expect(bodies == ["/1HTTP", "/2HTTP", "/3"].map { String($0.prefix(2)) })
        await server.stop(grace: .zero)
    }

    @Test func `chunks are joined, extensions and trailers skipped`() async throws {
        let server = try HTTPServerTests.server()
        let raw = try RawSocket(port: server.port)
        raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        raw.send("3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")
        #expect(await raw.receive(until: "0123456789").hasSuffix("Content-Length: 13\r\n\r\nabc0123456789"))
        await server.stop(grace: .zero)
    }

    @Test func `a client that waits gets 100 Continue before its body`() async throws {
        let server = try HTTPServerTests.server()
        let raw = try RawSocket(port: server.port)
        raw.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        #expect(await raw.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
        raw.send("abc")
        #expect(await raw.receive(until: "abc").hasPrefix("HTTP/1.1 200 OK\r\n"))
        await server.stop(grace: .zero)
    }

    @Test func `HTTP 1 0 gets no chunks and the end of the connection`() async throws {
        let server = try HTTPServerTests.server { _ in
            HTTPReply(
                status: 200, body: .stream { writer async throws(APIError) in try await writer.write([0x61, 0x62]) })
        }
        let raw = try RawSocket(port: server.port)
        raw.send("GET / HTTP/1.0\r\n\r\n")
        #expect(await raw.receive() == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab")
        await server.stop(grace: .zero)
    }

    @Test func `a head that does not end is a timeout`() async throws {
        let server = try HTTPServerTests.server(limits: HTTPServerLimits(headerTimeout: .milliseconds(50)))
        let raw = try RawSocket(port: server.port)
        raw.send("GET / HTTP/1.1\r\nHo")
        #expect(await raw.receive().hasPrefix("HTTP/1.1 408 "))
        await server.stop(grace: .zero)
    }

    @Test func `an idle connection is closed after its time`() async throws {
        let server = try HTTPServerTests.server(limits: HTTPServerLimits(idleTimeout: .milliseconds(50)))
        let raw = try RawSocket(port: server.port)
        #expect(await raw.receive() == "")
        await server.stop(grace: .zero)
    }

    @Test func `a body that stalls ends the connection`() async throws {
        let server = try HTTPServerTests.server(limits: HTTPServerLimits(stallTimeout: .milliseconds(50)))
        let raw = try RawSocket(port: server.port)
        raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        #expect(await raw.receive() == "")
        await server.stop(grace: .zero)
    }

    @Test func `a body that drips ends the connection too`() async throws {
        let server = try HTTPServerTests.server(limits: HTTPServerLimits(requestTimeout: .milliseconds(100)))
        let raw = try RawSocket(port: server.port)
        raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        for _ in 0..<30 {
            raw.send("x")
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(await raw.receive().hasPrefix("HTTP/1.1 408 "))
        await server.stop(grace: .zero)
    }

    @Test func `a client that asks before it sends too much is told at once`() async throws {
        let server = try HTTPServerTests.server(limits: HTTPServerLimits(bodyBytes: 10))
        let raw = try RawSocket(port: server.port)
        raw.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
        #expect(await raw.receive().hasPrefix("HTTP/1.1 413 "))
        await server.stop(grace: .zero)
    }

    @Test func `more connections than allowed wait for their turn`() async throws {
        let server = try HTTPServerTests.server(limits: HTTPServerLimits(connectionCount: 1))
        let first = try RawSocket(port: server.port)
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(await first.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
        let second = try RawSocket(port: server.port)
        second.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        first.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(await first.receive().hasPrefix("HTTP/1.1 200 "))
        #expect(await second.receive().hasPrefix("HTTP/1.1 200 "))
        await server.stop(grace: .zero)
    }

    @Test func `a handler's headers cannot break the framing`() async throws {
        let server = try HTTPServerTests.server { _ in
            HTTPReply(
                status: 200, headers: ["X": "a\r\nEvil: 1", "Content-Length": "99", "Y": "z"], body: Array("ok".utf8))
        }
        let raw = try RawSocket(port: server.port)
        raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(await raw.receive(until: "\r\n\r\nok") == "HTTP/1.1 200 OK\r\nY: z\r\nContent-Length: 2\r\n\r\nok")
        await server.stop(grace: .zero)
    }

    @Test func `a taken port is named`() async throws {
        let server = try HTTPServerTests.server()
        let error = await failure { () async throws(APIError) in
            try HTTPServer(port: server.port, handler: ClosureHandler { _ in HTTPReply(status: 200) })
        }
        #expect(
            error
                == APIError(
                    .unavailable, operation: "listening on 127.0.0.1:\(server.port)", message: "the port is in use"))
        await server.stop(grace: .zero)
    }

    @Test func `stopping lets a request end, and does not wait longer`() async throws {
        let started = Counter()
        let release = Counter()
        let server = try HTTPServerTests.server { _ in
            started.increment()
            await release.reached(1)
            return HTTPReply(status: 200, body: Array("done".utf8))
        }
        let client = try CurlTransport()
        let origin = server.origin
        let request = HTTPRequest(.get, HTTPURL(origin: origin, path: "/"), timeout: .seconds(90))
        let reply = Task { try await client.send(request) }
        await started.reached(1)
        async let stopped: Void = server.stop(grace: .seconds(90))
        release.increment()
        let answer = try await reply.value
        #expect(answer.body == Array("done".utf8))
        await stopped
        let late = await failure { () async throws(APIError) in try await client.send(request) }
        #expect(late?.code == .unavailable)
        await client.shutDown()
    }

    @Test func `stopping cuts what takes longer than its grace`() async throws {
        let server = try HTTPServerTests.server { _ in
            HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    while true {
                        try await writer.write([0x61])
                        try? await Task.sleep(for: .milliseconds(5))  // Cancelled with the stream.
                    }
                })
        }
        let client = try CurlTransport()
        let url = HTTPURL(origin: server.origin, path: "/")
        let stream = try await client.open(HTTPRequest(.get, url, timeout: .seconds(90)))
        await server.stop(grace: .milliseconds(100))
        var ending: APIError?
        do throws(APIError) { while try await stream.next() != nil {} } catch { ending = error }
        #expect(ending?.code == .unavailable)
        await client.shutDown()
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}
