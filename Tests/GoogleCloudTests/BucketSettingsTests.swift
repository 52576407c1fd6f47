import Encoding
import GoogleCloud
import HTTP
import Testing

/// Settings of buckets on the wire.
@Suite struct BucketSettingsTests {
    @Test func `a lock names the metageneration that was read`() async throws {
        let bucket = try await expectCall(
            "POST \(StorageCallTests.bucket)/lockRetentionPolicy?ifMetagenerationMatch=4",
            reply: [
                "name": "p1-ml-artifacts", "projectNumber": "1", "metageneration": "5",
                "retentionPolicy": [
                    "retentionPeriod": "60", "isLocked": true, "effectiveTime": "2026-11-21T10:00:00Z",
                ],
            ]
        ) { google throws(APIError) in
            try await StorageClient(google).lockRetentionPolicy(
                ofBucket: "p1-ml-artifacts", ifMetagenerationMatch: 4)
        }
        #expect(bucket.retentionPolicy == RetentionPolicy(retentionPeriod: 60, isLocked: true))
    }

    @Test func `Autoclass, retention and key are patched alone`() async throws {
        let bucket = try await expectCall(
            "PATCH \(StorageCallTests.bucket)?ifMetagenerationMatch=4&projection=noAcl",
            body: [
                "autoclass": ["enabled": true, "terminalStorageClass": "ARCHIVE"],
                "retentionPolicy": ["retentionPeriod": "86400"], "encryption": ["defaultKmsKeyName": "k"],
            ],
            reply: [
                "name": "p1-ml-artifacts", "projectNumber": "1", "metageneration": "5",
                "autoclass": ["enabled": true, "terminalStorageClass": "ARCHIVE", "toggleTime": "x"],
                "encryption": ["defaultKmsKeyName": "k"],
            ]
        ) { google throws(APIError) in
            try await StorageClient(google).patchBucket(
                "p1-ml-artifacts",
                BucketPatch(
                    autoclass: .init(enabled: true, terminalStorageClass: "ARCHIVE"),
                    retentionPolicy: .init(retentionPeriod: 86_400), encryption: .init(defaultKmsKeyName: "k")),
                ifMetagenerationMatch: 4)
        }
        #expect(bucket.autoclass == Autoclass(enabled: true, terminalStorageClass: "ARCHIVE"))
        #expect(bucket.encryption == BucketEncryption(defaultKmsKeyName: "k"))
    }

    @Test func `a locked retention only grows, in the simulated cloud too`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        func patch(_ seconds: Int64) async throws -> Bucket {
            let bucket = try await world.storage.bucket("bucket")
            return try await world.storage.patchBucket(
                "bucket", BucketPatch(retentionPolicy: .init(retentionPeriod: seconds)),
                ifMetagenerationMatch: bucket.metageneration)
        }
        let before = try await patch(60)
        #expect(try await patch(30).retentionPolicy?.retentionPeriod == 30)
        let stale = await #expect(throws: APIError.self) {
            try await world.storage.lockRetentionPolicy(
                ofBucket: "bucket", ifMetagenerationMatch: before.metageneration)
        }
        #expect(stale?.code == .preconditionFailed)
        let bucket = try await world.storage.bucket("bucket")
        let locked = try await world.storage.lockRetentionPolicy(
            ofBucket: "bucket", ifMetagenerationMatch: bucket.metageneration)
        #expect(locked.retentionPolicy == RetentionPolicy(retentionPeriod: 30, isLocked: true))
        let shorter = await #expect(throws: APIError.self) { _ = try await patch(29) }
        #expect(shorter?.code == .forbidden)
        #expect(try await patch(31).retentionPolicy == RetentionPolicy(retentionPeriod: 31, isLocked: true))
    }
}
