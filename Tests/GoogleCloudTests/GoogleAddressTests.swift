import Encoding
import HTTP
import Synchronization
import Testing

@testable import GoogleCloud

/// Where calls may go, and how much of an answer is read.
@Suite struct GoogleAddressTests {
    @Test(arguments: [
        "http://container.googleapis.com/v1", "https://example.com/v1", "https://googleapis.com/v1",
        "https://container.googleapis.com.evil.com/v1", "https://evilgoogleapis.com/v1",
        "https://container.googleapis.com:8443/v1", "http://127.0.0.1:1/v1", "https://Container.googleapis.com/v1",
        "https://169.254.169.254/v1",
    ])
    func `a call to anything but a Google API over TLS is not sent, nor its token fetched twice`(text: String)
        async throws
    {
        let transport = ScriptedTransport { _, _ in .reply(.json([:])) }
        let client = GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock())
        let call = GoogleCall("x.y", .get, try #require(HTTPURL(text)))
        let error = await failure { () async throws(APIError) in try await client.reply(call) }
        #expect(error?.code == .insecure)
        let stream = await failure { () async throws(APIError) in try await client.open(call).status }
        #expect(stream?.code == .insecure)
        #expect(transport.requests.isEmpty)
    }

    /// Redirects everything, answers with more than anybody wants, and counts.
    private struct Redirecting: HTTPHandler {
        let elsewhere: String
        let count = SharedCount()

        func respond(to request: HTTPRequest) async -> HTTPReply {
            count.add()
            if request.url.path.hasSuffix("/big") {
                return HTTPReply(status: 200, body: [UInt8](repeating: 32, count: 1 << 20))
            }
            return HTTPReply(status: 307, headers: ["Location": elsewhere + "/stolen"])
        }
    }

    private final class SharedCount: Sendable {
        private let value = Mutex(0)
        var total: Int { value.withLock { $0 } }
        func add() { value.withLock { $0 += 1 } }
    }

    @Test func `a redirect is not followed, with a token or without, and replies are bounded`() async throws {
        let thief = Redirecting(elsewhere: "")
        let other = try HTTPServer(handler: thief)
        let google = Redirecting(elsewhere: other.origin)
        let server = try HTTPServer(handler: google)
        let override = try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: server.origin)
        let transport = try CurlTransport(options: CurlOptions(overrides: [override]))
        let clock = ImpatientClock()
        let client = GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: clock)
        let error = await failure { () async throws(APIError) in
            try await ContainerClient(client).nodePool("pool", in: cluster)
        }
        #expect(error?.code == .malformedResponse)
        #expect(error?.httpStatus == 307)

        let metadata = try MetadataServerTokens(
            host: server.origin.replacing("http://", with: ""), transport: transport, clock: clock)
        #expect(await failure { () async throws(APIError) in try await metadata.token() }?.code == .unavailable)
        let folder = try CredentialFolder()
        let login = try folder.write("login", CredentialSamples.authorizedUser)
        let source = try Credentials.find(
            environment: ["GOOGLE_APPLICATION_CREDENTIALS": login], transport: transport, clock: clock)
        #expect(
            await failure { () async throws(APIError) in try await source.tokens.token() }?.code == .malformedResponse)

        var call = GoogleCall(
            "x.y", .get, HTTPURL(origin: "https://container.googleapis.com", path: "/big"))
        call.maximumResponseBytes = 64 << 10
        let big = await failure { () async throws(APIError) in try await client.reply(call) }
        #expect(big?.code == .tooLarge)
        let endpoint = TokenEndpoint(transport: transport, clock: clock, operation: "token")
        let request = HTTPRequest(
            .get, HTTPURL(origin: server.origin, path: "/big"), maximumResponseBytes: .max)
        let token = await failure { () async throws(APIError) in try await endpoint.reply(to: request, hiding: []) }
        #expect(token?.code == .tooLarge)
        #expect(google.count.total == 5)
        #expect(thief.count.total == 0)
        await server.stop()
        await other.stop()
        await transport.shutDown()
    }

    @Test(arguments: [
        "http://10.0.0.1:80", "https://127.0.0.1:80", "http://example.com", "http://127.0.0.1.example.com",
        "127.0.0.1@evil",
    ])
    func `an emulator is on this machine`(endpoint: String) {
        #expect(throws: APIError.self) { try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: endpoint) }
    }
}
