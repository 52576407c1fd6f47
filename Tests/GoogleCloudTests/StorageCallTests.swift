import Encoding
import GoogleCloud
import HTTP
import Testing

/// What the calls beside bytes and lists look like on the wire, and how their replies read.
@Suite struct StorageCallTests {
    static let bucket = "https://storage.googleapis.com/storage/v1/b/p1-ml-artifacts"
    static let reply: JSONValue = [
        "name": "models/all.bin", "size": "6", "crc32c": "AAAAAA==", "generation": "8", "metageneration": 1,
    ]
    static let object = StorageObject(name: "models/all.bin", size: 6, crc32c: "AAAAAA==", generation: 8)

    @Test func `compose joins at most 32 objects`() async throws {
        var composed = Self.reply
        composed["componentCount"] = 2
        let object = try await expectCall(
            "POST \(Self.bucket)/o/models%2Fall.bin/compose?ifGenerationMatch=0",
            body: [
                "sourceObjects": [
                    ["name": "models/p1", "generation": "1", "objectPreconditions": ["ifGenerationMatch": "1"]],
                    ["name": "models/p2"],
                ], "destination": ["contentType": "application/octet-stream"],
            ], reply: composed
        ) { google throws(APIError) in
            try await StorageClient(google).compose(
                [
                    ComposeSource(name: "models/p1", generation: 1, ifGenerationMatch: 1),
                    ComposeSource(name: "models/p2"),
                ], to: "models/all.bin", in: "p1-ml-artifacts", ifGenerationMatch: 0)
        }
        #expect(object.componentCount == 2)
        #expect(object.generation == 8)
        let storage = StorageClient(
            GoogleCloudClient(transport: NoTransport(), tokens: NoTokens(), clock: ImpatientClock()))
        for count in [0, 33] {
            let error = await failure { () async throws(APIError) in
                try await storage.compose(
                    Array(repeating: ComposeSource(name: "a"), count: count), to: "b", in: "bucket")
            }
            #expect(error?.message == "1 to 32 objects can be joined, not \(count)")
        }
        let hostile = await failure { () async throws(APIError) in
            try await storage.compose([ComposeSource(name: "..")], to: "b", in: "bucket")
        }
        #expect(hostile?.code == .invalid)
    }

    @Test func `a copy in one request`() async throws {
        let object = try await expectCall(
            "POST \(Self.bucket)/o/a%2Fb/copyTo/b/other/o/c?sourceGeneration=3&ifGenerationMatch=0", reply: Self.reply
        ) { google throws(APIError) in
            try await StorageClient(google).copyObject(
                ObjectLocation(bucket: "p1-ml-artifacts", name: "a/b", generation: 3),
                to: ObjectLocation(bucket: "other", name: "c"), ifGenerationMatch: 0)
        }
        #expect(object == Self.object)
    }

    @Test func `a rewrite takes as many requests as it needs`() async throws {
        let path = "POST \(Self.bucket)/o/a/rewriteTo/b/other/o/c"
        var steps: [[Int64]] = []
        let object = try await expectCalls(
            [path, path + "?rewriteToken=t1", path + "?rewriteToken=t2"],
            replies: [
                ["done": false, "rewriteToken": "t1", "totalBytesRewritten": "2", "objectSize": "6"],
                ["rewriteToken": "t2", "totalBytesRewritten": "2", "objectSize": "6"],
                ["done": true, "totalBytesRewritten": "6", "objectSize": "6", "resource": Self.reply],
            ], repeats: false
        ) { google throws(APIError) in
            try await StorageClient(google, transfers: .forTests).rewriteObject(
                ObjectLocation(bucket: "p1-ml-artifacts", name: "a"), to: ObjectLocation(bucket: "other", name: "c")
            ) { steps.append([$0, $1]) }
        }
        #expect(object == Self.object)
        #expect(steps == [[2, 6], [2, 6], [6, 6]])
    }

