import Encoding
import HTTP
import Sandbox
import Testing

/// Composing, rewriting, patching and restoring.
@Suite struct StorageChangeTests {
    private static let objects = "\(CloudFixture.storage)/b/bucket/o"
    private static let day = Duration.seconds(86400)

    @Test func `objects are composed, with a checksum and without an MD5`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        let first = try await fixture.upload("a", "12345")
        _ = try await fixture.upload("b", "6789")
        func compose(_ sources: JSONValue, _ query: String = "") async throws -> CloudFixture.Reply {
            try await fixture.call(
                .post, "\(Self.objects)/all/compose?\(query)",
                ["sourceObjects": sources, "destination": ["contentType": "text/plain"]])
        }
        let composed = try await compose(
            [["name": "a", "generation": .string(first.generation)], ["name": "b"]], "ifGenerationMatch=0"
        )
        #expect(composed.json["crc32c"] == "4waSgw==")  // Castagnoli's check value E3069283.
        #expect(composed.json["md5Hash"] == nil)
        #expect(composed.json["componentCount"] == 2)
        #expect(try await fixture.read("all") == "123456789")
        #expect(try await compose([["name": "a"]], "ifGenerationMatch=0").reason == "conditionNotMet")
        #expect(try await compose([["name": "none"]]).reason == "notFound")
        #expect(
            try await compose([["name": "a", "objectPreconditions": ["ifGenerationMatch": "1"]]]).status
                == 412)
        #expect(try await compose(.array(Array(repeating: ["name": "a"], count: 33))).status == 400)
        // Parts of parts count.
        #expect(try await compose([["name": "all"], ["name": "a"]]).json["componentCount"] == 3)
        #expect(try await fixture.read("all") == "12345678912345")
    }

    @Test func `a rewrite takes as many calls as the service wants`() async throws {
        var script = CloudScript()
        script.rewriteBytes = 4
        let fixture = CloudFixture(script: script)
        try await fixture.createBucket()
        try await fixture.createBucket("other", ["storageClass": "NEARLINE"])
        let source = try await fixture.upload("a", "123456789")
        let url = "\(Self.objects)/a/rewriteTo/b/other/o/b%2Fc"
        let first = try await fixture.call(
            .post, url + "?ifSourceGenerationMatch=\(source.generation)", [:])
        #expect(first.json["done"] == false)
        #expect(first.json["totalBytesRewritten"] == "4")
        #expect(fixture.cloud.objectNames(bucket: "other") == [])
        let token = first.json["rewriteToken"]?.stringValue ?? ""
        let second = try await fixture.call(.post, url + "?rewriteToken=\(token)", [:])
        #expect(second.json["totalBytesRewritten"] == "8")
        // A token is good once.
        #expect(try await fixture.call(.post, url + "?rewriteToken=\(token)", [:]).status == 400)
        let last = try await fixture.call(
            .post, url + "?rewriteToken=\(second.json["rewriteToken"]?.stringValue ?? "")", [:])
        #expect(last.json["done"] == true)
        #expect(last.json["resource"]?["storageClass"] == "NEARLINE")
        #expect(last.json["resource"]?["crc32c"] == source.json["crc32c"])
        #expect(try await fixture.read("b/c", bucket: "other") == "123456789")
        #expect(try await fixture.call(.post, url + "?ifSourceGenerationMatch=1", [:]).status == 412)
        #expect(try await fixture.call(.post, url + "?ifGenerationMatch=0", [:]).status == 412)
        #expect(try await fixture.call(.post, url + "?maxBytesRewrittenPerCall=5", [:]).status == 400)
    }

    @Test func `what is said about an object changes in place`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        let stored = try await fixture.upload("a", "1")
        let url = "\(Self.objects)/a"
        let patched = try await fixture.call(
            .patch, url + "?ifMetagenerationMatch=1",
            ["metadata": ["run": "r1"], "customTime": "2026-11-21T00:00:00Z"])
        #expect(patched.json["metadata"] == ["run": "r1"])
        #expect(patched.json["metageneration"] == "2")
        #expect(patched.generation == stored.generation)
        #expect(try await fixture.call(.patch, url + "?ifMetagenerationMatch=1", [:]).status == 412)
        #expect(
            try await fixture.call(.patch, url, ["customTime": "2026-11-20T00:00:00Z"]).status == 400)
        #expect(try await fixture.call(.patch, url, ["storageClass": "NEARLINE"]).status == 400)
        #expect(
            try await fixture.call(.patch, url, ["metadata": ["run": nil, "by": "me"]]).json["metadata"]
                == ["by": "me"])
    }

    @Test func `holds and retention keep objects`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket("bucket", ["retentionPolicy": ["retentionPeriod": "3600"]])
        _ = try await fixture.upload("a", "1")
        let url = "\(Self.objects)/a"
        let kept = try await fixture.call(.delete, url)
        #expect((kept.status, kept.reason) == (403, "retentionPolicyNotMet"))
        #expect(try await fixture.upload("a", "2").reason == "retentionPolicyNotMet")
        fixture.clock.advance(by: .seconds(3600))
        _ = try await fixture.call(.patch, url, ["temporaryHold": true])
        #expect(try await fixture.call(.delete, url).message.contains("Temporary hold"))
        _ = try await fixture.call(.patch, url, ["temporaryHold": false])
        #expect(try await fixture.call(.delete, url).status == 204)
    }

    @Test func `what is deleted can be restored for a time`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        let first = try await fixture.upload("a", "1")
        _ = try await fixture.upload("a", "2")
        _ = try await fixture.call(.delete, "\(Self.objects)/a")
        #expect(try await fixture.list("versions=true") == [])
        #expect(try await fixture.list("softDeleted=true") == ["a", "a"])
        let query = "generation=\(first.generation)"
        let gone = try await fixture.call(.get, "\(Self.objects)/a?softDeleted=true&\(query)").json
        #expect(gone["hardDeleteTime"] == "2026-11-28T10:00:00Z")
        let restored = try await fixture.call(.post, "\(Self.objects)/a/restore?\(query)")
        #expect(restored.status == 200)
        #expect(restored.generation != first.generation)
        #expect(try await fixture.read("a") == "1")
        #expect(
            try await fixture.call(.post, "\(Self.objects)/a/restore?\(query)&ifGenerationMatch=0").status
                == 412)
        fixture.clock.advance(by: Self.day * 7)
        #expect(try await fixture.call(.post, "\(Self.objects)/a/restore?\(query)").status == 404)
        #expect(try await fixture.list("softDeleted=true") == [])
    }

    @Test func `a deleted bucket can be restored, objects that are gone do not keep it`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket("bucket", ["labels": ["team": "ml"]])
        _ = try await fixture.upload("a", "1")
        let generation = try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket").generation
        _ = try await fixture.call(.delete, "\(Self.objects)/a")
        #expect(try await fixture.call(.delete, "\(CloudFixture.storage)/b/bucket").status == 204)
        #expect(try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket").status == 404)
        let gone = try await fixture.call(.get, "\(CloudFixture.storage)/b?project=p1&softDeleted=true")
            .json
        #expect(gone["items"]?[0]?["softDeleteTime"] == "2026-11-21T10:00:00Z")
        let restore = "\(CloudFixture.storage)/b/bucket/restore?generation=\(generation)"
        #expect(try await fixture.call(.post, restore).json["labels"] == ["team": "ml"])
        #expect(try await fixture.list("softDeleted=true") == ["a"])
        #expect(try await fixture.call(.post, restore).status == 404)
    }

    @Test func `without soft delete what is gone is gone`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket(
            "bucket", ["softDeletePolicy": ["retentionDurationSeconds": "0"]])
        _ = try await fixture.upload("a", "1")
        _ = try await fixture.call(.delete, "\(Self.objects)/a")
        #expect(try await fixture.list("softDeleted=true") == [])
    }

    @Test func `restorable bytes give way to new ones`() async throws {
        let fixture = CloudFixture(maximumStorageBytes: 10)
        try await fixture.createBucket()
        for text in ["1111", "2222", "3333"] { _ = try await fixture.upload("a", text) }
        #expect(try await fixture.list("softDeleted=true") == ["a"])
        #expect(try await fixture.read("a") == "3333")
    }
}

