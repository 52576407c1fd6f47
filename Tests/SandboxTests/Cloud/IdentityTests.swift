import Encoding
import HTTP
import Testing

@testable import Sandbox

@Suite struct IdentityTests {
    private static let tenant = "tenant@p1.iam.gserviceaccount.com"
    private static let middle = "middle@p1.iam.gserviceaccount.com"
    private static let scope = "https://www.googleapis.com/auth/cloud-platform"
    private static let accounts = "https://iam.googleapis.com/v1/projects/p1/serviceAccounts"

    private func generate(
        _ fixture: APIFixture, _ account: String = tenant, _ more: JSONValue = [:], token: String? = nil
    ) async throws -> CloudFixture.Reply {
        var body: JSONValue = ["scope": [.string(Self.scope)]]
        for (key, value) in more.objectValue ?? [:] { body[key] = value }
        return try await fixture.call(
            .post,
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\(account):generateAccessToken",
            body, token: token)
    }

    /// Lets one account have tokens of another.
    private func allow(_ fixture: APIFixture, _ caller: String, _ account: String, token: String) async throws {
        let reply = try await fixture.call(
            .post, "\(Self.accounts)/\(account):setIamPolicy",
            [
                "policy": [
                    "bindings": [
                        [
                            "role": "roles/iam.serviceAccountTokenCreator",
                            "members": [.string("serviceAccount:\(caller)")],
                        ]
                    ]
                ]
            ], token: token)
        try #require(reply.status == 200)
    }

    private func fixture(
        checksTokens: Bool = true, isWrong: Bool = false, change: (inout APIScript) -> Void = { _ in }
    ) -> APIFixture {
        let fixture = APIFixture(checksTokens: checksTokens, isWrong: isWrong, change: change)
        fixture.cloud.addServiceAccount(Self.tenant)
        fixture.cloud.addServiceAccount(Self.middle)
        return fixture
    }

    @Test func `only who may act as an account gets its token, once the binding is in force`() async throws {
        let fixture = fixture()
        let operatorToken = fixture.cloud.issueToken(to: "op@p1.iam.gserviceaccount.com")
        let denied = try await generate(fixture, token: operatorToken)
        #expect(denied.status == 403)
        #expect(denied.reason == "PERMISSION_DENIED")
        #expect(denied.detail == "IAM_PERMISSION_DENIED")
        #expect(denied.message.contains("iam.serviceAccounts.getAccessToken"))
        try await allow(fixture, "op@p1.iam.gserviceaccount.com", Self.tenant, token: operatorToken)
        #expect(try await generate(fixture, token: operatorToken).status == 403)
        fixture.clock.advance(by: .seconds(5))
        let granted = try await generate(fixture, Self.tenant, ["lifetime": "600s"], token: operatorToken)
        #expect(granted.status == 200)
        #expect(granted.json["expireTime"] == "2026-11-21T10:10:05Z")

        let token = try #require(granted.json["accessToken"]?.stringValue)
        #expect(try await fixture.call(.get, APIFixture.services, token: token).status == 200)
        fixture.clock.advance(by: .seconds(600))
        let expired = try await fixture.call(.get, APIFixture.services, token: token)
        #expect(expired.status == 401)
        #expect(expired.reason == "UNAUTHENTICATED")
        #expect(expired.detail == "ACCESS_TOKEN_EXPIRED")
    }

    @Test func `delegates are a chain of which every link must hold`() async throws {
        let fixture = fixture()
        let caller = "op@p1.iam.gserviceaccount.com"
        let token = fixture.cloud.issueToken(to: caller)
        let delegates: JSONValue = ["delegates": [.string("projects/-/serviceAccounts/\(Self.middle)")]]
        try await allow(fixture, caller, Self.middle, token: token)
        fixture.clock.advance(by: .seconds(5))
        #expect(try await generate(fixture, Self.tenant, delegates, token: token).status == 403)
        try await allow(fixture, Self.middle, Self.tenant, token: token)
        fixture.clock.advance(by: .seconds(5))
        #expect(try await generate(fixture, Self.tenant, delegates, token: token).status == 200)
        #expect(try await generate(fixture, token: token).status == 403)
    }

