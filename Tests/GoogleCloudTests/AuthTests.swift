import Encoding
import GoogleCloud
import HTTP
import Testing

@Suite struct AuthTests {
    static func token(_ secret: String, lifetime: Int64 = 3600) -> ScriptedTransport.Step {
        .reply(
            .json(
                ["access_token": .string(secret), "expires_in": .integer(lifetime), "token_type": "Bearer"],
                headers: ["Metadata-Flavor": "Google"]))
    }

    @Test func `a token is asked for as the metadata server wants it, and printed as stars`() async throws {
        let transport = ScriptedTransport { _, _ in Self.token("ya29.canary") }
        let source = try MetadataServerTokens(transport: transport, clock: ImpatientClock())
        let token = try #require(try await source.token())
        #expect("\(token) \(String(reflecting: token)) \([token])" == "*** *** [***]")
        var dumped = ""
        dump(token, to: &dumped)
        #expect(!dumped.contains("canary"))
        let request = transport.requests[0]
        #expect(
            request.url.description
                == "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token")
        #expect(request.headers["Metadata-Flavor"] == "Google")
    }

    @Test func `a token is kept for 80 % of its lifetime`() async throws {
        let clock = ImpatientClock()
        let transport = ScriptedTransport { number, _ in Self.token("t\(number)", lifetime: 1000) }
        let source = try MetadataServerTokens(transport: transport, clock: clock)
        let first = try await source.token()
        clock.advance(by: .seconds(799))
        #expect(try await source.token() == first)
        clock.advance(by: .seconds(1))
        #expect(try await source.token() != first)
        #expect(transport.requests.count == 2)
    }

    @Test func `many callers cause one request`() async throws {
        let transport = ScriptedTransport { _, _ in Self.token("t") }
        let source = try MetadataServerTokens(transport: transport, clock: ImpatientClock())
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask { _ = await failure { () async throws(APIError) in try await source.token() } }
            }
        }
        #expect(transport.requests.count == 1)
    }

    @Test func `a refresh that fails leaves the old token in use until it ends`() async throws {
        let clock = ImpatientClock()
        let transport = ScriptedTransport { number, _ in number == 1 ? Self.token("t", lifetime: 1000) : .loseRequest }
        let source = try MetadataServerTokens(transport: transport, clock: clock)
        let first = try await source.token()
        clock.advance(by: .seconds(900))
        #expect(try await source.token() == first)
        clock.advance(by: .seconds(100))
        #expect(await failure { () async throws(APIError) in try await source.token() }?.code == .unavailable)
    }

    @Test(arguments: [
        ("another server", HTTPResponse.json(["access_token": "t", "expires_in": 1]), APIError.Code.unavailable),
        ("not ready", HTTPResponse(status: 404, headers: ["Metadata-Flavor": "Google"]), .unavailable),
        ("no permission", HTTPResponse(status: 403, headers: ["Metadata-Flavor": "Google"]), .forbidden),
        (
            "no token",
            HTTPResponse.json(["access_token": "", "expires_in": 1], headers: ["Metadata-Flavor": "Google"]),
            .malformedResponse
        ),
        (
            "a token that would break a header",
            HTTPResponse.json(["access_token": "a\r\nb", "expires_in": 1], headers: ["Metadata-Flavor": "Google"]),
            .malformedResponse
        ),
    ])
    func `a wrong reply is an error without the body`(
        name: String, response: HTTPResponse, code: APIError.Code
    ) async throws {
        let transport = ScriptedTransport { _, _ in .reply(response) }
        let source = try MetadataServerTokens(transport: transport, clock: ImpatientClock())
        #expect(await failure { () async throws(APIError) in try await source.token() }?.code == code)
    }

    @Test func `a 401 gets one fresh token and one more try`() async throws {
        let clock = ImpatientClock()
        let metadata = ScriptedTransport { number, _ in Self.token("t\(number)") }
        let tokens = try MetadataServerTokens(transport: metadata, clock: clock)
        let api = ScriptedTransport { number, _ in
            number == 1
                ? .reply(.json(["error": ["message": "expired"]], status: 401)) : .reply(.json(["name": "pool"]))
        }
        let client = ContainerClient(GoogleCloudClient(transport: api, tokens: tokens, clock: clock))
        #expect(try await client.nodePool("pool", in: cluster).name == "pool")
        #expect(api.requests.map { $0.headers["Authorization"] } == ["Bearer t1", "Bearer t2"])

        let refusing = ScriptedTransport { _, _ in .reply(.json(["error": ["message": "no"]], status: 401)) }
        let refused = ContainerClient(GoogleCloudClient(transport: refusing, tokens: tokens, clock: clock))
        let error = await failure { () async throws(APIError) in try await refused.nodePool("pool", in: cluster) }
        #expect(error?.code == .unauthorized)
        #expect(refusing.requests.count == 2)
    }

    @Test func `a credential file is refused with what to do instead`() {
        let environment = ["GOOGLE_APPLICATION_CREDENTIALS": "/key.json"]
        do throws(APIError) {
            _ = try Credentials.tokenSource(environment: environment, transport: NoTransport(), clock: ImpatientClock())
            Issue.record("no error")
        } catch {
            #expect(error.code == .unauthorized)
            #expect(error.message.contains("workload identity"))
            #expect(!error.message.contains("/key.json"))
        }
    }

    @Test func `the metadata server can be moved, but not into a path`() async throws {
        let transport = ScriptedTransport { _, _ in Self.token("t") }
        let source = try Credentials.tokenSource(
            environment: ["GCE_METADATA_HOST": "127.0.0.1:99"], transport: transport, clock: ImpatientClock())
        _ = try await source.token()
        #expect(transport.requests[0].url.origin == "http://127.0.0.1:99")
        #expect(throws: APIError.self) {
            try MetadataServerTokens(host: "a/b", transport: transport, clock: ImpatientClock())
        }
    }

    @Test func `an emulator is on this machine or refused`() throws {
        #expect(try StorageEmulator.endpointOverride(environment: [:]) == nil)
        let override = try StorageEmulator.endpointOverride(
            environment: ["STORAGE_EMULATOR_HOST": "http://127.0.0.1:4443"])
        #expect(override?.address == "127.0.0.1:4443")
        #expect(override?.covers(authority: "storage.googleapis.com") == true)
        #expect(override?.covers(authority: "container.googleapis.com") == false)
        #expect(throws: APIError.self) {
            try StorageEmulator.endpointOverride(environment: ["STORAGE_EMULATOR_HOST": "http://example.com"])
        }
    }
}
