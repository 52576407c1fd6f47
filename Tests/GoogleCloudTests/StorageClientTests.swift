import Encoding
import GoogleCloud
import HTTP
import Sandbox
import Testing

@Suite struct StorageClientTests {
    static let configuration = BucketConfiguration(
        name: "bucket", location: "us-central1", storageClass: "STANDARD",
        labels: ["trainyard-owner-uid": "u1"], versioning: Versioning(enabled: true),
        softDeletePolicy: SoftDeletePolicy(retentionDurationSeconds: 0),
        lifecycle: Lifecycle(rule: [
            LifecycleRule(action: .init(type: "Delete"), condition: .init(age: 0, matchesPrefix: ["temp/"]))
        ]))

    @Test func `an insert sends locked settings, int64 as strings and a zero that means something`() async throws {
        let world = CloudWorld()
        let bucket = try await world.storage.insertBucket(Self.configuration, project: "p1")
        let request = world.transport.requests[0]
        #expect(world.transport.lines == ["POST /storage/v1/b?project=p1"])
        #expect(
            try JSONValue(parsing: request.body) == [
                "name": "bucket", "location": "us-central1", "storageClass": "STANDARD",
                "labels": ["trainyard-owner-uid": "u1"],
                "iamConfiguration": [
                    "uniformBucketLevelAccess": ["enabled": true], "publicAccessPrevention": "enforced",
                ],
                "versioning": ["enabled": true], "softDeletePolicy": ["retentionDurationSeconds": "0"],
                "lifecycle": [
                    "rule": [["action": ["type": "Delete"], "condition": ["age": 0, "matchesPrefix": ["temp/"]]]]
                ],
            ])
        #expect(bucket.projectNumber == 42)
        #expect(bucket.metageneration == 1)
        #expect(bucket.location == "US-CENTRAL1")
        #expect(bucket.lifecycle == Self.configuration.lifecycle)
        #expect(bucket.softDeletePolicy?.retentionDurationSeconds == 0)
        #expect(try await world.storage.bucket("bucket") == bucket)
        #expect(try await world.storage.buckets(project: "p1", prefix: "buck") == [bucket])
    }

    @Test func `a patch removes labels with null and leaves the rest`() async throws {
        let world = CloudWorld()
        _ = try await world.storage.insertBucket(Self.configuration, project: "p1")
        let patch = BucketPatch(labels: ["trainyard-owner-uid": nil, "team": "ml"], lifecycle: Lifecycle(rule: []))
        let bucket = try await world.storage.patchBucket("bucket", patch, ifMetagenerationMatch: 1)
        #expect(
            String(decoding: world.transport.requests[1].body, as: UTF8.self)
                == #"{"labels":{"team":"ml","trainyard-owner-uid":null},"lifecycle":{"rule":[]}}"#)
        #expect(bucket.labels == ["team": "ml"])
        #expect(bucket.lifecycle?.rule == [])
        #expect(bucket.versioning == Versioning(enabled: true))
        let stale = await failure { () async throws(APIError) in
            try await world.storage.patchBucket("bucket", patch, ifMetagenerationMatch: 1)
        }
        #expect(stale?.code == .preconditionFailed)
        #expect(BucketPatch().isEmpty)
        #expect(!patch.isEmpty)
    }

    @Test func `a taken name is alreadyExists, whoever has it`() async throws {
        let world = CloudWorld(script: CloudScript(foreignBuckets: ["theirs"]))
        try await world.createBucket()
        for name in ["bucket", "theirs"] {
            let error = await failure { () async throws(APIError) in
                try await world.storage.insertBucket(.init(name: name, location: "EU"), project: "p1")
            }
            #expect(error?.code == .alreadyExists)
        }
        let error = await failure { () async throws(APIError) in try await world.storage.bucket("theirs") }
        #expect(error?.code == .forbidden)
    }

    @Test func `a bucket with objects is not deleted`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let object = try await world.storage.upload([1], to: "a", in: "bucket")
        let full = await failure { () async throws(APIError) in
            try await world.storage.deleteBucket("bucket", ifMetagenerationMatch: 1)
        }
        #expect(full?.code == .conflict)
        let stale = await failure { () async throws(APIError) in
            try await world.storage.deleteObject("a", in: "bucket", ifGenerationMatch: 1)
        }
        #expect(stale?.code == .preconditionFailed)
        try await world.storage.deleteObject("a", in: "bucket", ifGenerationMatch: object.generation)
        try await world.storage.deleteBucket("bucket", ifMetagenerationMatch: 1)
        let gone = await failure { () async throws(APIError) in try await world.storage.object("a", in: "bucket") }
        #expect(gone?.code == .notFound)
    }

    @Test func `a list reads all pages and says when it is too long`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let names = (0..<7).map { "d/\($0)" }
        for name in names + ["e"] { _ = try await world.storage.upload([1], to: name, in: "bucket") }
        let listing = try await world.storage.objects(in: "bucket", ObjectQuery(prefix: "d/", pageSize: 3))
        #expect(listing.objects.map(\.name) == names)
        #expect(world.transport.lines.suffix(3).allSatisfy { $0.contains("maxResults=3&prefix=d%2F") })
        let levels = try await world.storage.objects(in: "bucket", ObjectQuery(delimiter: "/"))
        #expect(levels.objects.map(\.name) == ["e"])
        #expect(levels.prefixes == ["d/"])
        let long = await failure { () async throws(APIError) in
            try await world.storage.objects(in: "bucket", ObjectQuery(pageSize: 3, limit: 5))
        }
        #expect(long?.code == .tooLarge)
    }

    @Test func `pages that do not end are an error`() async {
        let transport = ScriptedTransport { _, _ in .reply(.json(["nextPageToken": "same"])) }
        let storage = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        let error = await failure { () async throws(APIError) in try await storage.objects(in: "bucket") }
        #expect(error?.code == .malformedResponse)
        #expect(transport.requests.count == 2)
    }

    @Test func `an object's name is one encoded segment`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let name = "a/../b c/ü%2F?#.txt"
        _ = try await world.storage.upload([1, 2], to: name, in: "bucket")
        #expect(try await world.storage.object(name, in: "bucket").size == 2)
        #expect(world.transport.lines.last == "GET /storage/v1/b/bucket/o/a%2F..%2Fb%20c%2F%C3%BC%252F%3F%23.txt")
    }

    @Test(arguments: [("B", "a"), ("b/c", "a"), ("..", "a"), ("bucket", ""), ("bucket", ".."), ("bucket", "a\nb")])
    func `names that are none never leave the process`(bucket: String, object: String) async {
        let storage = StorageClient(
            GoogleCloudClient(transport: NoTransport(), tokens: NoTokens(), clock: ImpatientClock()))
        let errors = [
            await failure { () async throws(APIError) in try await storage.object(object, in: bucket) },
            await failure { () async throws(APIError) in try await storage.deleteObject(object, in: bucket) },
            await failure { () async throws(APIError) in try await storage.upload([1], to: object, in: bucket) },
            await failure { () async throws(APIError) in try await storage.read(object, in: bucket) },
        ]
        for error in errors {
            #expect(error?.code == .invalid)
            #expect(error?.message.contains("unexpected request") == false)
        }
    }

    @Test func `a URI has a bucket and a path`() {
        #expect(StorageURI("gs://bucket/a/b/")?.path == "a/b/")
        #expect(StorageURI("gs://bucket")?.description == "gs://bucket/")
        #expect(StorageURI("gs://bucket/a/")?.appending("m.json")?.description == "gs://bucket/a/m.json")
        #expect(StorageURI("gs://bucket/a")?.appending("m.json") == nil)
        for text in ["bucket/a", "gs://", "gs://B/a", "http://bucket/a", "gs://bucket/a\nb"] {
            #expect(StorageURI(text) == nil)
        }
    }
}