    @Test(
        arguments: [
            ("no scope", ["scope": []], 400, "scope"), ("no scope at all", ["scope": ["cloud"]], 400, "scope"),
            ("an hour and a second", ["lifetime": "3601s"], 400, "lifetime"),
            ("zero", ["lifetime": "0s"], 400, "lifetime"),
            ("minutes", ["lifetime": "5m"], 400, "lifetime"),
            ("a bare delegate", ["delegates": ["a@b"]], 400, "delegates[0]"),
        ] as [(String, JSONValue, Int, String)])
    func `a wrong request for a token is refused`(
        name: String, body: JSONValue, status: Int, field: String
    ) async throws {
        let reply = try await generate(fixture(checksTokens: false, isWrong: true), Self.tenant, body)
        #expect(reply.status == status, "\(name)")
        #expect(reply.field == field)
    }

    @Test func `unknown and disabled accounts have no tokens and nothing is signed`() async throws {
        let fixture = fixture(checksTokens: false)
        let unknown = try await generate(fixture, "nobody@p1.iam.gserviceaccount.com")
        #expect(unknown.status == 404)
        #expect(unknown.message == "Not found; Gaia id not found for email nobody@p1.iam.gserviceaccount.com")
        fixture.cloud.setServiceAccount(Self.tenant, isDisabled: true)
        #expect(try await generate(fixture).reason == "FAILED_PRECONDITION")
        let url = "https://iamcredentials.googleapis.com/v1/projects"
        let named = try await fixture.call(
            .post, "\(url)/p1/serviceAccounts/a:generateAccessToken", ["scope": [.string(Self.scope)]])
        #expect(named.field == "name")
        let sign = try await fixture.call(.post, "\(url)/-/serviceAccounts/a:signJwt", ["payload": "YQ=="])
        #expect(sign.status == 501)
        let blob = "\(url)/-/serviceAccounts/\(Self.tenant):signBlob"
        #expect(try await fixture.call(.post, blob, ["payload": "YQ=="]).reason == "FAILED_PRECONDITION")
        fixture.cloud.setServiceAccount(Self.tenant, isDisabled: false)
        #expect(try await fixture.call(.post, blob, ["payload": ""]).field == "payload")
    }

    /// The signatures are those of Python's `cryptography` with the same key.
    @Test(arguments: [
        ("a", "07c3ccf1c44e4e25a0936b6b16e6aa02a60cb54094a896554118ab7e88839e8e"),
        ("", "d9f7e954563ba491673b6ed374fe01effb41fd0a6e55f18e7155082a4da40d21"),
    ]) func `a blob is signed as Python signs it`(text: String, digest: String) {
        #expect(SHA256.hexadecimal(of: SigningKey.signature(of: Array(text.utf8))) == digest)
    }