/// Who may use a bucket, and who is told about it.
@Suite struct BucketPolicyTests {
    private static let url = "\(CloudFixture.storage)/b/bucket/iam"
    private static let viewer: JSONValue = [
        "role": "roles/storage.objectViewer",
        "members": ["serviceAccount:ml@p1.iam.gserviceaccount.com"],
    ]
    private static let conditional: JSONValue = {
        var binding = viewer
        binding["condition"] = [
            "title": "models", "expression": "resource.name.startsWith(\"models/\")",
        ]
        return binding
    }()

    private func bucket(_ settings: JSONValue = [:], script: CloudScript = CloudScript()) async throws
        -> CloudFixture
    {
        let fixture = CloudFixture(script: script)
        try await fixture.createBucket("bucket", settings)
        return fixture
    }

    @Test func `a policy is changed with its etag`() async throws {
        let fixture = try await bucket()
        let before = try await fixture.call(.get, Self.url).json
        #expect(before["bindings"] == nil)
        let changed = try await fixture.call(
            .put, Self.url, ["bindings": [Self.viewer], "etag": before["etag"] ?? .null])
        #expect(changed.json["bindings"] == [Self.viewer])
        #expect(changed.json["etag"] != before["etag"])
        let stale = try await fixture.call(
            .put, Self.url, ["bindings": [], "etag": before["etag"] ?? .null])
        #expect((stale.status, stale.reason) == (412, "conditionNotMet"))
        #expect(try await fixture.call(.get, Self.url).json == changed.json)
    }

