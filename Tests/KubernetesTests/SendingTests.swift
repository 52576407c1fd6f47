import Encoding
import HTTP
import Kubernetes
import Synchronization
import Telemetry
import Testing

/// Hands out token-1, token-2, … ; the next one after each refusal, up to the last.
private final class NumberedCredentials: CredentialSource {
    let origin: String? = "the tokens of this test"
    private let last: Int
    private let number = Mutex(1)
    private let refusals = Mutex(0)

    init(last: Int) { self.last = last }

    var refusalCount: Int { refusals.withLock { $0 } }

    func credential() async throws(APIError) -> Credential {
        let current = number.withLock { $0 }
        guard current <= last else { throw APIError(.unauthorized, operation: "plugin", message: "no more tokens") }
        return Credential(token: "token-\(current)")
    }

    func refused(_ credential: Credential) async -> Bool {
        refusals.withLock { $0 += 1 }
        number.withLock { $0 += 1 }
        return true
    }
}

private let refused = reply(["kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"], 401)
private let found = reply(["metadata": ["name": "a"]])
private let pods = Pod.resourceType

private func tokens(_ server: ScriptedServer) -> [String?] {
    server.requests.map { $0.headers["Authorization"]?.replacing("Bearer ", with: "") }
}

@Suite struct SendingTests {
    @Test func `after a 401 the credentials are renewed and the request sent once more`() async throws {
        let server = ScriptedServer([refused, found])
        let object = try await server.client(NumberedCredentials(last: 9)).get(pods, namespace: "n", name: "a")
        #expect(object == ["metadata": ["name": "a"]])
        #expect(tokens(server) == ["token-1", "token-2"])
    }