    @Test func `an identity token is for its audience and opens no API`() async throws {
        let fixture = fixture()
        let owner = fixture.cloud.issueToken(to: "sandbox@p1.iam.gserviceaccount.com")
        let url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\(Self.tenant):generateIdToken"
        let refused = try await fixture.call(.post, url, ["audience": "https://a.run.app"], token: owner)
        #expect(refused.status == 403)
        let open = self.fixture(checksTokens: false)
        let reply = try await open.call(.post, url, ["audience": "https://a.run.app", "includeEmail": true])
        let token = try #require(reply.json["token"]?.stringValue)
        let parts = token.split(separator: ".").map(String.init)
        #expect(parts.count == 3)
        let payload = try JSONValue(parsing: try #require(Base64.decodeURL(parts[1])))
        #expect(payload["aud"] == "https://a.run.app")
        #expect(payload["email"]?.stringValue == Self.tenant)
        let wrong = self.fixture(checksTokens: false, isWrong: true)
        #expect(try await wrong.call(.post, url, [:]).field == "audience")
        let own = fixture.cloud.issueIdentityToken(to: Self.tenant, audience: "https://run.googleapis.com/")
        #expect(try await fixture.call(.get, APIFixture.services, token: own).status == 401)
    }

    @Test func `requests without a good token are refused in each API's own shape`() async throws {
        let fixture = fixture()
        let run = try await fixture.call(.get, APIFixture.services)
        #expect(run.status == 401)
        #expect(run.detail == "CREDENTIALS_MISSING")
        let wrong = try await fixture.call(.get, APIFixture.services, token: "ya29.other")
        #expect(wrong.detail == "ACCESS_TOKEN_TYPE_UNSUPPORTED")
        let gke = try await fixture.call(.get, CloudFixture.cluster)
        #expect(gke.reason == "UNAUTHENTICATED")
        let storage = try await fixture.call(.get, "\(CloudFixture.storage)/b?project=p1", token: "x")
        #expect(storage.status == 401)
        #expect(
            storage.json.value(at: ["error", "errors"])?[0]
                == [
                    "domain": "global", "reason": "authError", "location": "Authorization", "locationType": "header",
                    "message": .string(storage.message),
                ])
        #expect(storage.json.value(at: ["error", "status"]) == nil)
        let compute = try await fixture.call(.get, "https://compute.googleapis.com/compute/v1/projects/p1/zones")
        #expect(compute.reason == "required")
        #expect(compute.detail == "CREDENTIALS_MISSING")
        let good = fixture.cloud.issueToken(to: Self.tenant)
        #expect(try await fixture.call(.get, CloudFixture.cluster, token: good).status == 200)
    }

    @Test func `a refresh token gives access tokens until it is revoked`() async throws {
        let fixture = APIFixture(checksTokens: true)
        fixture.cloud.addUser("me@example.com", refreshToken: "r1", clientID: "id", clientSecret: "s")
        let url = "https://oauth2.googleapis.com/token"
        let form = ["grant_type": "refresh_token", "refresh_token": "r1", "client_id": "id", "client_secret": "s"]
        let reply = try await fixture.form(url, form)
        #expect(reply.json["expires_in"] == 3599)
        #expect(reply.json["token_type"] == "Bearer")
        let token = try #require(reply.json["access_token"]?.stringValue)
        #expect(try await fixture.call(.get, APIFixture.services, token: token).status == 200)
        for (key, value, status, error) in [
            ("refresh_token", "r2", 400, "invalid_grant"), ("client_secret", "x", 401, "invalid_client"),
            ("grant_type", "password", 400, "unsupported_grant_type"), ("refresh_token", "", 400, "invalid_request"),
        ] {
            var form = form
            form[key] = value
            let reply = try await fixture.form(url, form)
            #expect(reply.status == status)
            #expect(reply.json["error"]?.stringValue == error)
        }
    }

    @Test func `a subject token is exchanged and then impersonates`() async throws {
        let fixture = fixture()
        let audience = "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/p/providers/k8s"
        let principal = "principal://iam.googleapis.com/projects/42/subject/ci"
        fixture.cloud.addWorkloadProvider(audience: audience, principals: ["jwt": principal])
        let form = [
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": audience,
            "scope": Self.scope, "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": "jwt", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        ]
        let url = "https://sts.googleapis.com/v1/token"
        let reply = try await fixture.form(url, form)
        #expect(reply.json["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token")
        let token = try #require(reply.json["access_token"]?.stringValue)
        #expect(try await generate(fixture, token: token).status == 403)
        _ = try await fixture.call(
            .post, "\(Self.accounts)/\(Self.tenant):setIamPolicy",
            [
                "policy": [
                    "bindings": [["role": "roles/iam.workloadIdentityUser", "members": [.string(principal)]]]
                ]
            ], token: token)
        fixture.clock.advance(by: .seconds(5))
        #expect(try await generate(fixture, token: token).status == 200)

        for (key, value, error) in [
            ("subject_token", "other", "invalid_grant"), ("audience", "//x", "invalid_target"),
            ("grant_type", "refresh_token", "unsupported_grant_type"), ("scope", "", "invalid_scope"),
            ("subject_token_type", "x", "invalid_request"), ("requested_token_type", "x", "invalid_request"),
        ] {
            var form = form
            form[key] = value
            let reply = try await fixture.form(url, form)
            #expect(reply.status == 400)
            #expect(reply.json["error"]?.stringValue == error)
        }
        let json: JSONValue = [
            "grantType": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": .string(audience),
            "scope": .string(Self.scope), "subjectToken": "jwt",
            "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
            "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
        ]
        #expect(try await fixture.call(.post, url, json).status == 200)
    }

