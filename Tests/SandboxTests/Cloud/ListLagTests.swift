import Encoding
import HTTP
import Sandbox
import Testing

/// Lists that are behind a delete, and what a bucket's policy gives.
@Suite struct ListLagTests {
    @Test func `what was deleted is listed for a while, and nowhere else`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        for name in ["a/1", "a/2", "b"] { _ = try await fixture.upload(name, name) }
        fixture.setFaults {
            $0.add(.lingerInLists(for: .seconds(60)), on: RequestMatch(verb: "delete", resource: "objects"))
        }
        let url = "\(CloudFixture.storage)/b/bucket/o"
        for name in ["a%2F1", "b"] { #expect(try await fixture.call(.delete, "\(url)/\(name)").status == 204) }
        #expect(try await fixture.list() == ["a/1", "a/2", "b"])
        let prefixed = try await fixture.call(.get, "\(url)?prefix=a/").json["items"]?.arrayValue
        #expect(prefixed?.map { $0["name"]?.stringValue } == ["a/1", "a/2"])
        #expect(try await fixture.call(.get, "\(url)/b").status == 404)
        #expect(try await fixture.call(.delete, "\(url)/b").status == 404)
        fixture.clock.advance(by: .seconds(60))
        #expect(try await fixture.list() == ["a/2"])
    }

    @Test func `a pool that is made again is listed once`() async throws {
        let fixture = CloudFixture()
        _ = try await fixture.createPool("pool")
        fixture.clock.advance(by: .seconds(10))
        fixture.setFaults {
            $0.add(.lingerInLists(for: .seconds(60)), on: RequestMatch(verb: "delete", resource: "nodePools"))
        }
        #expect(try await fixture.deletePool("pool").status == 200)
        fixture.clock.advance(by: .seconds(10))
        #expect(try await fixture.pool("pool").status == 404)
        let pools = "\(CloudFixture.cluster)/nodePools"
        let ghost = try #require(try await fixture.call(.get, pools).json["nodePools"]?.arrayValue)
        #expect(ghost.map { $0["status"]?.stringValue } == ["STOPPING"])
        _ = try await fixture.createPool("pool")
        let listed = try #require(try await fixture.call(.get, pools).json["nodePools"]?.arrayValue)
        #expect(listed.map { $0["status"]?.stringValue } == ["PROVISIONING"])
    }

    private static let storage = "https://storage.googleapis.com/storage/v1"
    private static let asked = [
        "storage.buckets.delete", "storage.buckets.get", "storage.objects.create", "storage.objects.list",
    ]

    /// What of `asked` a caller holds on the bucket.
    private func held(_ fixture: APIFixture, token: String) async throws -> [String] {
        let query = Self.asked.map { "permissions=\($0)" }.joined(separator: "&")
        let url = "\(Self.storage)/b/bucket/iam/testPermissions?\(query)"
        let reply = try await fixture.call(.get, url, token: token)
        #expect(reply.status == 200)
        return reply.json["permissions"]?.arrayValue?.compactMap(\.stringValue) ?? []
    }

    private func setPolicy(_ fixture: APIFixture, _ bindings: JSONValue, token: String) async throws {
        let reply = try await fixture.call(
            .put, "\(Self.storage)/b/bucket/iam", ["version": 3, "bindings": bindings], token: token)
        #expect(reply.status == 200)
    }

    @Test(
        arguments: [
            ("roles/storage.admin", asked),
            ("roles/storage.objectAdmin", ["storage.objects.create", "storage.objects.list"]),
            ("roles/storage.objectUser", ["storage.objects.create", "storage.objects.list"]),
            ("roles/storage.objectViewer", ["storage.objects.list"]),
            ("roles/storage.objectCreator", ["storage.objects.create"]),
            ("roles/storage.legacyBucketReader", ["storage.buckets.get", "storage.objects.list"]),
            ("projects/p1/roles/unheardOf", []),
        ] as [(String, [String])])
    func `a role on a bucket is what it allows, for its members alone`(role: String, expected: [String]) async throws {
        let fixture = APIFixture(checksTokens: true)
        let owner = fixture.cloud.issueToken(to: "owner@p1.iam.gserviceaccount.com")
        let member = fixture.cloud.issueToken(to: "member@p1.iam.gserviceaccount.com")
        let created = try await fixture.call(
            .post, "\(Self.storage)/b?project=p1",
            [
                "name": "bucket", "location": "US",
                "iamConfiguration": ["uniformBucketLevelAccess": ["enabled": true]],
            ], token: owner)
        try #require(created.status == 200)
        // Without a policy everybody of the project has everything.
        #expect(try await held(fixture, token: member) == Self.asked)
        let admins: JSONValue = [
            "role": "roles/storage.admin", "members": ["serviceAccount:owner@p1.iam.gserviceaccount.com"],
        ]
        let binding: JSONValue = [
            "role": .string(role), "members": ["serviceAccount:member@p1.iam.gserviceaccount.com"],
        ]
        try await setPolicy(fixture, [admins, binding], token: owner)
        #expect(try await held(fixture, token: member) == expected)
        #expect(try await held(fixture, token: owner) == Self.asked)
        var conditional = binding
        conditional["condition"] = ["title": "never", "expression": "false"]
        try await setPolicy(fixture, [admins, conditional], token: owner)
        #expect(try await held(fixture, token: member) == [])
    }

    @Test func `the project's policy counts on its buckets, and a script still takes away`() async throws {
        let fixture = APIFixture(checksTokens: true)
        let member = fixture.cloud.issueToken(to: "member@p1.iam.gserviceaccount.com")
        _ = try await fixture.call(
            .post, "\(Self.storage)/b?project=p1", ["name": "bucket", "location": "US"], token: member)
        try await setPolicy(
            fixture,
            [["role": "roles/storage.admin", "members": ["serviceAccount:owner@p1.iam.gserviceaccount.com"]]],
            token: member)
        #expect(try await held(fixture, token: member) == [])
        let policy = try await fixture.call(
            .post, "https://cloudresourcemanager.googleapis.com/v3/projects/p1:setIamPolicy",
            [
                "policy": [
                    "bindings": [
                        [
                            "role": "roles/storage.objectViewer",
                            "members": ["serviceAccount:member@p1.iam.gserviceaccount.com"],
                        ]
                    ]
                ]
            ], token: member)
        #expect(policy.status == 200)
        #expect(try await held(fixture, token: member) == [])
        fixture.clock.advance(by: .seconds(10))
        #expect(try await held(fixture, token: member) == ["storage.objects.list"])
        fixture.cloud.updateScript { $0.deniedPermissions["storage.objects.list"] = CloudScript.forever }
        #expect(try await held(fixture, token: member) == [])
    }
}
