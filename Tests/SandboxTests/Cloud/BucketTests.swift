import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct BucketTests {
    @Test func `a bucket keeps its settings and fills in defaults`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket("bucket", ["location": "us-central1", "labels": ["team": "ml"]])
        let bucket = try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket").json
        #expect(bucket["location"] == "US-CENTRAL1")
        #expect(bucket["locationType"] == "region")
        #expect(bucket["storageClass"] == "STANDARD")
        #expect(bucket["labels"] == ["team": "ml"])
        #expect(bucket["projectNumber"] == "42")
        #expect(bucket["metageneration"] == "1")
        #expect(bucket["softDeletePolicy"] == ["retentionDurationSeconds": "604800"])
        #expect(bucket["iamConfiguration"]?["publicAccessPrevention"] == "inherited")
        #expect(try await fixture.call(.get, "\(CloudFixture.storage)/b?project=p1").json["items"]?[0] == bucket)
    }

    @Test func `a patch merges, counts metagenerations and checks the precondition`() async throws {
        let fixture = CloudFixture()
        let rules: JSONValue = ["rule": [["action": ["type": "Delete"], "condition": ["age": 1]]]]
        try await fixture.createBucket("bucket", ["labels": ["old": "1", "kept": "1"], "lifecycle": rules])
        let url = "\(CloudFixture.storage)/b/bucket?ifMetagenerationMatch="
        let patched = try await fixture.call(
            .patch, url + "1", ["labels": ["old": nil, "new": "2"], "lifecycle": ["rule": []]])
        #expect(patched.json["labels"] == ["kept": "1", "new": "2"])
        #expect(patched.json["lifecycle"] == ["rule": []])
        #expect(patched.json["metageneration"] == "2")
        #expect(try await fixture.call(.patch, url + "1", [:]).reason == "conditionNotMet")
        #expect(try await fixture.call(.patch, url + "2", ["location": "EU"]).status == 400)
        #expect(try await fixture.call(.delete, url + "1").status == 412)
        #expect(try await fixture.call(.delete, url + "2").status == 204)
        #expect(!fixture.cloud.bucketExists("bucket"))
    }

    @Test func `a bucket name can be taken by us or by somebody else`() async throws {
        let fixture = CloudFixture(script: CloudScript(foreignBuckets: ["theirs"]))
        try await fixture.createBucket()
        let again = try await fixture.call(.post, "\(CloudFixture.storage)/b?project=p1", ["name": "bucket"])
        #expect((again.status, again.reason) == (409, "conflict"))
        let theirs = try await fixture.call(.post, "\(CloudFixture.storage)/b?project=p1", ["name": "theirs"])
        #expect((theirs.status, theirs.reason) == (409, "conflict"))
        #expect(try await fixture.call(.get, "\(CloudFixture.storage)/b/theirs").status == 403)
    }

    @Test(
        arguments: [
            ["name": "UPPER"], ["name": "goog-x"], ["nam": "bucket"], ["name": "bucket", "projectNumber": "1"],
            ["name": "bucket", "labels": ["Team": "ml"]], ["name": "bucket", "storageClass": "WARM"],
            ["name": "bucket", "softDeletePolicy": ["retentionDurationSeconds": "60"]],
            [
                "name": "bucket",
                "lifecycle": ["rule": [["action": ["type": "Delete"], "condition": [:]]]],
            ],
            [
                "name": "bucket", "autoclass": ["enabled": true],
                "lifecycle": [
                    "rule": [
                        [
                            "action": ["type": "SetStorageClass", "storageClass": "NEARLINE"],
                            "condition": ["age": 1],
                        ]
                    ]
                ],
            ],
            [
                "name": "bucket",
                "lifecycle": [
                    "rule": [["action": ["type": "Delete"], "condition": ["matchesStorageClass": ["WARM"]]]]
                ],
            ],
            [
                "name": "bucket",
                "lifecycle": ["rule": [["action": ["type": "Destroy"], "condition": ["age": 1]]]],
            ],
            [
                "name": "bucket",
                "lifecycle": ["rule": [["action": ["type": "SetStorageClass"], "condition": ["age": 1]]]],
            ],
            [
                "name": "bucket",
                "lifecycle": ["rule": [["action": ["type": "Delete"], "condition": ["createdBefore": "1/2"]]]],
            ],
            [
                "name": "bucket",
                "lifecycle": [
                    "rule": [["action": ["type": "AbortIncompleteMultipartUpload"], "condition": ["isLive": true]]]
                ],
            ],
        ] as [JSONValue])
    func `wrong settings are refused`(settings: JSONValue) async throws {
        let fixture = CloudFixture(isWrong: true)
        #expect(try await fixture.call(.post, "\(CloudFixture.storage)/b?project=p1", settings).status == 400)
        #expect(!fixture.cloud.bucketExists("bucket"))
    }

    @Test func `another project is refused`() async throws {
        let fixture = CloudFixture(isWrong: true)
        #expect(try await fixture.call(.post, "\(CloudFixture.storage)/b?project=p2", ["name": "abc"]).status == 403)
        #expect(try await fixture.call(.post, "\(CloudFixture.storage)/b", ["name": "abc"]).reason == "required")
    }

    @Test func `lifecycle rules age objects over virtual time`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket(
            "bucket",
            [
                "lifecycle": [
                    "rule": [
                        [
                            "action": ["type": "SetStorageClass", "storageClass": "NEARLINE"],
                            "condition": ["age": 30, "matchesPrefix": ["models/"]],
                        ],
                        [
                            "action": ["type": "SetStorageClass", "storageClass": "COLDLINE"],
                            "condition": ["age": 90, "matchesPrefix": ["models/"]],
                        ],
                        ["action": ["type": "Delete"], "condition": ["age": 7, "matchesPrefix": ["temp/"]]],
                    ]
                ]
            ])
        for name in ["models/m", "temp/t", "data/d"] { _ = try await fixture.upload(name, name) }
        func classes() async throws -> [String: String] {
            let items =
                try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket/o").json["items"]?.arrayValue ?? []
            return Dictionary(
                uniqueKeysWithValues: items.map {
                    ($0["name"]?.stringValue ?? "", $0["storageClass"]?.stringValue ?? "")
                })
        }
        let day = Duration.seconds(86400)
        fixture.clock.advance(by: day * 6)
        #expect(try await classes() == ["models/m": "STANDARD", "temp/t": "STANDARD", "data/d": "STANDARD"])
        fixture.clock.advance(by: day * 1)
        #expect(try await classes() == ["models/m": "STANDARD", "data/d": "STANDARD"])
        fixture.clock.advance(by: day * 23)
        #expect(try await classes() == ["models/m": "NEARLINE", "data/d": "STANDARD"])
        fixture.clock.advance(by: day * 60)
        #expect(try await classes() == ["models/m": "COLDLINE", "data/d": "STANDARD"])
    }

    @Test func `lifecycle rules count newer versions and noncurrent days`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket(
            "bucket",
            [
                "versioning": ["enabled": true],
                "lifecycle": [
                    "rule": [
                        ["action": ["type": "Delete"], "condition": ["isLive": false, "numNewerVersions": 2]],
                        ["action": ["type": "Delete"], "condition": ["daysSinceNoncurrentTime": 14]],
                    ]
                ],
            ])
        for text in ["1", "2", "3", "4"] { _ = try await fixture.upload("a", text) }
        fixture.clock.advance(by: .seconds(61))
        #expect(try await fixture.list("versions=true") == ["a#old", "a"])
        fixture.clock.advance(by: .seconds(14 * 86400))
        #expect(try await fixture.list("versions=true") == ["a"])
    }

    @Test func `a delete rule makes a live version noncurrent where versions are kept`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket(
            "bucket",
            [
                "versioning": ["enabled": true],
                "lifecycle": ["rule": [["action": ["type": "Delete"], "condition": ["age": 1, "isLive": true]]]],
            ])
        _ = try await fixture.upload("a", "1")
        fixture.clock.advance(by: .seconds(86400))
        #expect(try await fixture.list("versions=true") == ["a#old"])
    }
}
