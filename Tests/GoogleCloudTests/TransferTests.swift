import Encoding
import GoogleCloud
import HTTP
import Sandbox
import Testing

@Suite struct TransferTests {
    /// 256 KiB, the smallest chunk.
    static let unit = 256 << 10

    @Test(arguments: [0, 1, unit, unit + 1, 2 * unit, 3 * unit + 17])
    func `what goes up comes down`(size: Int) async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let bytes = pattern(size)
        let options = UploadOptions(contentType: "application/json", ifGenerationMatch: 0, metadata: ["run": "r1"])
        let object = try await world.storage.upload(bytes, to: "o", in: "bucket", options: options)
        #expect(object.size == Int64(size))
        #expect(object.crc32c == CRC32C(of: bytes).base64)
        #expect(object.contentType == "application/json")
        #expect(object.metadata == ["run": "r1"])
        let read = try await world.storage.read("o", in: "bucket")
        #expect(read.bytes == bytes)
        #expect(read.object.generation == object.generation)
        #expect(read.object.crc32c == object.crc32c)
        let chunkCount = world.transport.requests.count { $0.method == .put }
        #expect(chunkCount == (size > Self.unit ? (size + Self.unit - 1) / Self.unit : 0))
    }

    /// Breaks request number `number` (1 is the bucket, 2 the upload's first) in both ways.
    @Test(arguments: Array(2...6), [true, false])
    func `an upload survives a connection cut at any request`(number: Int, isReplyLost: Bool) async throws {
        let world = CloudWorld { count, _ in
            count == number ? (isReplyLost ? .loseReply : .loseRequest) : .pass
        }
        try await world.createBucket()
        let bytes = pattern(3 * Self.unit + 5)
        let object = try await world.storage.upload(bytes, to: "o", in: "bucket", options: .init(ifGenerationMatch: 0))
        #expect(object.size == Int64(bytes.count))
        #expect(try world.cloud.readObject(bucket: "bucket", name: "o") == bytes)
        #expect(world.clock.pauses == [.milliseconds(500)])
        let versions = try await world.storage.objects(in: "bucket", ObjectQuery(versions: true))
        #expect(versions.objects.count == 1)
    }

    @Test func `after a cut the service is asked and only the rest is sent`() async throws {
        let world = CloudWorld(
            faults: [.chunk(.keepOnly(bytes: 1000), calls: 2...2)])
        try await world.createBucket()
        let bytes = pattern(2 * Self.unit)
        _ = try await world.storage.upload(bytes, to: "o", in: "bucket")
        let ranges = world.transport.requests.compactMap { $0.headers["Content-Range"] }
        #expect(
            ranges == [
                "bytes 0-262143/524288", "bytes 262144-524287/524288", "bytes */524288",
                "bytes 263144-524287/524288",
            ])
        #expect(try world.cloud.readObject(bucket: "bucket", name: "o") == bytes)
    }

    @Test func `a lost session starts again`() async throws {
        let world = CloudWorld(
            faults: [.chunk(.fail(status: 410, reason: "gone", message: "lost"), calls: 2...2)])
        try await world.createBucket()
        let bytes = pattern(2 * Self.unit)
        _ = try await world.storage.upload(bytes, to: "o", in: "bucket")
        #expect(world.cloud.callCount("storage.objects.insert") == 2)
        #expect(try world.cloud.readObject(bucket: "bucket", name: "o") == bytes)
    }

    @Test(arguments: [410, 503])
    func `an upload gives up after its retries`(status: Int) async throws {
        let world = CloudWorld(
            faults: [.chunk(.fail(status: status, reason: "backendError", message: "no"))])
        try await world.createBucket()
        let error = await failure { () async throws(APIError) in
            try await world.storage.upload(pattern(2 * Self.unit), to: "o", in: "bucket")
        }
        #expect(error?.code == .unavailable)
        #expect(world.faults.firedCount == 6)
    }

    @Test func `pauses double, are bounded, and follow Retry-After`() async throws {
        let world = CloudWorld { number, _ in
            switch number {
            case 2: .reply(HTTPResponse(status: 503, headers: ["Retry-After": "9"]))
            case 3...6: .reply(HTTPResponse(status: 503))
            default: .pass
            }
        }
        try await world.createBucket()
        _ = try await world.storage.upload([1], to: "o", in: "bucket")
        #expect(world.clock.pauses == [.seconds(9), .seconds(1), .seconds(2), .seconds(4), .seconds(8)])
    }

    @Test func `a small upload gives up too, and a wrong request is not repeated`() async throws {
        let down = CloudWorld { number, _ in number == 1 ? .pass : .loseRequest }
        try await down.createBucket()
        let error = await failure { () async throws(APIError) in
            try await down.storage.upload([1], to: "o", in: "bucket")
        }
        #expect(error?.code == .unavailable)
        #expect(down.transport.requests.count == 7)

        let missing = CloudWorld()
        let notFound = await failure { () async throws(APIError) in
            try await missing.storage.upload([1], to: "o", in: "nobody")
        }
        #expect(notFound?.code == .notFound)
        #expect(missing.transport.requests.count == 1)
    }

    @Test(arguments: [10, 600_000])
    func `a precondition that fails is told apart from a lost reply`(size: Int) async throws {
        let world = CloudWorld()
        try await world.createBucket()
        _ = try await world.storage.upload([9], to: "o", in: "bucket")
        let error = await failure { () async throws(APIError) in
            try await world.storage.upload(pattern(size), to: "o", in: "bucket", options: .init(ifGenerationMatch: 0))
        }
        #expect(error?.code == .preconditionFailed)
        #expect(try world.cloud.readObject(bucket: "bucket", name: "o") == [9])
    }

    @Test func `bytes that change on the way up are refused by the service`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        // The source gives other bytes the second time: what the checksum was made of is not what is sent.
        let first = Once()
        let source = UploadSource(size: 600_000) { _, count in
            [UInt8](repeating: first.isFirst ? 1 : 2, count: count)
        }
        let error = await failure { () async throws(APIError) in
            try await world.storage.upload(source, to: "o", in: "bucket")
        }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains("CRC32C") == true)
        #expect(world.cloud.objectNames(bucket: "bucket").isEmpty)
    }

    @Test func `what goes in one request is read once: its checksum is of what is sent`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let first = Once()
        let source = UploadSource(size: 3) { _, _ in first.isFirst ? [1, 2, 3] : [1, 2, 4] }
        let object = try await world.storage.upload(source, to: "o", in: "bucket")
        #expect(object.crc32c == CRC32C(of: [1, 2, 3]).base64)
        #expect(try world.cloud.readObject(bucket: "bucket", name: "o") == [1, 2, 3])
    }

    @Test func `a reply with another checksum is an error`() async throws {
        let transport = ScriptedTransport { _, _ in
            .reply(.json(["name": "o", "size": "1", "crc32c": "AAAAAA==", "generation": "5"]))
        }
        let storage = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        let error = await failure { () async throws(APIError) in
            try await storage.upload([1], to: "o", in: "bucket")
        }
        #expect(error?.code == .malformedResponse)
    }

    @Test func `a session on another host is not followed there`() async throws {
        let transport = ScriptedTransport { number, _ in
            number == 1
                ? .reply(
                    HTTPResponse(
                        status: 200,
                        headers: ["Location": "https://evil.example/upload/storage/v1/b/bucket/o?upload_id=1"]))
                : .reply(HTTPResponse(status: 400))
        }
        let storage = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()), transfers: .forTests)
        _ = await failure { () async throws(APIError) in
            try await storage.upload(pattern(2 * Self.unit), to: "o", in: "bucket")
        }
        #expect(transport.requests.map(\.url.origin) == Array(repeating: "https://storage.googleapis.com", count: 2))
    }

    @Test(arguments: ["bytes=0-9999999", "bytes=5-9", "items=0-3"])
    func `a Range that cannot be right ends the upload`(range: String) async throws {
        let transport = ScriptedTransport { number, _ in
            number == 1
                ? .reply(
                    HTTPResponse(status: 200, headers: ["Location": "https://x/upload/storage/v1/b/b/o?upload_id=1"]))
                : .reply(HTTPResponse(status: 308, headers: ["Range": range]))
        }
        let storage = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()), transfers: .forTests)
        let error = await failure { () async throws(APIError) in
            try await storage.upload(pattern(2 * Self.unit), to: "o", in: "bucket")
        }
        #expect(error?.code == .malformedResponse)
    }

    // MARK: Downloads

    @Test func `a download goes on where it broke, in the same generation`() async throws {
        let world = CloudWorld { _, request in
            request.url.queryValue("alt") == "media" && request.headers["Range"] == nil ? .cutAfter(1500) : .pass
        }
        try await world.createBucket()
        let bytes = pattern(5000)
        let object = try await world.storage.upload(bytes, to: "o", in: "bucket")
        #expect(try await world.storage.read("o", in: "bucket").bytes == bytes)
        let media = world.transport.requests.filter { $0.url.queryValue("alt") == "media" }
        #expect(media.map { $0.headers["Range"] } == [nil, "bytes=1500-"])
        #expect(media.last?.url.queryValue("generation") == String(object.generation))
    }

    @Test func `an object that is replaced in the middle of a download is an error`() async throws {
        let world = CloudWorld { _, request in
            request.url.queryValue("alt") == "media" && request.headers["Range"] == nil ? .cutAfter(1500) : .pass
        }
        try await world.createBucket()
        _ = try await world.storage.upload(pattern(5000), to: "o", in: "bucket")
        var isReplaced = false
        let error = await failure { () async throws(APIError) in
            try await world.storage.download("o", in: "bucket") { _ throws(APIError) in
                if !isReplaced { _ = try await world.storage.upload(pattern(10), to: "o", in: "bucket") }
                isReplaced = true
            }
        }
        #expect(error?.code == .preconditionFailed)
    }

    @Test func `a download that changes on the way is found`() async throws {
        let world = CloudWorld { _, request in request.url.queryValue("alt") == "media" ? .corrupt : .pass }
        try await world.createBucket()
        _ = try await world.storage.upload(pattern(5000), to: "o", in: "bucket")
        let error = await failure { () async throws(APIError) in try await world.storage.read("o", in: "bucket") }
        #expect(error?.code == .malformedResponse)
        #expect(error?.message.contains("CRC32C") == true)
    }

    @Test func `a download gives up, keeps to its limit, and reads ranges`() async throws {
        let world = CloudWorld { _, request in
            request.url.queryValue("generation") == "7" ? .loseRequest : .pass
        }
        try await world.createBucket()
        let bytes = pattern(5000)
        _ = try await world.storage.upload(bytes, to: "o", in: "bucket")
        let down = await failure { () async throws(APIError) in
            try await world.storage.read("o", in: "bucket", generation: 7)
        }
        #expect(down?.code == .unavailable)
        #expect(world.transport.requests.count == 8)
        let large = await failure { () async throws(APIError) in
            try await world.storage.read("o", in: "bucket", limit: 4999)
        }
        #expect(large?.code == .tooLarge)
        #expect(try await world.storage.read("o", in: "bucket", range: 10..<20).bytes == Array(bytes[10..<20]))
        #expect(try await world.storage.read("o", in: "bucket", range: 4990..<6000).bytes == Array(bytes[4990...]))
        #expect(try await world.storage.read("o", in: "bucket", range: 10..<10).bytes == [])
        let missing = await failure { () async throws(APIError) in try await world.storage.read("p", in: "bucket") }
        #expect(missing?.code == .notFound)
        #expect(missing?.message == "No such object: bucket/p")
    }

    @Test func `a sink's error ends the download at once`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        _ = try await world.storage.upload(pattern(5000), to: "o", in: "bucket")
        let error = await failure { () async throws(APIError) in
            try await world.storage.download("o", in: "bucket") { _ throws(APIError) in
                throw APIError(.unavailable, operation: "sink", message: "the disk is full")
            }
        }
        #expect(error?.operation == "sink")
        #expect(world.transport.requests.count == 3)
    }

    @Test func `a large object streams in pieces`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let bytes = pattern(3 << 19)
        _ = try await world.storage.upload(bytes, to: "o", in: "bucket")
        var pieces = 0
        var received: [UInt8] = []
        _ = try await world.storage.download("o", in: "bucket") { chunk throws(APIError) in
            pieces += 1
            received += chunk
        }
        #expect(received == bytes)
        #expect(pieces > 1)
    }
}
