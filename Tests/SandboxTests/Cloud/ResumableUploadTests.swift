import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct ResumableUploadTests {
    static let unit = 256 << 10

    let fixture = CloudFixture()

    func start(_ query: String = "&name=big") async throws -> HTTPURL {
        try await fixture.createBucket()
        return try await session(query)
    }

    func session(_ query: String = "&name=big", body: JSONValue = [:]) async throws -> HTTPURL {
        let response = try await fixture.send(
            .post, "\(CloudFixture.uploads)/b/bucket/o?uploadType=resumable\(query)",
            headers: ["Content-Type": "application/json"], body: body.serialized())
        #expect(response.status == 200)
        return try #require(response.headers["Location"].flatMap { HTTPURL($0) })
    }

    func put(_ session: HTTPURL, _ range: String, _ count: Int = 0) async throws -> HTTPResponse {
        try await HandlerTransport(fixture.faults).send(
            HTTPRequest(.put, session, headers: ["Content-Range": range], body: [UInt8](repeating: 7, count: count)))
    }

    @Test func `chunks answer 308 with what is kept, the last one with the object`() async throws {
        let session = try await start()
        let unit = Self.unit
        let empty = try await put(session, "bytes */*")
        #expect((empty.status, empty.headers["Range"]) == (308, nil))
        let first = try await put(session, "bytes 0-\(unit - 1)/*", unit)
        #expect((first.status, first.headers["Range"]) == (308, "bytes=0-\(unit - 1)"))
        #expect(fixture.cloud.objectNames(bucket: "bucket").isEmpty)
        let query = try await put(session, "bytes */\(unit + 5)")
        #expect((query.status, query.headers["Range"]) == (308, "bytes=0-\(unit - 1)"))
        let last = try await put(session, "bytes \(unit)-\(unit + 4)/\(unit + 5)", 5)
        #expect(last.status == 200)
        #expect(try JSONValue(parsing: last.body)["size"] == .string(String(unit + 5)))
        #expect(try fixture.cloud.readObject(bucket: "bucket", name: "big") == [UInt8](repeating: 7, count: unit + 5))
    }

    @Test func `bytes that are kept already are skipped, a gap is refused`() async throws {
        let session = try await start()
        let unit = Self.unit
        _ = try await put(session, "bytes 0-\(unit - 1)/\(2 * unit)", unit)
        #expect(try await put(session, "bytes \(unit + 1)-\(2 * unit - 1)/\(2 * unit)", unit - 1).status == 400)
        #expect(try await put(session, "bytes 0-\(2 * unit - 1)/\(2 * unit)", 2 * unit).status == 200)
        #expect(try fixture.cloud.readObject(bucket: "bucket", name: "big")?.count == 2 * unit)
    }

    @Test(arguments: ["bytes 0-99/*", "bytes 0-99/1000", "bytes 0-98/100", "bytes 5/100", "0-99/100", "bytes */x"])
    func `a chunk that is no multiple of 256 KiB or does not fit its range is refused`(range: String) async throws {
        let session = try await start()
        #expect(try await put(session, range, 100).status == 400)
    }

    @Test func `a lost session answers 410, one that never was 404`() async throws {
        let session = try await start()
        fixture.cloud.loseUploadSessions()
        #expect(try await put(session, "bytes */*").status == 410)
        var unknown = session
        unknown.query = [.init("uploadType", "resumable"), .init("upload_id", "nobody")]
        #expect(try await put(unknown, "bytes */*").status == 404)
    }

    @Test func `a session ends after a week and by its cancellation`() async throws {
        let session = try await start()
        let cancelled = try await self.session("&name=other")
        let reply = try await HandlerTransport(fixture.faults).send(HTTPRequest(.delete, cancelled))
        #expect(reply.status == 499)
        #expect(try await put(cancelled, "bytes */*").status == 410)
        fixture.clock.advance(by: .seconds(7 * 86400))
        #expect(try await put(session, "bytes */*").status == 410)
    }

    @Test func `the precondition holds at the end too`() async throws {
        let session = try await start("&name=big&ifGenerationMatch=0")
        _ = try await fixture.upload("big", "other")
        #expect(try await put(session, "bytes 0-4/5", 5).status == 412)
        #expect(try await fixture.read("big") == "other")
    }

    @Test func `a wrong checksum is found at the end`() async throws {
        try await fixture.createBucket()
        let session = try await session("", body: ["name": "big", "crc32c": "AAAAAA=="])
        #expect(try await put(session, "bytes 0-4/5", 5).status == 400)
        #expect(fixture.cloud.objectNames(bucket: "bucket").isEmpty)
    }

    @Test func `a connection that breaks in a chunk keeps a part of it`() async throws {
        let session = try await start()
        fixture.setFaults { $0.add(.keepOnly(bytes: 1000), on: RequestMatch(resource: "objects"), calls: 1...1) }
        await #expect(throws: APIError.self) { try await put(session, "bytes 0-4999/5000", 5000) }
        #expect(try await put(session, "bytes */5000").headers["Range"] == "bytes=0-999")
        #expect(try await put(session, "bytes 1000-4999/5000", 4000).status == 200)
    }

    @Test func `a client that names the emulator itself is sent back to it`() async throws {
        try await fixture.createBucket()
        let response = try await fixture.send(
            .post, "http://127.0.0.1:8080/upload/storage/v1/b/bucket/o?uploadType=resumable&name=big")
        #expect(response.headers["Location"]?.hasPrefix("http://127.0.0.1:8080/upload/storage/v1/b/bucket/o?") == true)
    }
}