    @Test func `a second 401 is the answer, with whose credentials were refused`() async throws {
        let server = ScriptedServer([refused, refused, found])
        let credentials = NumberedCredentials(last: 9)
        let client = server.client(credentials)
        let error = await failure { () async throws(APIError) in try await client.get(pods, namespace: "n", name: "a") }
        #expect(
            error
                == APIError(
                    .unauthorized, operation: "GET pods",
                    message: "Unauthorized; the API server refused the tokens of this test", reason: "Unauthorized",
                    httpStatus: 401))
        #expect(tokens(server) == ["token-1", "token-2"])
        #expect(credentials.refusalCount == 1)
    }

    @Test func `the same credentials are not sent again`() async throws {
        let server = ScriptedServer([refused, found])
        let client = server.client(FixedCredentials(Credential(token: "t")))
        let error = await failure { () async throws(APIError) in try await client.get(pods, namespace: "n", name: "a") }
        #expect(error?.code == .unauthorized)
        #expect(error?.message == "Unauthorized")
        let closure = ScriptedServer([refused, found])
        _ = await failure { () async throws(APIError) in try await closure.client.get(pods, namespace: "n", name: "a") }
        #expect(tokens(server) == ["t"])
        #expect(tokens(closure) == ["token-1"])
    }

    @Test func `credentials that cannot be renewed say why`() async throws {
        let server = ScriptedServer([refused])
        let client = server.client(NumberedCredentials(last: 1))
        let error = await failure { () async throws(APIError) in try await client.get(pods, namespace: "n", name: "a") }
        #expect(error == APIError(.unauthorized, operation: "GET pods", message: "no more tokens"))
    }

    @Test func `a watch renews its credentials too`() async throws {
        let server = ScriptedServer([refused, HTTPReply(status: 200, body: [])])
        var stream = try await server.client(NumberedCredentials(last: 9)).watch(pods, from: "5")
        #expect(try await stream.next() == nil)
        #expect(tokens(server) == ["token-1", "token-2"])
    }

    @Test func `a watch that is refused with a huge page keeps its status`() async throws {
        let page = HTTPReply(
            status: 503,
            body: .stream { writer throws(APIError) in
                for _ in 0..<100 { try await writer.write([UInt8](repeating: 0x20, count: 100_000)) }
            })
        let client = ScriptedServer([page]).client
        let error = await failure { () async throws(APIError) in try await client.watch(pods, from: "5") }
        #expect(error?.code == .unavailable)
        #expect(error?.httpStatus == 503)
    }

    @Test func `a client certificate travels with the request`() async throws {
        let server = ScriptedServer([found])
        let identity = TLSIdentity(certificate: .bytes([1]), key: .bytes([2]))
        _ = try await server.client(FixedCredentials(Credential(identity: identity))).get(
            pods, namespace: "n", name: "a")
        #expect(server.requests.map(\.identity) == [identity])
        #expect(tokens(server) == [nil])
    }

    @Test func `acting as somebody else is said in headers`() async throws {
        let server = ScriptedServer([found])
        let impersonation = Impersonation(
            user: "bob", uid: "u1", groups: ["dev", "ops"], extra: ["scopes/a": ["x", "y"], "b": ["z"]])
        _ = try await server.client(FixedCredentials(), impersonation: impersonation).get(
            pods, namespace: "n", name: "a")
        let fields = server.requests[0].headers.fields.filter { $0.name.hasPrefix("Impersonate") }
        #expect(
            fields.map { "\($0.name): \($0.value)" } == [
                "Impersonate-User: bob", "Impersonate-Uid: u1", "Impersonate-Group: dev", "Impersonate-Group: ops",
                "Impersonate-Extra-b: z", "Impersonate-Extra-scopes%2Fa: x", "Impersonate-Extra-scopes%2Fa: y",
            ])
    }

    // MARK: Warnings

    private func warning(_ values: String..., status: Int = 200) -> HTTPReply {
        var reply = status == 200 ? found : HTTPReply(status: status)
        for value in values { reply.headers.append("Warning", value) }
        return reply
    }

    @Test func `the API server's warnings go to the log, each text once`() async throws {
        let book = LogBook()
        let server = ScriptedServer([
            warning(#"299 - "a \"quoted\" thing is deprecated""#, #"299 kube "unknown field \"spec.x\"""#),
            warning(#"299 - "a \"quoted\" thing is deprecated" "Sat, 21 Nov 2026 10:00:00 GMT""#),
            warning(#"199 - "not ours""#, "nonsense", #"299 - unquoted"#, #"299 - "open"#),
            warning(#"299 - "refused, and warned""#, status: 422),
        ])
        let client = server.client(FixedCredentials(), log: book.log)
        for _ in 0..<4 {
            _ = await failure { () async throws(APIError) in try await client.get(pods, namespace: "n", name: "a") }
        }
        #expect(book.lines.allSatisfy { $0.level == .warning && $0.message == "the API server warns" })
        #expect(
            book.lines.map { $0.metadata[.warning] } == [
                "a \"quoted\" thing is deprecated", "unknown field \"spec.x\"", "refused, and warned",
            ])
    }

    @Test func `warnings are bounded in number and length`() async throws {
        let book = LogBook()
        let texts = (0..<300).map { #"299 - "\#($0) \#(String(repeating: "x", count: 5000))""# }
        let server = ScriptedServer(texts.map { warning($0) })
        let client = server.client(FixedCredentials(), log: book.log).through { $0 }
        for _ in texts { _ = try await client.get(pods, namespace: "n", name: "a") }
        #expect(book.lines.count == 256)
        #expect(book.lines.allSatisfy { $0.json.serialized().count < 1500 })
    }

    // MARK: The rate limit

    private func waits(_ send: (KubernetesClient) async throws -> Void) async throws -> Int {
        let count = Mutex(0)
        let limiter = RateLimiter(requestsPerSecond: 1000, burst: 1) { _ in count.withLock { $0 += 1 } }
        let replies = Array(repeating: found, count: 10)
        try await send(ScriptedServer(replies).client(FixedCredentials(), rateLimiter: limiter))
        return count.withLock { $0 }
    }

    @Test func `requests wait their turn, watches and leases do not`() async throws {
        #expect(
            try await waits { client in
                for _ in 0..<5 { _ = try await client.get(pods, namespace: "n", name: "a") }
            } == 5)
        #expect(
            try await waits { client in
                _ = try await client.get(Lease.resourceType, namespace: "n", name: "a")
                _ = try await client.watch(pods, from: "1")
            } == 0)
    }

    @Test func `what waits is sent late, in order, and ends when it is cancelled`() async throws {
        let waited = Mutex<[Duration]>([])
        let limiter = RateLimiter(requestsPerSecond: 0.01, burst: 1) { wait in waited.withLock { $0.append(wait) } }
        let server = ScriptedServer([found, found])
        let client = server.client(FixedCredentials(), rateLimiter: limiter)
        _ = try await client.get(pods, namespace: "n", name: "a")
        let second = Task {
            await failure { () async throws(APIError) in try await client.get(pods, namespace: "n", name: "a") }
        }
        while waited.withLock({ $0.count }) < 2 { await Task.yield() }
        second.cancel()
        #expect(await second.value?.code == .cancelled)
        #expect(server.requests.count == 1)
        #expect(waited.withLock { $0[0] == .zero && $0[1] > .seconds(1) })
    }
}