    /// A rewrite against a script: what it ended with, and the requests.
    func rewrite(
        _ script: @escaping @Sendable (_ number: Int) -> ScriptedTransport.Step
    ) async -> (result: Result<StorageObject, APIError>, lines: [String]) {
        let transport = ScriptedTransport { number, _ in script(number) }
        let storage = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()),
            transfers: .forTests)
        do throws(APIError) {
            let object = try await storage.rewriteObject(
                ObjectLocation(bucket: "bucket", name: "a"), to: ObjectLocation(bucket: "other", name: "c"),
                ifGenerationMatch: 0)
            return (.success(object), transport.lines)
        } catch {
            return (.failure(error), transport.lines)
        }
    }

    @Test func `a rewrite goes on after interruptions, and ends when they do not end`() async throws {
        let path = "POST /storage/v1/b/bucket/o/a/rewriteTo/b/other/o/c?ifGenerationMatch=0"
        let resumed = await rewrite { number in
            switch number {
            case 1: .reply(.json(["rewriteToken": "t1", "totalBytesRewritten": "2", "objectSize": "6"]))
            case 2: .loseRequest
            case 3: .reply(HTTPResponse(status: 503))
            default: .reply(.json(["done": true, "resource": Self.reply]))
            }
        }
        #expect(try resumed.result.get() == Self.object)
        #expect(resumed.lines == [path] + Array(repeating: path + "&rewriteToken=t1", count: 3))
        let lost = await rewrite { _ in .loseRequest }
        #expect(throws: APIError.self) { try lost.result.get() }
        #expect(lost.lines.count == 6)
    }

    @Test func `a rewrite that does not advance ends`() async {
        for reply: JSONValue in [
            ["rewriteToken": "t", "totalBytesRewritten": "2", "objectSize": "6"], ["done": true], ["done": false], [:],
        ] {
            let stuck = await rewrite { _ in .reply(.json(reply)) }
            #expect(throws: APIError.self) { try stuck.result.get() }
            if case .failure(let error) = stuck.result { #expect(error.code == .malformedResponse) }
            #expect(stuck.lines.count <= 6)
        }
    }

    @Test(arguments: [("AAAAAA==", true), ("BBBBBB==", false)])
    func `a precondition that our own lost reply has broken is success`(crc32c: String, isSame: Bool) async {
        let found = await rewrite { number in
            switch number {
            case 1: .loseRequest
            case 2: .reply(HTTPResponse(status: 412))
            case 3: .reply(.json(["name": "a", "size": "6", "crc32c": "AAAAAA==", "generation": "1"]))
            default: .reply(.json(["name": "c", "size": "6", "crc32c": .string(crc32c), "generation": "2"]))
            }
        }
        switch found.result {
        case .success(let object): #expect(isSame && object.generation == 2)
        case .failure(let error): #expect(!isSame && error.code == .preconditionFailed)
        }
        #expect(found.lines.suffix(2) == ["GET /storage/v1/b/bucket/o/a", "GET /storage/v1/b/other/o/c"])
    }

    @Test func `who may use a bucket`() async throws {
        let expression = #"resource.name.startsWith("projects/_/buckets/p1-ml-artifacts/objects/models/")"#
        let policy = IAMPolicy(
            bindings: [
                .init(
                    role: "roles/storage.objectViewer", members: ["serviceAccount:ml@p1.iam.gserviceaccount.com"],
                    condition: .init(expression: expression, title: "models-only"))
            ], etag: "CAE=", version: 3)
        let json: JSONValue = [
            "version": 3, "etag": "CAE=",
            "bindings": [
                [
                    "role": "roles/storage.objectViewer", "members": ["serviceAccount:ml@p1.iam.gserviceaccount.com"],
                    "condition": ["title": "models-only", "expression": .string(expression)],
                ]
            ],
        ]
        let read = try await expectCall("GET \(Self.bucket)/iam?optionsRequestedPolicyVersion=3", reply: json) {
            google throws(APIError) in try await StorageClient(google).policy(ofBucket: "p1-ml-artifacts")
        }
        #expect(read == policy)
        let set = try await expectCall("PUT \(Self.bucket)/iam", body: json, reply: json) {
            google throws(APIError) in
            try await StorageClient(google).setPolicy(policy, ofBucket: "p1-ml-artifacts")
        }
        #expect(set == policy)
        let granted = try await expectCall(
            "GET \(Self.bucket)/iam/testPermissions?permissions=storage.objects.get&permissions=storage.objects.create",
            reply: ["permissions": ["storage.objects.get"]]
        ) { google throws(APIError) in
            try await StorageClient(google).grantedPermissions(
                ["storage.objects.get", "storage.objects.create"], onBucket: "p1-ml-artifacts")
        }
        #expect(granted == ["storage.objects.get"])
    }

    @Test func `notifications`() async throws {
        let notification = BucketNotification(
            topic: "//pubsub.googleapis.com/projects/p1/topics/uploads",
            eventTypes: ["OBJECT_FINALIZE", "OBJECT_DELETE"], objectNamePrefix: "input/",
            customAttributes: ["k": "v"])
        var json: JSONValue = [
            "topic": "//pubsub.googleapis.com/projects/p1/topics/uploads", "payload_format": "JSON_API_V1",
            "event_types": ["OBJECT_FINALIZE", "OBJECT_DELETE"], "object_name_prefix": "input/",
            "custom_attributes": ["k": "v"],
        ]
        let body = json
        json["id"] = "7"
        let reply = json
        var sent = notification
        sent.id = "no output-only field is sent"
        let request = sent
        let made = try await expectCall("POST \(Self.bucket)/notificationConfigs", body: body, reply: reply) {
            google throws(APIError) in
            try await StorageClient(google).insertNotification(request, in: "p1-ml-artifacts")
        }
        var expected = notification
        expected.id = "7"
        #expect(made == expected)
        let list = try await expectCall("GET \(Self.bucket)/notificationConfigs", reply: ["items": [reply]]) {
            google throws(APIError) in try await StorageClient(google).notifications(in: "p1-ml-artifacts")
        }
        #expect(list == [expected])
        try await expectCall("DELETE \(Self.bucket)/notificationConfigs/7") { google throws(APIError) in
            try await StorageClient(google).deleteNotification("7", in: "p1-ml-artifacts")
        }
    }

    @Test func `a patch of an object removes metadata with null`() async throws {
        let object = try await expectCall(
            "PATCH \(Self.bucket)/o/a?generation=8&ifMetagenerationMatch=2",
            body: ["metadata": ["run": "r1", "old": nil], "customTime": "2026-11-21T00:00:00Z", "contentType": "t/x"],
            reply: Self.reply
        ) { google throws(APIError) in
            try await StorageClient(google).patchObject(
                "a", in: "p1-ml-artifacts",
                ObjectPatch(
                    contentType: "t/x", metadata: ["run": "r1", "old": nil], customTime: "2026-11-21T00:00:00Z"),
                generation: 8, ifMetagenerationMatch: 2)
        }
        #expect(object == Self.object)
    }

    @Test func `what was deleted can be listed and restored`() async throws {
        var query = ObjectQuery(prefix: "models/")
        query.softDeleted = true
        let asked = query
        var gone = Self.reply
        gone["softDeleteTime"] = "2026-11-20T00:00:00Z"
        gone["hardDeleteTime"] = "2026-11-27T00:00:00Z"
        let deleted = gone
        let listing = try await expectCall(
            "GET \(Self.bucket)/o?projection=noAcl&maxResults=1000&prefix=models%2F&softDeleted=true",
            reply: ["items": [deleted]]
        ) { google throws(APIError) in try await StorageClient(google).objects(in: "p1-ml-artifacts", asked) }
        #expect(listing.objects.map(\.hardDeleteTime) == ["2026-11-27T00:00:00Z"])
        let object = try await expectCall(
            "POST \(Self.bucket)/o/models%2Fall.bin/restore?generation=8&ifGenerationMatch=0", reply: Self.reply
        ) { google throws(APIError) in
            try await StorageClient(google).restoreObject(
                "models/all.bin", in: "p1-ml-artifacts", generation: 8, ifGenerationMatch: 0)
        }
        #expect(object == Self.object)
        let bucket: JSONValue = [
            "name": "p1-ml-artifacts", "projectNumber": "42", "metageneration": 3, "generation": "99",
            "softDeleteTime": "2026-11-20T00:00:00Z",
        ]
        let buckets = try await expectCall(
            "GET https://storage.googleapis.com/storage/v1/b?project=p1&projection=noAcl&prefix=p1&softDeleted=true",
            reply: ["items": [bucket]]
        ) { google throws(APIError) in
            try await StorageClient(google).buckets(project: "p1", prefix: "p1", softDeleted: true)
        }
        #expect(buckets.map(\.generation) == [99])
        let restored = try await expectCall("POST \(Self.bucket)/restore?generation=99", reply: bucket) {
            google throws(APIError) in
            try await StorageClient(google).restoreBucket("p1-ml-artifacts", generation: 99)
        }
        #expect(restored == buckets.first)
    }

    @Test func `an incomplete list of buckets is an error, not a shorter list`() async {
        let transport = ScriptedTransport { _, _ in
            .reply(.json(["items": [["name": "bucket"]], "unreachable": ["projects/_/buckets/x", "us-east1"]]))
        }
        let storage = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        let error = await failure { () async throws(APIError) in try await storage.buckets(project: "p1") }
        #expect(error?.code == .unavailable)
        #expect(error?.message == "the list is incomplete; no answer from projects/_/buckets/x, us-east1")
    }
}
