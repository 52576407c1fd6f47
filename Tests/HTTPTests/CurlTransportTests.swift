import Glibc
import HTTP
import Testing

@Suite(.timeLimit(.minutes(3))) struct CurlTransportTests {
    @Test func `sends method, target, headers and body, and returns status, headers and body`() async throws {
        try await Loop.run { request in
            let text = "\(request.method.rawValue) \(request.url.target) \(request.headers["X-Test"] ?? "-")"
            return HTTPReply(
                status: 207, headers: ["X-Reply": "yes", "Set-Cookie": "a"], body: Array(text.utf8) + request.body)
        } body: { loop in
            for method in [HTTPMethod.get, .post, .put, .patch, .delete] {
                let url = HTTPURL(
                    origin: loop.server.origin, segments: ["a b", "..", "c/d"], query: [.init("q", "1&2=ü")])
                let body: [UInt8] = method == .get ? [] : Array("<body>".utf8)
                let reply = try await loop.client.send(
                    HTTPRequest(method, url, headers: ["X-Test": "x: y", "Empty": ""], body: body))
                #expect(reply.status == 207)
                #expect(reply.headers["x-reply"] == "yes")
                let expected = "\(method.rawValue) /a%20b/%2E%2E/c%2Fd?q=1%262%3D%C3%BC x: y"
                #expect(reply.body == Array(expected.utf8) + body)
            }
        }
    }

    @Test func `a body without a Content-Type gets none, and no Expect`() async throws {
        try await Loop.run { request in
            HTTPReply(
                status: 200,
                body: Array(request.headers.fields.map { $0.name.lowercased() }.sorted().joined(separator: " ").utf8))
        } body: { loop in
            let body = [UInt8](repeating: 1, count: 3 << 20)
            let reply = try await loop.client.send(HTTPRequest(.post, loop.url(), body: body))
            #expect(
                String(decoding: reply.body, as: UTF8.self)
                    == "accept accept-encoding content-length host user-agent")
        }
    }

    @Test func `HEAD has no body and keeps the length`() async throws {
        try await Loop.run { _ in
            HTTPReply(status: 200, headers: ["X-A": "b"], body: Array("hello".utf8))
        } body: { loop in
            let reply = try await loop.client.send(HTTPRequest(.head, loop.url()))
            #expect(reply.status == 200)
            #expect(reply.headers["Content-Length"] == "5")
            #expect(reply.body == [])
            let next = try await loop.client.send(loop.get())
            #expect(next.body == Array("hello".utf8))
        }
    }

    @Test func `a redirect is a reply, not followed`() async throws {
        try await Loop.run { _ in
            HTTPReply(status: 302, headers: ["Location": "http://127.0.0.1:1/"], body: [])
        } body: { loop in
            let reply = try await loop.client.send(loop.get())
            #expect(reply.status == 302)
        }
    }

    @Test func `large bodies arrive whole in both directions`() async throws {
        let body = (0..<(5 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        try await Loop.run { request in
            HTTPReply(status: 200, body: request.body)
        } body: { loop in
            let reply = try await loop.client.send(HTTPRequest(.put, loop.url(), body: body))
            #expect(reply.body == body)
        }
    }

    @Test func `a reply over the limit is refused`() async throws {
        try await Loop.run { _ in
            HTTPReply(status: 200, body: [UInt8](repeating: 7, count: 1001))
        } body: { loop in
            var request = loop.get()
            request.maximumResponseBytes = 1000
            let client = loop.client
            #expect(await failure { () async throws(APIError) in try await client.send(request) }?.code == .tooLarge)
            request.maximumResponseBytes = 1001
            let reply = try await client.send(request)
            #expect(reply.body.count == 1001)
        }
    }

    @Test func `a silent server is a timeout`() async throws {
        try await Loop.run { _ in
            try? await Task.sleep(for: .seconds(30))  // Ends early when the client has gone.
            return HTTPReply(status: 200)
        } body: { loop in
            let client = loop.client
            let request = loop.get(timeout: .milliseconds(50))
            let sent = await failure { () async throws(APIError) in try await client.send(request) }
            #expect(sent?.code == .timeout)
            let opened = await failure { () async throws(APIError) in try await client.open(request) }
            #expect(opened?.code == .timeout)
        }
    }

    @Test func `a stream that falls silent is a timeout, a slow reader is not`() async throws {
        // A thread of its own sends: busy test threads must not look like silence.
        let server = try RawServer { connection in
            RawServer.write(connection, "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 4 << 20))
            RawServer.waitForEnd(connection)
        }
        let client = try CurlTransport()
        let url = HTTPURL(origin: server.origin, path: "/")
        let stream = try await client.open(HTTPRequest(.get, url, timeout: .seconds(1)))
        try await Task.sleep(for: .milliseconds(1500))  // Longer than the timeout, with the buffer full.
        var received = 0
        var ending: APIError?
        do throws(APIError) {
            while let chunk = try await stream.next() { received += chunk.count }
        } catch {
            ending = error
        }
        #expect(received == 4 << 20)
        #expect(ending?.code == .timeout)
        await client.shutDown()
    }

    @Test func `nobody listening is unavailable, an unknown host too`() async throws {
        let client = try CurlTransport()
        let server = try HTTPServer(handler: ClosureHandler { _ in HTTPReply(status: 200) })
        await server.stop(grace: .zero)
        for origin in [server.origin, "http://no-such-host.invalid"] {
            let request = HTTPRequest(.get, HTTPURL(origin: origin, path: "/"))
            let error = await failure { () async throws(APIError) in try await client.send(request) }
            #expect(error?.code == .unavailable)
            #expect(error?.operation == "GET \(origin)/")
        }
        await client.shutDown()
    }

    @Test func `plain http behind https is insecure`() async throws {
        try await Loop.run { _ in
            HTTPReply(status: 200)
        } body: { loop in
            let client = loop.client
            let request = HTTPRequest(.get, HTTPURL(origin: "https://127.0.0.1:\(loop.server.port)", path: "/"))
            #expect(await failure { () async throws(APIError) in try await client.send(request) }?.code == .insecure)
        }
    }

    @Test(arguments: [
        ("a line break", "a\r\nX-Evil: 1"), ("a lone carriage return", "a\rb"), ("a null", "a\0b"),
    ]) func `header values with control characters are refused`(_ name: String, value: String) async throws {
        let client = try CurlTransport()
        let request = HTTPRequest(.get, HTTPURL(origin: "http://127.0.0.1:1", path: "/"), headers: ["X": value])
        #expect(await failure { () async throws(APIError) in try await client.send(request) }?.code == .invalid)
        await client.shutDown()
    }

    @Test func `credentials are not sent over plain http to another machine`() async throws {
        let client = try CurlTransport()
        let request = HTTPRequest(
            .get, HTTPURL(origin: "http://metadata.google.internal", path: "/"),
            headers: ["Authorization": "Bearer canary"])
        let error = await failure { () async throws(APIError) in try await client.send(request) }
        #expect(error?.code == .insecure)
        #expect(error.map { "\($0)" }?.contains("canary") == false)
        await client.shutDown()
    }

    @Test func `an override sends to this machine and keeps the Host header`() async throws {
        let server = try HTTPServer(
            handler: ClosureHandler { HTTPReply(status: 200, body: Array($0.url.description.utf8)) })
        let override = try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: server.origin)
        let client = try CurlTransport(options: CurlOptions(overrides: [override]))
        let request = HTTPRequest(
            .get, HTTPURL(origin: "https://container.googleapis.com", path: "/v1/x"),
            headers: ["Authorization": "Bearer t"])
        let reply = try await client.send(request)
        #expect(String(decoding: reply.body, as: UTF8.self) == "http://container.googleapis.com/v1/x")
        await client.shutDown()
        await server.stop(grace: .zero)
    }

    @Test(arguments: [
        "http://10.0.0.1:80", "https://127.0.0.1:80", "http://example.com", "127.0.0.1.example.com:80",
        "http://0.0.0.0:1",
    ]) func `an override elsewhere is refused`(_ endpoint: String) {
        #expect(throws: APIError.self) { try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: endpoint) }
    }

    @Test func `a request whose time has passed is not sent`() async throws {
        let handled = Counter()
        try await Loop.run { _ in
            handled.increment()
            return HTTPReply(status: 200)
        } body: { loop in
            let client = loop.client
            var late = loop.get()
            late.notAfter = .now - .milliseconds(1)
            let request = late
            #expect(await failure { () async throws(APIError) in try await client.send(request) }?.code == .cancelled)
            var early = loop.get()
            early.notAfter = .now + .seconds(600)
            let reply = try await client.send(early)
            #expect(reply.status == 200)
            await handled.reached(1)
        }
    }

    @Test func `cancelling the task ends the request and the handler`() async throws {
        let started = Counter()
        let cancelled = Counter()
        try await Loop.run { _ in
            started.increment()
            try? await Task.sleep(for: .seconds(30))
            if Task.isCancelled { cancelled.increment() }
            return HTTPReply(status: 200)
        } body: { loop in
            let client = loop.client
            let request = loop.get()
            let task = Task { await failure { () async throws(APIError) in try await client.send(request) } }
            await started.reached(1)
            task.cancel()
            #expect(await task.value?.code == .cancelled)
            await cancelled.reached(1)
        }
    }

    @Test func `a cut connection is unavailable, before and in a body`() async throws {
        let before = try RawServer { _ in }
        let inside = try RawServer { RawServer.write($0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") }
        let chunked = try RawServer {
            RawServer.write($0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        }
        let client = try CurlTransport()
        for server in [before, inside, chunked] {
            let request = HTTPRequest(.get, HTTPURL(origin: server.origin, path: "/"))
            let error = await failure { () async throws(APIError) in try await client.send(request) }
            #expect(error?.code == .unavailable)
        }
        let stream = try await client.open(HTTPRequest(.get, HTTPURL(origin: chunked.origin, path: "/")))
        #expect(try await stream.next() == Array("abc".utf8))
        #expect(await failure { () async throws(APIError) in try await stream.next() }?.code == .unavailable)
        await client.shutDown()
    }

    @Test func `a reply that is no HTTP is malformed or refused, never a crash`() async throws {
        let replies = [
            "HTTP/1.1 abc\r\n\r\n", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nbad header\0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: " + String(repeating: "a", count: 400 << 10) + "\r\n\r\n",
        ]
        let client = try CurlTransport()
        for reply in replies {
            let server = try RawServer { RawServer.write($0, reply) }
            let request = HTTPRequest(.get, HTTPURL(origin: server.origin, path: "/"), timeout: .seconds(90))
            let error = await failure { () async throws(APIError) in try await client.send(request) }
            #expect(error != nil || reply.contains("bad header"))
        }
        await client.shutDown()
    }

    @Test func `interim replies are skipped`() async throws {
        let server = try RawServer {
            RawServer.write(
                $0, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\n\r\n")
        }
        let client = try CurlTransport()
        let reply = try await client.send(HTTPRequest(.get, HTTPURL(origin: server.origin, path: "/")))
        #expect(reply == HTTPResponse(status: 200, headers: ["A": "b", "Content-Length": "0"]))
        await client.shutDown()
    }

    @Test func `shutting down cancels what is under way and refuses what comes after`() async throws {
        let started = Counter()
        try await Loop.run { _ in
            started.increment()
            try? await Task.sleep(for: .seconds(30))
            return HTTPReply(status: 200)
        } body: { loop in
            let client = loop.client
            let request = loop.get()
            let task = Task { await failure { () async throws(APIError) in try await client.send(request) } }
            await started.reached(1)
            await client.shutDown()
            #expect(await task.value?.code == .cancelled)
            #expect(await failure { () async throws(APIError) in try await client.send(request) }?.code == .cancelled)
        }
    }
}
