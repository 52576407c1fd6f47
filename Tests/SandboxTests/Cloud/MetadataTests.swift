import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct MetadataTests {
    private static let root = "http://metadata.google.internal/computeMetadata/v1"
    private static let flavour: HTTPHeaders = ["Metadata-Flavor": "Google"]

    private func text(_ fixture: APIFixture, _ path: String) async throws -> String {
        let response = try await fixture.send(.get, "\(Self.root)/\(path)", headers: Self.flavour)
        try #require(response.status == 200)
        #expect(response.headers["Metadata-Flavor"] == "Google")
        return String(decoding: response.body, as: UTF8.self)
    }

    private func token(_ fixture: APIFixture) async throws -> JSONValue {
        try JSONValue(parsing: Array(try await text(fixture, "instance/service-accounts/default/token").utf8))
    }

    @Test func `the header is required`() async throws {
        let fixture = APIFixture()
        let path = "\(Self.root)/instance/service-accounts/default/token"
        #expect(try await fixture.send(.get, path).status == 403)
        let forwarded: HTTPHeaders = ["Metadata-Flavor": "Google", "X-Forwarded-For": "1.2.3.4"]
        #expect(try await fixture.send(.get, path, headers: forwarded).status == 403)
        let root = try await fixture.send(.get, "http://169.254.169.254/", headers: Self.flavour)
        #expect(root.status == 200)
        #expect(root.headers["Metadata-Flavor"] == "Google")
        #expect(try await fixture.send(.get, "\(Self.root)/instance/secret", headers: Self.flavour).status == 404)
    }

    @Test(arguments: [
        ("project/project-id", "p1"), ("project/numeric-project-id", "42"),
        ("instance/service-accounts/default/email", "sandbox@p1.iam.gserviceaccount.com"),
        ("instance/attributes/cluster-name", "c1"), ("instance/attributes/cluster-location", "us-central1"),
        ("instance/zone", "projects/42/zones/us-central1-a"), ("instance/preempted", "FALSE"),
    ])
    func `facts are plain text`(path: String, value: String) async throws {
        #expect(try await text(APIFixture(), path) == value)
    }

    @Test func `a token is the same until five minutes before its end`() async throws {
        let fixture = APIFixture(checksTokens: true)
        let first = try await token(fixture)
        #expect(first["expires_in"] == 3599)
        fixture.clock.advance(by: .seconds(3298))
        let same = try await token(fixture)
        #expect(same["access_token"] == first["access_token"])
        #expect(same["expires_in"] == 301)
        fixture.clock.advance(by: .seconds(1))
        let new = try await token(fixture)
        #expect(new["access_token"] != first["access_token"])
        let good = try #require(first["access_token"]?.stringValue)
        #expect(try await fixture.call(.get, APIFixture.services, token: good).status == 200)
    }

    @Test func `a token without permission is 403 in plain text`() async throws {
        let fixture = APIFixture()
        fixture.cloud.updateScript {
            $0.deniedPermissions = ["iam.serviceAccounts.getAccessToken": CloudScript.forever]
        }
        let url = "\(Self.root)/instance/service-accounts/default/token"
        let denied = try await fixture.send(.get, url, headers: Self.flavour)
        #expect(denied.status == 403)
        #expect(String(decoding: denied.body, as: UTF8.self).contains("iam.serviceAccounts.getAccessToken"))
        #expect(fixture.cloud.callCount("metadata.token") == 1)
    }

    @Test(.timeLimit(.minutes(1))) func `who waits for a preemption hears of it`() async throws {
        let fixture = APIFixture()
        _ = try await fixture.call(
            .post, "\(CloudFixture.cluster)/nodePools",
            [
                "nodePool": [
                    "name": "pool", "initialNodeCount": 1, "locations": ["us-central1-a"], "config": ["spot": true],
                ]
            ])
        fixture.clock.advance(by: .seconds(4))
        fixture.cloud.tick()
        let instance = try #require(fixture.cloud.nodePools().first?.instances.first?.name)
        let server = fixture.cloud.metadataServer(account: "a@p1.iam.gserviceaccount.com", instance: instance)
        func get(_ query: String) async throws -> String {
            let url = try #require(HTTPURL("\(Self.root)/instance/preempted\(query)"))
            let request = HTTPRequest(.get, url, headers: Self.flavour)
            return String(decoding: try await HandlerTransport(server).send(request).body, as: UTF8.self)
        }
        #expect(try await get("") == "FALSE")
        async let waiting = get("?wait_for_change=true")
        while fixture.clock.sleeperCount == 0 { await Task.yield() }
        fixture.cloud.preempt(instance: instance)
        fixture.clock.advance(by: .milliseconds(200))
        #expect(try await waiting == "TRUE")

        async let timeout = get("?wait_for_change=true&timeout_sec=1")
        while fixture.clock.nextWake == nil { await Task.yield() }
        fixture.clock.advance(by: .seconds(1))
        #expect(try await timeout == "TRUE")
    }
}