    @Test func `permissions that are denied are missing from the test and from the calls`() async throws {
        let fixture = fixture()
        fixture.cloud.updateScript {
            $0.deniedPermissions = [
                "run.services.create": CloudScript.forever,
                "\(Self.tenant)/run.services.delete": VirtualClock().now + .seconds(60),
            ]
        }
        let tenant = fixture.cloud.issueToken(to: Self.tenant)
        let other = fixture.cloud.issueToken(to: Self.middle)
        let body: JSONValue = ["permissions": ["run.services.create", "run.services.delete", "run.services.get"]]
        let url = "https://cloudresourcemanager.googleapis.com/v3/projects/p1:testIamPermissions"
        #expect(try await fixture.call(.post, url, body, token: tenant).json == ["permissions": ["run.services.get"]])
        #expect(
            try await fixture.call(.post, url, body, token: other).json
                == ["permissions": ["run.services.delete", "run.services.get"]])
        #expect(try await fixture.call(.post, url, ["permissions": ["run.*"]], token: other).status == 400)
        fixture.clock.advance(by: .seconds(60))
        #expect(
            try await fixture.call(.post, url, body, token: tenant).json
                == ["permissions": ["run.services.delete", "run.services.get"]])
        let denied = try await fixture.call(
            .post, "\(APIFixture.services)?serviceId=web", APIFixture.service(), token: other)
        #expect(denied.status == 403)
        #expect(
            denied.json["error"]?["details"]?[0]?["metadata"]
                == [
                    "permission": "run.services.create",
                    "resource": "v2/projects/p1/locations/us-central1/services",
                ])
    }

    @Test func `another project is closed`() async throws {
        let fixture = APIFixture()
        let reply = try await fixture.call(
            .get, "https://run.googleapis.com/v2/projects/p2/locations/us-central1/services")
        #expect(reply.status == 403)
        #expect(reply.detail == "CONSUMER_INVALID")
        let number = "https://run.googleapis.com/v2/projects/42/locations/us-central1/services"
        #expect(try await fixture.call(.post, "\(number)?serviceId=web", APIFixture.service()).status == 200)
        #expect(try await fixture.service()["name"] == "projects/p1/locations/us-central1/services/web")
    }

    @Test func `accounts and the project's policy can be read and written`() async throws {
        let fixture = fixture(checksTokens: false)
        let account = try await fixture.call(.get, "\(Self.accounts)/\(Self.tenant)").json
        #expect(account["email"]?.stringValue == Self.tenant)
        let list = try await fixture.call(.get, Self.accounts).json
        #expect(list["accounts"]?.arrayValue?.contains(account) == true)
        #expect(try await fixture.call(.get, "\(Self.accounts)/nobody").status == 404)
        let project = "https://cloudresourcemanager.googleapis.com/v3/projects/p1"
        #expect(try await fixture.call(.get, project).json["name"] == "projects/42")
        let before = try await fixture.call(.post, "\(project):getIamPolicy", [:]).json
        let set = try await fixture.call(
            .post, "\(project):setIamPolicy",
            [
                "policy": [
                    "etag": before["etag"] ?? "", "bindings": [["role": "roles/viewer", "members": ["user:a@b.c"]]],
                ]
            ])
        #expect(set.json["etag"] != before["etag"])
        #expect(try await fixture.call(.post, "\(project):getIamPolicy", [:]).json == set.json)
    }
}
