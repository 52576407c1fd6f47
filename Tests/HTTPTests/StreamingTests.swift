import Glibc
import HTTP
import Testing

/// What must hold over a socket and in process alike.
@Suite(.timeLimit(.minutes(3))) struct StreamingTests {
    enum Way: String, CaseIterable, Sendable {
        case socket, inProcess
    }

    private static func run(
        _ way: Way, handler: @escaping @Sendable (HTTPRequest) async -> HTTPReply,
        body: (any HTTPTransport, String) async throws -> Void
    ) async throws {
        switch way {
        case .socket:
            try await Loop.run(handler: handler) { try await body($0.client, $0.server.origin) }
        case .inProcess:
            try await body(HandlerTransport(ClosureHandler(handler)), "http://localhost")
        }
    }

    private static func request(_ origin: String) -> HTTPRequest {
        HTTPRequest(.get, HTTPURL(origin: origin, path: "/"), timeout: .seconds(90))
    }

    @Test(arguments: Way.allCases) func `each piece arrives before the next is written`(_ way: Way) async throws {
        let turn = Counter()
        try await StreamingTests.run(way) { _ in
            HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    for piece in 0..<5 {
                        await turn.reached(piece)
                        try await writer.write(Array("piece \(piece)\n".utf8))
                    }
                })
        } body: { transport, origin in
            let stream = try await transport.open(StreamingTests.request(origin))
            #expect(stream.status == 200)
            for piece in 0..<5 {
                #expect(try await stream.next() == Array("piece \(piece)\n".utf8))
                turn.increment()
            }
            #expect(try await stream.next() == nil)
        }
    }

    @Test(arguments: Way.allCases) func `send collects a stream`(_ way: Way) async throws {
        try await StreamingTests.run(way) { _ in
            HTTPReply(
                status: 201,
                body: .stream { writer async throws(APIError) in
                    for _ in 0..<100 { try await writer.write([UInt8](repeating: 9, count: 1000)) }
                })
        } body: { transport, origin in
            let reply = try await transport.send(StreamingTests.request(origin))
            #expect(reply.status == 201)
            #expect(reply.body == [UInt8](repeating: 9, count: 100_000))
        }
    }

    @Test(arguments: Way.allCases) func `a slow reader holds the writer back`(_ way: Way) async throws {
        let written = Counter()
        try await StreamingTests.run(way) { _ in
            HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    for _ in 0..<1000 {
                        try await writer.write([UInt8](repeating: 1, count: 64 << 10))
                        written.increment()
                    }
                })
        } body: { transport, origin in
            let stream = try await transport.open(StreamingTests.request(origin))
            await written.reached(1)
            var last = -1
            while written.value != last {  // Until the writer stands still.
                last = written.value
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(last < 500)
            #expect(try await stream.collect(limit: 100 << 20).count == 1000 * 64 << 10)
        }
    }

    @Test(arguments: Way.allCases) func `cancelling a stream ends its writer`(_ way: Way) async throws {
        let ended = Counter()
        try await StreamingTests.run(way) { _ in
            HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    do throws(APIError) {
                        while true {
                            try await writer.write([1])
                            try? await Task.sleep(for: .milliseconds(1))
                        }
                    } catch {
                        if error.code == .cancelled { ended.increment() }
                        throw error
                    }
                })
        } body: { transport, origin in
            let stream = try await transport.open(StreamingTests.request(origin))
            _ = try await stream.next()
            stream.cancel()
            stream.cancel()
            await ended.reached(1)
            let error = await failure { () async throws(APIError) in while try await stream.next() != nil {} }
            #expect(error?.code == .cancelled)
        }
    }

    @Test(arguments: Way.allCases) func `dropping a stream ends its writer`(_ way: Way) async throws {
        let ended = Counter()
        try await StreamingTests.run(way) { _ in
            HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    defer { ended.increment() }
                    while true {
                        try await writer.write([1])
                        try? await Task.sleep(for: .milliseconds(1))
                    }
                })
        } body: { transport, origin in
            _ = try await transport.open(StreamingTests.request(origin)).status
            await ended.reached(1)
        }
    }

    @Test(arguments: Way.allCases) func `a cancelled reader gets an error at once`(_ way: Way) async throws {
        let opened = Counter()
        try await StreamingTests.run(way) { _ in
            HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    try await writer.write([1])
                    try? await Task.sleep(for: .seconds(30))
                })
        } body: { transport, origin in
            let request = StreamingTests.request(origin)
            let reader = Task {
                await failure { () async throws(APIError) in
                    let stream = try await transport.open(request)
                    _ = try await stream.next()
                    opened.increment()
                    _ = try await stream.next()
                }
            }
            await opened.reached(1)
            reader.cancel()
            #expect(await reader.value?.code == .cancelled)
        }
    }

    @Test(arguments: Way.allCases) func `a writer that fails cuts the reply`(_ way: Way) async throws {
        try await StreamingTests.run(way) { _ in
            HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    try await writer.write([1, 2])
                    throw APIError(.unavailable, operation: "test", message: "a fault")
                })
        } body: { transport, origin in
            let stream = try await transport.open(StreamingTests.request(origin))
            #expect(try await stream.next() == [1, 2])
            #expect(await failure { () async throws(APIError) in try await stream.next() }?.code == .unavailable)
        }
    }

    @Test(arguments: Way.allCases) func `a disconnect is no reply`(_ way: Way) async throws {
        try await StreamingTests.run(way) { _ in
            .disconnect
        } body: { transport, origin in
            let request = StreamingTests.request(origin)
            let error = await failure { () async throws(APIError) in try await transport.send(request) }
            #expect(error?.code == .unavailable)
        }
    }

    @Test func `fifty watches at once, each with its own lines`() async throws {
        try await Loop.run { request in
            let name = request.url.path
            return HTTPReply(
                status: 200,
                body: .stream { writer async throws(APIError) in
                    for line in 0..<20 { try await writer.write(Array("\(name) \(line)\n".utf8)) }
                })
        } body: { loop in
            let client = loop.client
            let origin = loop.server.origin
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<50 {
                    group.addTask {
                        let url = HTTPURL(origin: origin, path: "/\(index)")
                        let stream = try await client.open(HTTPRequest(.get, url))
                        let text = String(decoding: try await stream.collect(limit: 1 << 20), as: UTF8.self)
                        return text == (0..<20).map { "/\(index) \($0)\n" }.joined()
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test func `connections are reused`() async throws {
        try await Loop.run(limits: HTTPServerLimits(connectionCount: 1)) { _ in
            HTTPReply(status: 200, body: Array("x".utf8))
        } body: { loop in
            for _ in 0..<20 { _ = try await loop.client.send(loop.get()) }
        }
    }

    @Test func `a connection that was unused for too long is not used again`() async throws {
        let connections = Counter()
        let server = try RawServer { descriptor in
            connections.increment()
            var buffer = [UInt8](repeating: 0, count: 4096)
            repeat {
                RawServer.write(descriptor, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
            } while recv(descriptor, &buffer, buffer.count, 0) > 0
        }
        let client = try CurlTransport(options: CurlOptions(idleTimeout: .seconds(1)))
        let request = HTTPRequest(.get, HTTPURL(origin: server.origin, path: "/"))
        for _ in 0..<3 { _ = try await client.send(request) }
        #expect(connections.value == 1)
        // libcurl counts whole seconds.
        try await Task.sleep(for: .milliseconds(2100))
        _ = try await client.send(request)
        #expect(connections.value == 2)
        await client.shutDown()
    }
}
