import Encoding
import HTTP
import Synchronization
import Testing

@testable import GoogleCloud

/// Google's token endpoints: they give out `token-1`, `token-2`, … and remember what came.
private final class TokenEndpoints: HTTPHandler {
    struct Call: Sendable, Hashable {
        var url: String
        var authorization: String?
        /// A form's or a JSON object's members.
        var fields: [String: String]
    }

    let calls = Mutex<[Call]>([])
    /// Instead of the usual replies.
    let reply = Mutex<HTTPReply?>(nil)
    let subject = Mutex("subject-1")

    func respond(to request: HTTPRequest) async -> HTTPReply {
        let text = String(decoding: request.body, as: UTF8.self)
        var fields: [String: String] = [:]
        if request.headers["Content-Type"] == "application/x-www-form-urlencoded" {
            for item in HTTPURL.parseTarget("/?" + text)?.query ?? [] { fields[item.name] = item.value }
        } else if let json = try? JSONValue(parsing: request.body) {  // A GET has none.
            for (name, value) in json.objectValue ?? [:] { fields[name] = value.stringValue ?? value.serializedText() }
        }
        let number = calls.withLock { calls in
            calls.append(
                Call(
                    url: "\(request.method.rawValue) \(request.url.text)",
                    authorization: request.headers["Authorization"], fields: fields))
            return calls.count
        }
        if let reply = reply.withLock({ $0 }) { return reply }
        if request.method == .get {
            return HTTPReply(status: 200, body: Array(#"{"value": "\#(subject.withLock { $0 })"}"#.utf8))
        }
        if request.url.authority == "iamcredentials.googleapis.com" {
            return json(
                ["accessToken": .string("token-\(number)"), "expireTime": "2026-11-21T10:30:00Z"],
                headers: ["Date": "Sat, 21 Nov 2026 10:00:00 GMT"])
        }
        return json(["access_token": .string("token-\(number)"), "expires_in": 3600, "token_type": "Bearer"])
    }

    func json(_ value: JSONValue, status: Int = 200, headers: HTTPHeaders = [:]) -> HTTPReply {
        HTTPReply(status: status, headers: headers, body: value.serialized())
    }
}

@Suite struct TokenExchangeTests {
    private let folder: CredentialFolder
    private let endpoints = TokenEndpoints()
    private let clock = ImpatientClock()

    init() throws { folder = try CredentialFolder() }

    private func tokens(_ json: JSONValue) throws -> any TokenSource {
        let path = try folder.write("credentials.json", json)
        return try Credentials.find(
            environment: ["GOOGLE_APPLICATION_CREDENTIALS": path], transport: HandlerTransport(endpoints), clock: clock
        ).tokens
    }

    private func error(_ source: any TokenSource) async -> APIError? {
        await failure { () async throws(APIError) in try await source.token() }
    }

    private var calls: [TokenEndpoints.Call] { endpoints.calls.withLock { $0 } }

    @Test func `a login's refresh token is exchanged, and replaced when the endpoint says so`() async throws {
        var file = CredentialSamples.authorizedUser
        file["quota_project_id"] = "billing-project"
        let source = try tokens(file)
        endpoints.reply.withLock {
            $0 = endpoints.json([
                "access_token": "a", "expires_in": "100", "token_type": "bearer", "refresh_token": "rotated",
            ])
        }
        #expect(
            try await source.token() == AccessToken("a", lifetime: .seconds(100), quotaProject: "billing-project"))
        clock.advance(by: .seconds(80))
        endpoints.reply.withLock { $0 = nil }
        #expect(
            try await source.token()
                == AccessToken("token-2", lifetime: .seconds(3600), quotaProject: "billing-project"))
        let fields = [
            "grant_type": "refresh_token", "client_id": "1.apps.googleusercontent.com",
            "client_secret": "canary-client-secret", "refresh_token": "canary-refresh-token",
        ]
        let url = "POST https://oauth2.googleapis.com/token"
        #expect(
            calls == [
                .init(url: url, authorization: nil, fields: fields),
                .init(
                    url: url, authorization: nil,
                    fields: fields.merging(["refresh_token": "rotated"], uniquingKeysWith: { $1 })),
            ])
    }

    @Test func `a login that is over says what to run, without its secrets`() async throws {
        let source = try tokens(CredentialSamples.authorizedUser)
        endpoints.reply.withLock {
            $0 = endpoints.json(
                [
                    "error": "invalid_grant",
                    "error_description": "Token canary-refresh-token of canary-client-secret has been revoked.",
                ], status: 400)
        }
        let error = await error(source)
        #expect(error?.code == .unauthorized)
        #expect(
            error?.message
                == "the login in \(folder.path)/credentials.json is not accepted (invalid_grant: Token *** of *** has "
                + "been revoked.): run `gcloud auth application-default login` again")
        #expect(calls.count == 1)
    }

    @Test func `a new login in the file is used without a restart`() async throws {
        let source = try tokens(CredentialSamples.authorizedUser)
        endpoints.reply.withLock { $0 = endpoints.json(["error": "invalid_grant"], status: 400) }
        #expect(await error(source)?.code == .unauthorized)
        var file = CredentialSamples.authorizedUser
        file["refresh_token"] = "new-login"
        try folder.write("credentials.json", file)
        endpoints.reply.withLock { $0 = nil }
        #expect(try await source.token() == AccessToken("token-2", lifetime: .seconds(3600)))
        #expect(calls.last?.fields["refresh_token"] == "new-login")
        // While it cannot be read, what was read last is used.
        try folder.write("credentials.json", "{")
        clock.advance(by: .seconds(61))
        #expect(try await source.token() == AccessToken("token-2", lifetime: .seconds(3600)))
    }

    @Test func `an endpoint that fails in passing is tried again, four times in all`() async throws {
        let source = try tokens(CredentialSamples.authorizedUser)
        endpoints.reply.withLock { $0 = endpoints.json(["error": "temporarily_unavailable"], status: 400) }
        #expect(await error(source) != nil)
        #expect(calls.count == 4)
        #expect(clock.pauses == [.milliseconds(250), .milliseconds(500), .seconds(1)])
    }

    @Test func `a projected token is read anew for each exchange`() async throws {
        let projected = try folder.write("token", "subject-1\n")
        let source = try tokens(CredentialSamples.external(source: ["file": .string(projected)]))
        #expect(try await source.token() == AccessToken("token-1", lifetime: .seconds(3600)))
        try folder.write("token", "subject-2")
        clock.advance(by: .seconds(2880))
        #expect(try await source.token() == AccessToken("token-2", lifetime: .seconds(3600)))
        let fields = [
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token", "subject_token": "subject-1",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        ]
        #expect(
            calls == [
                .init(url: "POST https://sts.googleapis.com/v1/token", authorization: nil, fields: fields),
                .init(
                    url: "POST https://sts.googleapis.com/v1/token", authorization: nil,
                    fields: fields.merging(["subject_token": "subject-2"], uniquingKeysWith: { $1 })),
            ])
    }

    @Test func `a subject token comes from a URL, and the account it stands for acts as another`() async throws {
        let url = "http://169.254.169.254/identity?resource=x"
        let source = try tokens(
            CredentialSamples.external(
                source: [
                    "url": .string(url), "headers": ["Metadata": "True"],
                    "format": ["type": "json", "subject_token_field_name": "value"],
                ], impersonating: CredentialSamples.account))
        #expect(try await source.token() == AccessToken("token-3", lifetime: .seconds(1800)))
        #expect(
            calls.map(\.url) == [
                "GET \(url)", "POST https://sts.googleapis.com/v1/token",
                "POST https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
                    + "ml%40p1.iam.gserviceaccount.com:generateAccessToken",
            ])
        #expect(calls[1].fields["subject_token"] == "subject-1")
        #expect(calls[2].authorization == "Bearer token-2")
        #expect(
            calls[2].fields == [
                "lifetime": "3600s", "scope": #"["https://www.googleapis.com/auth/cloud-platform"]"#,
            ])
    }

    @Test func `a workforce pool's exchange names its project, or its client`() async throws {
        let projected = try folder.write("token", "s")
        var file = CredentialSamples.external(source: ["file": .string(projected)])
        file["workforce_pool_user_project"] = "p1"
        _ = try await tokens(file).token()
        file["client_id"] = "id"
        file["client_secret"] = "se cret"
        _ = try await tokens(file).token()
        #expect(calls.map { $0.fields["options"] } == [#"{"userProject":"p1"}"#, nil])
        #expect(calls.map(\.authorization) == [nil, "Basic " + Base64.encode(Array("id:se%20cret".utf8))])
    }

    struct WrongSource: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status = 200
        var body: String
        var says: String
    }

    @Test(arguments: [
        WrongSource(testDescription: "HTML", body: "<html>canary", says: "is not JSON"),
        WrongSource(testDescription: "another field", body: #"{"canary": 1}"#, says: "no text in its field \"value\""),
        WrongSource(testDescription: "a redirect", status: 302, body: "canary", says: "answered HTTP 302"),
        WrongSource(testDescription: "a refusal", status: 403, body: "canary", says: "answered HTTP 403"),
        WrongSource(
            testDescription: "a refusal in JSON", status: 403, body: #"{"error": "canary"}"#, says: "answered HTTP 403"),
    ])
    func `a subject token that does not come says from where`(wrong: WrongSource) async throws {
        let source = try tokens(
            CredentialSamples.external(source: [
                "url": "https://ci.example.com/token", "headers": ["Authorization": "Bearer canary-ci"],
                "format": ["type": "json", "subject_token_field_name": "value"],
            ]))
        endpoints.reply.withLock { $0 = HTTPReply(status: wrong.status, body: Array(wrong.body.utf8)) }
        let error = try #require(await error(source))
        #expect(error.message.contains("ci.example.com"), "\(error.message)")
        #expect(error.message.contains(wrong.says), "\(error.message)")
        #expect(!error.message.contains("canary"))
        #expect(error.reason == nil)
        #expect(calls.first?.authorization == "Bearer canary-ci")
    }

    @Test func `a refused subject token says what to check`() async throws {
        let projected = try folder.write("token", "canary-subject")
        let source = try tokens(CredentialSamples.external(source: ["file": .string(projected)]))
        endpoints.reply.withLock {
            $0 = endpoints.json(
                ["error": "invalid_target", "error_description": "canary-subject is for nobody"], status: 400)
        }
        let error = try #require(await error(source))
        #expect(error.code == .unauthorized)
        #expect(error.message.contains("invalid_target: *** is for nobody"), "\(error.message)")
        #expect(error.message.contains("attribute condition"))
    }

    @Test func `an account acts as another through delegates, with nested credentials`() async throws {
        let source = try tokens([
            "type": "impersonated_service_account",
            "service_account_impersonation_url": .string(CredentialSamples.impersonationURL(CredentialSamples.account)),
            "delegates": ["projects/-/serviceAccounts/d@p1.iam.gserviceaccount.com"],
            "source_credentials": CredentialSamples.authorizedUser, "quota_project_id": "p2",
        ])
        #expect(
            try await source.token() == AccessToken("token-2", lifetime: .seconds(1800), quotaProject: "p2"))
        #expect(calls[1].authorization == "Bearer token-1")
        #expect(calls[1].fields["delegates"] == #"["projects/-/serviceAccounts/d@p1.iam.gserviceaccount.com"]"#)
    }

    @Test func `a tenant's account has one cache for account, scopes and delegates, and caches are bounded`()
        async throws
    {
        let client = GoogleCloudClient(
            transport: HandlerTransport(endpoints), tokens: NoTokens(), clock: clock)
        let tenants = ImpersonatedTokens(client, limit: 2)
        let one = try #require(ImpersonatedAccount("a@p1.iam.gserviceaccount.com"))
        let narrow = try #require(
            ImpersonatedAccount(
                "a@p1.iam.gserviceaccount.com",
                scopes: ["https://www.googleapis.com/auth/devstorage.read_only"]))
        let through = try #require(
            ImpersonatedAccount("a@p1.iam.gserviceaccount.com", delegates: ["b@p1.iam.gserviceaccount.com"]))
        let first = try await tenants.tokens(for: one).token()
        #expect(try await tenants.tokens(for: one).token() == first)
        #expect(calls.count == 1)
        _ = try await tenants.tokens(for: narrow).token()
        #expect(calls.count == 2)
        #expect(try await tenants.tokens(for: one).token() == first)
        _ = try await tenants.tokens(for: through).token()
        #expect(tenants.count == 2)
        // `narrow` was unused for longest.
        #expect(try await tenants.tokens(for: one).token() == first)
        #expect(calls.count == 3)
        _ = try await tenants.tokens(for: narrow).token()
        #expect(calls.count == 4)
    }

    @Test func `a missing right to act as a tenant names the role and the account`() async throws {
        endpoints.reply.withLock {
            $0 = endpoints.json(
                ["error": ["code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"]], status: 403)
        }
        let client = GoogleCloudClient(transport: HandlerTransport(endpoints), tokens: NoTokens(), clock: clock)
        let account = try #require(ImpersonatedAccount(CredentialSamples.account))
        let error = try #require(await error(ImpersonatedTokens(client).tokens(for: account)))
        #expect(error.code == .forbidden)
        #expect(
            error.message
                == "cannot act as ml@p1.iam.gserviceaccount.com: it must exist, and these credentials need "
                + "roles/iam.serviceAccountTokenCreator on it (Permission denied)")
    }

    @Test(arguments: [
        "", "x", "a@b", "a@example.com", "a@gserviceaccount.com@x", "a/b@p.iam.gserviceaccount.com",
        "a b@p.iam.gserviceaccount.com", "a@p.iam.gserviceaccount.com\r\n", "%2e@p.iam.gserviceaccount.com", "123",
    ])
    func `what is no service account is not acted as`(name: String) {
        #expect(ImpersonatedAccount(name) == nil)
        #expect(ImpersonatedAccount(CredentialSamples.account, delegates: [name]) == nil)
        #expect(ImpersonatedAccount(CredentialSamples.account, scopes: [name]) == nil)
    }

    @Test func `a reply that names a time in the past gives no token`() async throws {
        endpoints.reply.withLock {
            $0 = endpoints.json(
                ["accessToken": "t", "expireTime": "2026-11-21T09:00:00Z"],
                headers: ["Date": "Sat, 21 Nov 2026 10:00:00 GMT"])
        }
        let client = GoogleCloudClient(transport: HandlerTransport(endpoints), tokens: NoTokens(), clock: clock)
        let account = try #require(ImpersonatedAccount(CredentialSamples.account))
        #expect(await error(ImpersonatedTokens(client).tokens(for: account))?.code == .malformedResponse)
    }
}
