import Encoding
import HTTP
import Synchronization
import System
import Telemetry
import Testing
import Training
import TrainingContract

@testable import TrainerCommand

/// A server between two others, over loopback.
@Suite(.timeLimit(.minutes(3))) struct ProcessorChainTests {
    /// Answers as it is told, and remembers what it was asked.
    private final class Processor: HTTPHandler {
        let asked = Mutex<[String]>([])
        let answer: @Sendable (JSONValue) -> (Int, JSONValue)

        init(_ answer: @escaping @Sendable (JSONValue) -> (Int, JSONValue)) { self.answer = answer }

        func respond(to request: HTTPRequest) async -> HTTPReply {
            asked.withLock { $0.append("\(request.method.rawValue) \(request.url.path)") }
            guard let body = try? JSONValue(parsing: request.body) else { return HTTPReply(status: 400, body: []) }
            let (status, value) = answer(body)
            return HTTPReply(
                status: status, headers: ["Content-Type": "application/json"], body: value.serialized())
        }
    }

    /// Asks `/predict` of a server with these processors.
    private func predict(_ body: JSONValue, before: Processor?, after: Processor?) async throws -> (Int, JSONValue) {
        let servers = try [before, after].map { processor in
            try processor.map { try HTTPServer(host: "127.0.0.1", port: 0, handler: $0) }
        }
        var flags: [String: String] = [:]
        if let origin = servers[0]?.origin { flags["--upstream"] = origin }
        if let origin = servers[1]?.origin { flags["--downstream"] = origin }
        let result = try await ask(body, flags)
        for server in servers { await server?.stop(grace: .zero) }
        return result
    }

    private func ask(_ body: JSONValue, _ flags: [String: String]) async throws -> (Int, JSONValue) {
        var result: (Int, JSONValue)?
        try await withTemporaryFolder { folder in
            try FolderStorage.write(folder + BucketLayout.model, ServeTests.model.encoded())
            var flags = flags
            flags["--model"] = folder
            flags["--port"] = "0"
            let isStopping = Atomic(false)
            let (ports, port) = AsyncStream.makeStream(of: UInt16.self)
            var command = ServeCommand(
                options: try ServeOptions(flags, environment: [:]),
                storage: try Trainer.storage(for: [], environment: [:], clock: SystemClock()), clock: SystemClock(),
                log: .silent)
            command.onReady = { port.yield($0) }
            let running = command
            async let end = running.run { isStopping.load(ordering: .relaxed) }
            var first = ports.makeAsyncIterator()
            let number = try #require(await first.next())
            let request = HTTPRequest(
                .post, HTTPURL(origin: "http://127.0.0.1:\(number)", path: "/predict"), headers: [:],
                body: body.serialized(), timeout: .seconds(60))
            let reply = try await CurlTransport().send(request)
            isStopping.store(true, ordering: .relaxed)
            #expect(try await end == .success)
            result = (reply.status, try JSONValue(parsing: reply.body))
        }
        return try #require(result)
    }

    private static let image: JSONValue = .array(Array(repeating: .array(Array(repeating: 9, count: 8)), count: 8))
    /// Takes what a client has, and gives what the model takes.
    private static let wrapping = Processor { body in
        (200, ["instances": .array([body["picture"] ?? .null])])
    }

    @Test func `what a client sends goes through one, and what it gets through the other`() async throws {
        let after = Processor { body in
            let best = body["predictions"]?[0]?["class"] ?? .null
            return (200, ["answer": best])
        }
        let before = Self.wrapping
        let (status, body) = try await predict(["picture": Self.image], before: before, after: after)
        #expect(status == 200)
        #expect(body["answer"]?.integerValue != nil)
        #expect(before.asked.withLock { $0 }.suffix(1) == ["POST /preprocess"])
        #expect(after.asked.withLock { $0 } == ["POST /postprocess"])
    }

    @Test func `one of the two is enough`() async throws {
        let (status, body) = try await predict(["picture": Self.image], before: Self.wrapping, after: nil)
        #expect(status == 200)
        #expect(body["predictions"]?[0]?["class"]?.integerValue != nil)
    }

    @Test func `what a processor refuses is the client's to know, and goes no further`() async throws {
        let before = Processor { _ in (422, ["error": "the picture is empty"]) }
        let after = Processor { body in (200, body) }
        let (status, body) = try await predict(["picture": []], before: before, after: after)
        #expect(status == 422)
        #expect(body == ["error": "the picture is empty"])
        #expect(after.asked.withLock { $0 } == [])
    }

    @Test func `what the model refuses does not reach the postprocessor`() async throws {
        let after = Processor { body in (200, body) }
        let (status, _) = try await predict(["instances": []], before: nil, after: after)
        #expect(status == 400)
        #expect(after.asked.withLock { $0 } == [])
    }

    @Test func `a processor that fails is a bad gateway, not the client's fault`() async throws {
        let (status, body) = try await predict(
            ["instances": [Self.image]], before: nil, after: Processor { _ in (500, ["secret": "stack"]) })
        #expect(status == 502)
        #expect(body == ["error": "the postprocessor answered with HTTP 500"])
        let (missing, text) = try await ask(["instances": [Self.image]], ["--upstream": "http://127.0.0.1:1"])
        #expect(missing == 502)
        #expect(text["error"]?.stringValue?.hasPrefix("the preprocessor does not answer") == true)
    }

    @Test(arguments: ["ftp://a", "http://example.com", "https://a.run.app/path", "a.run.app", "https://a.run.app?x=1"])
    func `an address that cannot be called is refused at the start`(url: String) {
        #expect(throws: TrainingError.self) {
            _ = try ServeOptions(["--model": "m", "--downstream": url], environment: [:])
        }
        #expect(throws: TrainingError.self) {
            _ = try ServeOptions(["--model": "m"], environment: ["ML_UPSTREAM_URL": url])
        }
    }
}
