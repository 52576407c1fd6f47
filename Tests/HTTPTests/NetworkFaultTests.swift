import Encoding
import Glibc
import HTTP
import Testing

/// What networks and servers do to a client.
@Suite(.timeLimit(.minutes(3))) struct NetworkFaultTests {
    private static func get(_ server: RawServer, timeout: Duration = .seconds(60)) -> HTTPRequest {
        HTTPRequest(.get, HTTPURL(origin: server.origin, path: "/"), timeout: timeout)
    }

    /// What one request to a server with this behaviour ends in.
    private static func outcome(
        timeout: Duration = .seconds(60), _ script: @escaping @Sendable (Int32) -> Void
    ) async throws -> Result<HTTPResponse, APIError> {
        let server = try RawServer(script)
        let client = try CurlTransport()
        let request = get(server, timeout: timeout)
        let result: Result<HTTPResponse, APIError>
        do throws(APIError) { result = .success(try await client.send(request)) } catch { result = .failure(error) }
        await client.shutDown()
        return result
    }

    private static func error(_ result: Result<HTTPResponse, APIError>) -> APIError? {
        if case .failure(let error) = result { error } else { nil }
    }

    @Test func `names and reasons are in the messages, so that they can be acted on`() async throws {
        let client = try CurlTransport()
        let server = try HTTPServer(handler: ClosureHandler { _ in HTTPReply(status: 200) })
        await server.stop(grace: .zero)
        let wanted = [
            (server.origin, "Couldn't connect to server: Connection refused"),
            ("http://no-such-host.invalid", "Could not resolve host: no-such-host.invalid"),
        ]
        for (origin, message) in wanted {
            let request = HTTPRequest(.get, HTTPURL(origin: origin, path: "/"))
            let error = await failure { () async throws(APIError) in try await client.send(request) }
            #expect(error?.code == .unavailable)
            #expect(error?.message == message)
        }
        await client.shutDown()
    }

    @Test func `a reset is unavailable, before the reply and inside it`() async throws {
        for head in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"] {
            let result = try await NetworkFaultTests.outcome { connection in
                RawServer.write(connection, head)
                // Closing with this set sends a reset.
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
            }
            #expect(NetworkFaultTests.error(result)?.code == .unavailable)
        }
    }

    @Test func `a body shorter than its length is unavailable, a longer one is cut`() async throws {
        let short = try await NetworkFaultTests.outcome {
            RawServer.write($0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        }
        #expect(NetworkFaultTests.error(short)?.code == .unavailable)
        let long = try await NetworkFaultTests.outcome {
            RawServer.write($0, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")
        }
        #expect(try long.get().body == Array("abc".utf8))
    }

    @Test func `a Content-Length that is no number does not crash`() async throws {
        for length in ["-1", "abc", "99999999999999999999999"] {
            let result = try await NetworkFaultTests.outcome {
                RawServer.write($0, "HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\nabc")
            }
            switch result {
            case .success(let response): #expect(response.body == Array("abc".utf8))
            case .failure(let error): #expect([.unavailable, .tooLarge, .malformedResponse].contains(error.code))
            }
        }
    }

    @Test func `ten megabytes of an error page are cut, and the status counts`() async throws {
        let page = String(repeating: "x", count: 10 << 20)
        let result = try await NetworkFaultTests.outcome {
            RawServer.write(
                $0, "HTTP/1.1 503 Busy\r\nContent-Length: \(page.utf8.count)\r\nRetry-After: 7\r\n\r\n\(page)")
        }
        let response = try result.get()
        #expect(response.status == 503)
        #expect(response.headers["Retry-After"] == "7")
        #expect(response.body.count == 1 << 20)
    }

    @Test func `a head that comes drop by drop is a timeout, for a stream too`() async throws {
        let server = try RawServer { connection in
            RawServer.write(connection, "HTTP/1.1 200 OK\r\n")
            for index in 0..<600 {
                RawServer.write(connection, "X-\(index): y\r\n")
                usleep(20_000)
                var byte: UInt8 = 0
                if recv(connection, &byte, 1, Int32(MSG_DONTWAIT)) == 0 { return }  // The client has gone.
            }
        }
        let client = try CurlTransport()
        let request = NetworkFaultTests.get(server, timeout: .milliseconds(300))
        let opened = await failure { () async throws(APIError) in try await client.open(request) }
        #expect(opened?.code == .timeout)
        #expect(opened?.message == "the reply did not begin within 0.3 seconds")
        let sent = await failure { () async throws(APIError) in try await client.send(request) }
        #expect(sent?.code == .timeout)
        await client.shutDown()
    }

    /// The gzip of "hello hello hello hello\n".
    private static let zipped: [UInt8] = [
        0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x57, 0xC8, 0x40,
        0x27, 0xB9, 0x00, 0x00, 0x88, 0x59, 0x0B, 0x18, 0x00, 0x00, 0x00,
    ]

    private static func chunk(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        bytes.isEmpty ? [] : Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [0x0D, 0x0A]
    }

    @Test func `gzip may be cut at any byte`() async throws {
        let zipped = NetworkFaultTests.zipped
        let plain = Array("hello hello hello hello\n".utf8)
        #expect(try Gzip.decompress(zipped, limit: 100) == plain)
        let cut = Counter()
        let server = try RawServer { connection in
            let place = cut.value % zipped.count
            cut.increment()
            let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
            let chunks = NetworkFaultTests.chunk(zipped[..<place]) + NetworkFaultTests.chunk(zipped[place...])
            RawServer.write(connection, Array(head.utf8) + chunks + Array("0\r\n\r\n".utf8))
        }
        let client = try CurlTransport()
        for _ in zipped.indices {
            let reply = try await client.send(NetworkFaultTests.get(server))
            #expect(reply.body == plain)
        }
        await client.shutDown()
    }

    // libcurl takes a gzip stream that merely ends early for complete; what ends early is no JSON either.
    @Test func `gzip that is damaged is an error`() async throws {
        for place in [2, 12, 23] {
            var body = NetworkFaultTests.zipped
            body[place] ^= 0x55
            let damaged = body
            let result = try await NetworkFaultTests.outcome { connection in
                let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(damaged.count)\r\n\r\n"
                RawServer.write(connection, Array(head.utf8) + damaged)
            }
            #expect(NetworkFaultTests.error(result)?.code == .malformedResponse, "\(place): \(result)")
        }
    }

    @Test func `a server that restarts is found again on its port`() async throws {
        let handler = ClosureHandler { HTTPReply(status: 200, body: $0.body) }
        var server = try HTTPServer(handler: handler)
        let (client, port) = (try CurlTransport(), server.port)
        let url = HTTPURL(origin: server.origin, path: "/")
        for round in 0..<3 {
            for method in [HTTPMethod.get, .post, .put] {
                let body = Array("round \(round)".utf8)
                let reply = try await client.send(HTTPRequest(method, url, body: method == .get ? [] : body))
                #expect(reply.status == 200)
            }
            await server.stop(grace: .zero)
            server = try HTTPServer(port: port, handler: handler)
        }
        await client.shutDown()
        await server.stop(grace: .zero)
    }

    @Test func `a hundred open watches do not hold up other calls`() async throws {
        try await Loop.run { request in
            guard request.url.path == "/watch" else { return HTTPReply(status: 200, body: Array("now".utf8)) }
            return HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    while true {
                        try await writer.write([0x2E])
                        try? await Task.sleep(for: .seconds(30))  // Ends early when the client has gone.
                    }
                })
        } body: { loop in
            var streams: [HTTPStream] = []
            for _ in 0..<100 { streams.append(try await loop.client.open(loop.get("/watch"))) }
            for stream in streams { #expect(try await stream.next()?.first == 0x2E) }
            for _ in 0..<20 {
                let reply = try await loop.client.send(loop.get("/call", timeout: .seconds(30)))
                #expect(reply.body == Array("now".utf8))
            }
            for stream in streams { stream.cancel() }
        }
    }
}
