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

    @Test func `a refresh that fails leaves the old token in use until it ends`() async throws {
        let clock = ImpatientClock()
        let transport = ScriptedTransport { number, _ in number == 1 ? Self.token("t", lifetime: 1000) : .loseRequest }
        let source = try MetadataServerTokens(transport: transport, clock: clock)
        let first = try await source.token()
        clock.advance(by: .seconds(900))
        #expect(try await source.token() == first)
        // Four tries more, 250 ms to 2 s apart.
        #expect(transport.requests.count == 6)
        #expect(clock.pauses == [.milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2)])
        clock.advance(by: .seconds(100))
        #expect(await failure { () async throws(APIError) in try await source.token() }?.code == .unavailable)
    }

    struct WrongReply: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var response: HTTPResponse
        var code: APIError.Code
        var tries = 1
        var says: String
    }

    static func plain(_ status: Int, _ body: String = "", flavor: Bool = true) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: flavor ? ["Metadata-Flavor": "Google"] : ["Content-Type": "text/html"],
            body: Array(body.utf8))
    }

    static let wrongReplies: [WrongReply] = [
        WrongReply(
            testDescription: "another server", response: .json(["access_token": "t-canary", "expires_in": 1]),
            code: .unavailable, says: "is no metadata server"),
        WrongReply(
            testDescription: "a captive portal", response: plain(200, "<html>canary", flavor: false),
            code: .unavailable,
            says: "is no metadata server"),
        WrongReply(
            testDescription: "a redirect", response: plain(302, flavor: false), code: .unavailable,
            says: "is no metadata server"),
        WrongReply(
            testDescription: "HTML with the header", response: plain(200, "<html>canary"), code: .malformedResponse,
            says: "no access token that can be used"),
        WrongReply(
            testDescription: "not ready", response: plain(404, "canary"), code: .unavailable, tries: 5,
            says: "GKE_METADATA"),
        WrongReply(
            testDescription: "a server error", response: plain(503, "canary"), code: .unavailable, tries: 5,
            says: "has no token"),
        WrongReply(
            testDescription: "no permission", response: plain(403, "canary"), code: .forbidden,
            says: "roles/iam.workloadIdentityUser"),
        WrongReply(
            testDescription: "no permission, said with 500",
            response: plain(500, "IAM: Permission 'iam.serviceAccounts.getAccessToken' denied canary"),
            code: .forbidden, says: "roles/iam.workloadIdentityUser"),
        WrongReply(
            testDescription: "no token",
            response: .json(["access_token": "", "expires_in": 1], headers: ["Metadata-Flavor": "Google"]),
            code: .malformedResponse, says: "no access token that can be used"),
        WrongReply(
            testDescription: "a token that is over",
            response: .json(["access_token": "canary", "expires_in": 0], headers: ["Metadata-Flavor": "Google"]),
            code: .malformedResponse, says: "no access token that can be used"),
        WrongReply(
            testDescription: "another kind of token",
            response: .json(
                ["access_token": "canary", "expires_in": 9, "token_type": "MAC"], headers: ["Metadata-Flavor": "Google"]
            ),
            code: .malformedResponse, says: "no access token that can be used"),
        WrongReply(
            testDescription: "a token that would break a header",
            response: .json(["access_token": "canary\r\nb", "expires_in": 1], headers: ["Metadata-Flavor": "Google"]),
            code: .malformedResponse, says: "no access token that can be used"),
    ]

    @Test(arguments: wrongReplies)
    func `a wrong reply is an error without the body`(expected: WrongReply) async throws {
        let transport = ScriptedTransport { _, _ in .reply(expected.response) }
        let source = try MetadataServerTokens(transport: transport, clock: ImpatientClock())
        let error = await failure { () async throws(APIError) in try await source.token() }
        #expect(error?.code == expected.code)
        #expect(error?.message.contains(expected.says) == true, "\(String(describing: error))")
        #expect(error?.description.contains("canary") == false)
        #expect(transport.requests.count == expected.tries)
    }

    @Test func `a server error in the first seconds passes`() async throws {
        let transport = ScriptedTransport { number, _ in
            number == 1 ? .reply(Self.plain(500)) : number == 2 ? .loseRequest : Self.token("t")
        }
        let source = try MetadataServerTokens(transport: transport, clock: ImpatientClock())
        #expect(try await source.token() != nil)
        #expect(transport.requests.count == 3)
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

        // Nothing is gained by asking the source for ever: 5 tokens at once, then one a second.
        let refusing = ScriptedTransport { _, _ in .reply(.json(["error": ["message": "no"]], status: 401)) }
        let refused = ContainerClient(GoogleCloudClient(transport: refusing, tokens: tokens, clock: clock))
        let error = await failure { () async throws(APIError) in try await refused.nodePool("pool", in: cluster) }
        #expect(error?.code == .unauthorized)
        #expect(refusing.requests.count == 2)
        for _ in 0..<50 {
            _ = await failure { () async throws(APIError) in try await refused.nodePool("pool", in: cluster) }
        }
        #expect(metadata.requests.count == 5)
    }

    @Test func `the metadata server can be moved, but not into a path`() async throws {
        let transport = ScriptedTransport { _, _ in Self.token("t") }
        let found = try Credentials.find(
            environment: ["GCE_METADATA_HOST": "127.0.0.1:99"], transport: transport, clock: ImpatientClock())
        #expect(found.origin == "the metadata server")
        _ = try await found.tokens.token()
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
