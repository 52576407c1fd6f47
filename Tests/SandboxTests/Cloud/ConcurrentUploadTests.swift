import Encoding
import HTTP
import Sandbox
import Testing

/// Uploads at the same time: their bytes are written side by side, and what they do to the bucket is as if one had come
/// after the other.
@Suite struct ConcurrentUploadTests {
    static let unit = 256 << 10

    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 / 251 + $0) } }

    /// Sends the same request so many times at once.
    func send(_ count: Int, _ request: @escaping @Sendable (Int) async throws -> Int) async throws -> [Int] {
        try await withThrowingTaskGroup { group in
            for index in 0..<count { group.addTask { try await request(index) } }
            var statuses: [Int] = []
            for try await status in group { statuses.append(status) }
            return statuses.sorted()
        }
    }

    @Test func `of uploads that allow no object before them one is stored`() async throws {
        let fixture = CloudFixture(stateDirectory: directory.path)
        try await fixture.createBucket()
        let statuses = try await send(8) { index in
            let text = String(repeating: String(index), count: 100_000)
            return try await fixture.upload("a", text, query: "&ifGenerationMatch=0").status
        }
        #expect(statuses == [200] + [Int](repeating: 412, count: 7))
        let stored = Array(try await fixture.read("a").utf8)
        #expect(stored.count == 100_000 && Set(stored).count == 1)
    }

    @Test func `uploads that fit only one by one are not all let in`() async throws {
        let fixture = CloudFixture(stateDirectory: directory.path, maximumStorageBytes: 250_000)
        try await fixture.createBucket()
        let statuses = try await send(6) { index in
            try await fixture.upload("object-\(index)", String(repeating: "x", count: 100_000)).status
        }
        #expect(statuses == [200, 200, 403, 403, 403, 403])
        #expect(fixture.cloud.objectNames(bucket: "bucket").count == 2)
        // What was refused takes no room, and what goes makes some.
        let name = fixture.cloud.objectNames(bucket: "bucket")[0]
        _ = try await fixture.send(.delete, "\(CloudFixture.storage)/b/bucket/o/\(name)")
        #expect(try await fixture.upload("next", String(repeating: "x", count: 100_000)).status == 200)
        #expect(try await fixture.upload("small", String(repeating: "x", count: 50_001)).status == 403)
    }

    @Test func `a refused upload takes no room`() async throws {
        let fixture = CloudFixture(stateDirectory: directory.path, maximumStorageBytes: 250_000)
        try await fixture.createBucket()
        for _ in 0..<4 {
            let response = try await fixture.send(
                .post, "\(CloudFixture.uploads)/b/bucket/o?uploadType=media&name=a",
                headers: ["X-Goog-Hash": "crc32c=AAAAAA=="], body: [UInt8](repeating: 1, count: 100_000))
            #expect(response.status == 400)
        }
        #expect(try await fixture.upload("a", String(repeating: "x", count: 250_000)).status == 200)
    }

    @Test(arguments: [true, false])
    func `a chunk that is sent several times at once is kept once`(isOnDisk: Bool) async throws {
        let fixture = CloudFixture(stateDirectory: isOnDisk ? directory.path : nil)
        try await fixture.createBucket()
        let started = try await fixture.send(
            .post, "\(CloudFixture.uploads)/b/bucket/o?uploadType=resumable&name=big")
        let session = try #require(started.headers["Location"].flatMap { HTTPURL($0) })
        let unit = Self.unit
        let bytes = pattern(3 * unit + 77)
        @Sendable func put(_ range: Range<Int>) async throws -> HTTPResponse {
            try await HandlerTransport(fixture.faults).send(
                HTTPRequest(
                    .put, session,
                    headers: ["Content-Range": "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(bytes.count)"],
                    body: Array(bytes[range])))
        }
        for start in [0, unit, 2 * unit] {
            let statuses = try await send(6) { _ in try await put(start..<start + unit).status }
            #expect(statuses == [Int](repeating: 308, count: 6))
        }
        let statuses = try await send(6) { _ in try await put(2 * unit..<bytes.count).status }
        #expect(statuses == [200] + [Int](repeating: 404, count: 5))
        #expect(try fixture.cloud.readObject(bucket: "bucket", name: "big") == bytes)
        let object = try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket/o/big").json
        #expect(object["crc32c"] == .string(CRC32C(of: bytes).base64))
        #expect(object["md5Hash"] == .string(Base64.encode(MD5.digest(of: bytes))))
    }

    @Test func `a session that is cancelled while chunks come makes no object and leaves no bytes`() async throws {
        let fixture = CloudFixture(stateDirectory: directory.path, maximumStorageBytes: 1_000_000)
        try await fixture.createBucket()
        for round in 0..<8 {
            let started = try await fixture.send(
                .post, "\(CloudFixture.uploads)/b/bucket/o?uploadType=resumable&name=big")
            let session = try #require(started.headers["Location"].flatMap { HTTPURL($0) })
            let body = [UInt8](repeating: 7, count: 3 * Self.unit)
            let statuses = try await send(2) { index in
                let request =
                    index == round % 2
                    ? HTTPRequest(.delete, session)
                    : HTTPRequest(
                        .put, session, headers: ["Content-Range": "bytes 0-\(body.count - 1)/*"], body: body)
                return try await HandlerTransport(fixture.faults).send(request).status
            }
            #expect([[308, 499], [410, 499]].contains(statuses))
        }
        #expect(fixture.cloud.objectNames(bucket: "bucket").isEmpty)
        #expect(try directory.fileCount("objects") == 0)
        #expect(try await fixture.upload("a", String(repeating: "x", count: 1_000_000)).status == 200)
    }
}