    @Test func `conditions need version 3 and uniform access, and are not lost by older readers`()
        async throws
    {
        let plain = try await bucket()
        #expect(
            try await plain.call(.put, Self.url, ["version": 3, "bindings": [Self.conditional]]).status
                == 400)
        let fixture = try await bucket([
            "iamConfiguration": ["uniformBucketLevelAccess": ["enabled": true]]
        ])
        #expect(try await fixture.call(.put, Self.url, ["bindings": [Self.conditional]]).status == 400)
        #expect(
            try await fixture.call(.put, Self.url, ["version": 3, "bindings": [Self.conditional]]).status
                == 200)
        let old = try await fixture.call(.get, Self.url).json
        #expect(
            old["bindings"]?[0]?["role"]?.stringValue?.hasPrefix("roles/storage.objectViewer_withcond_")
                == true)
        #expect(old["bindings"]?[0]?["condition"] == nil)
        let new = try await fixture.call(.get, Self.url + "?optionsRequestedPolicyVersion=3").json
        #expect(new["version"] == 3)
        #expect(new["bindings"] == [Self.conditional])
        #expect(try await fixture.call(.put, Self.url, ["bindings": [Self.viewer]]).status == 400)
    }

    @Test func `wrong members and public access are refused`() async throws {
        let account = "new@p1.iam.gserviceaccount.com"
        var script = CloudScript()
        script.unknownAccounts = [account: VirtualClock().now + .seconds(90)]
        let fixture = try await bucket(
            ["iamConfiguration": ["publicAccessPrevention": "enforced"]], script: script)
        func set(_ member: String) async throws -> CloudFixture.Reply {
            let binding: JSONValue = ["role": "roles/storage.objectViewer", "members": [.string(member)]]
            return try await fixture.call(.put, Self.url, ["bindings": [binding]])
        }
        #expect(try await set("allUsers").status == 412)
        #expect(try await set("ml@example.com").status == 400)
        #expect(
            try await set("serviceAccount:\(account)").message
                == "Service account \(account) does not exist.")
        fixture.clock.advance(by: .seconds(90))
        #expect(try await set("serviceAccount:\(account)").status == 200)
    }

    @Test func `permissions are tested`() async throws {
        var script = CloudScript()
        script.deniedPermissions = ["storage.objects.create": CloudScript.forever]
        let fixture = try await bucket(script: script)
        let test =
            "\(Self.url)/testPermissions?permissions=storage.objects.get&permissions=storage.objects.create"
        #expect(try await fixture.call(.get, test).json["permissions"] == ["storage.objects.get"])
        let denied = try await fixture.upload("a", "1")
        #expect((denied.status, denied.reason) == (403, "forbidden"))
        #expect(denied.message.contains("storage.objects.create"))
    }

    @Test func `notifications are made, listed and deleted`() async throws {
        let fixture = try await bucket()
        let url = "\(CloudFixture.storage)/b/bucket/notificationConfigs"
        let body: JSONValue = [
            "topic": "//pubsub.googleapis.com/projects/p1/topics/uploads",
            "payload_format": "JSON_API_V1",
            "event_types": ["OBJECT_FINALIZE"], "object_name_prefix": "input/",
        ]
        for id in ["1", "2"] {
            #expect(try await fixture.call(.post, url, body).json["id"] == .string(id))
        }
        #expect(try await fixture.call(.get, url).json["items"]?.arrayValue?.count == 2)
        #expect(try await fixture.call(.get, url + "/2").json["object_name_prefix"] == "input/")
        #expect(try await fixture.call(.delete, url + "/1").status == 204)
        #expect(try await fixture.call(.delete, url + "/1").status == 404)
        var wrong = body
        wrong["topic"] = "projects/p1/topics/uploads"
        #expect(try await fixture.call(.post, url, wrong).status == 400)
        wrong = body
        wrong["event_types"] = ["OBJECT_CREATE"]
        #expect(try await fixture.call(.post, url, wrong).status == 400)
        let account = try await fixture.call(.get, "\(CloudFixture.storage)/projects/p1/serviceAccount")
            .json
        #expect(account["email_address"] == "service-42@gs-project-accounts.iam.gserviceaccount.com")
    }

    @Test func `a disabled storage API says so`() async throws {
        let fixture = try await bucket()
        fixture.cloud.updateScript {
            $0.disabledServices = ["storage.googleapis.com": CloudScript.forever]
        }
        let reply = try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket")
        #expect((reply.status, reply.reason) == (403, "accessNotConfigured"))
    }
}
