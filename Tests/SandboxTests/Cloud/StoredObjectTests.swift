import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct StoredObjectTests {
    @Test func `an object comes back with checksums that others compute the same`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        let stored = try await fixture.upload("models/a b.txt", "123456789").json
        #expect(stored["crc32c"] == "4waSgw==")  // Castagnoli's check value E3069283.
        #expect(stored["md5Hash"] == "JfnnlDI7RTiF9RgfG2JNCw==")
        #expect(stored["size"] == "9")
        #expect(stored["name"] == "models/a b.txt")
        #expect(stored["contentType"] == "text/plain")
        #expect(try await fixture.read("models/a b.txt") == "123456789")

        let response = try await fixture.send(
            .get, "https://storage.googleapis.com/download/storage/v1/b/bucket/o/models%2Fa%20b.txt?alt=media",
            headers: ["Range": "bytes=2-4"])
        #expect(response.status == 206)
        #expect(response.body == Array("345".utf8))
        #expect(response.headers["Content-Range"] == "bytes 2-4/9")
        #expect(response.headers["X-Goog-Hash"] == "crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw==")
    }

    @Test(arguments: [
        ("bytes=2-", 206, "3456789"), ("bytes=-3", 206, "789"), ("bytes=0-100", 206, "123456789"),
        ("bytes=9-", 416, ""), ("lines=1-2", 200, "123456789"),
    ])
    func `ranges follow RFC 9110`(range: String, status: Int, text: String) async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        _ = try await fixture.upload("a", "123456789")
        let response = try await fixture.send(
            .get, "\(CloudFixture.storage)/b/bucket/o/a?alt=media", headers: ["Range": range])
        #expect(response.status == status)
        if status < 300 { #expect(String(decoding: response.body, as: UTF8.self) == text) }
    }

    @Test func `generations grow and preconditions hold`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        let first = try await fixture.upload("a", "1", query: "&ifGenerationMatch=0")
        #expect(first.status == 200)
        let refused = try await fixture.upload("a", "2", query: "&ifGenerationMatch=0")
        #expect(refused.status == 412)
        #expect(refused.reason == "conditionNotMet")
        #expect(try await fixture.read("a") == "1")
        let second = try await fixture.upload("a", "2", query: "&ifGenerationMatch=\(first.generation)")
        #expect(try #require(Int64(second.generation)) > #require(Int64(first.generation)))

        let object = "\(CloudFixture.storage)/b/bucket/o/a"
        #expect(try await fixture.call(.get, "\(object)?ifGenerationNotMatch=\(second.generation)").status == 304)
        #expect(try await fixture.call(.delete, "\(object)?ifGenerationMatch=\(first.generation)").status == 412)
        #expect(try await fixture.call(.delete, "\(object)?ifGenerationMatch=\(second.generation)").status == 204)
        #expect(try await fixture.call(.get, object).reason == "notFound")
    }

    @Test func `a versioned bucket keeps what is overwritten and deleted`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket("bucket", ["versioning": ["enabled": true]])
        let first = try await fixture.upload("a", "1")
        _ = try await fixture.upload("a", "2")
        #expect(try await fixture.list("versions=true") == ["a#old", "a"])
        #expect(try await fixture.list() == ["a"])
        #expect(try await fixture.read("a", query: "&generation=\(first.generation)") == "1")

        let object = "\(CloudFixture.storage)/b/bucket/o/a"
        _ = try await fixture.call(.delete, object)
        #expect(try await fixture.list() == [])
        #expect(try await fixture.list("versions=true") == ["a#old", "a#old"])
        #expect(try await fixture.call(.delete, "\(CloudFixture.storage)/b/bucket").status == 409)
        _ = try await fixture.call(.delete, "\(object)?generation=\(first.generation)")
        #expect(try await fixture.list("versions=true") == ["a#old"])
    }

    @Test func `an unversioned bucket forgets`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        _ = try await fixture.upload("a", "1")
        _ = try await fixture.upload("a", "2")
        #expect(try await fixture.list("versions=true") == ["a"])
    }

    @Test func `lists have prefixes, delimiters, offsets, globs and pages`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        for name in ["a/1", "a/2", "a/x/1", "b", "c/1"] { _ = try await fixture.upload(name, name) }
        #expect(try await fixture.list("prefix=a/") == ["a/1", "a/2", "a/x/1"])
        #expect(try await fixture.list("delimiter=/") == ["b", "a/", "c/"])
        #expect(try await fixture.list("prefix=a/&delimiter=/") == ["a/1", "a/2", "a/x/"])
        #expect(try await fixture.list("startOffset=a/2&endOffset=c") == ["a/2", "a/x/1", "b"])
        #expect(try await fixture.list("matchGlob=*/1") == ["a/1", "c/1"])
        #expect(try await fixture.list("matchGlob=**/1") == ["a/1", "a/x/1", "c/1"])
        #expect(try await fixture.list("matchGlob=%7Ba,c%7D/%5B12%5D") == ["a/1", "a/2", "c/1"])

        var names: [String] = []
        var token: String?
        repeat {
            let query = "maxResults=2" + (token.map { "&pageToken=\(HTTPURL.encoded($0))" } ?? "")
            names += try await fixture.list(query)
            token = try await fixture.call(.get, "\(CloudFixture.storage)/b/bucket/o?\(query)")
                .json["nextPageToken"]?.stringValue
        } while token != nil
        #expect(names == ["a/1", "a/2", "a/x/1", "b", "c/1"])
    }

    @Test func `a multipart upload carries metadata, and a wrong checksum is refused`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        func send(_ crc32c: String) async throws -> CloudFixture.Reply {
            let metadata =
                #"{"name":"m","contentType":"application/json","crc32c":"\#(crc32c)","metadata":{"run":"r1"}}"#
            let body =
                "--xyz\r\nContent-Type: application/json\r\n\r\n\(metadata)\r\n--xyz\r\n"
                + "Content-Type: text/plain\r\n\r\n123456789\r\n--xyz--\r\n"
            let response = try await fixture.send(
                .post, "\(CloudFixture.uploads)/b/bucket/o?uploadType=multipart",
                headers: ["Content-Type": "multipart/related; boundary=xyz"], body: Array(body.utf8))
            return .init(status: response.status, json: try JSONValue(parsing: response.body))
        }
        let refused = try await send("AAAAAA==")
        #expect(refused.status == 400)
        #expect(refused.message.contains("doesn't match calculated CRC32C \"4waSgw==\""))
        #expect(fixture.cloud.objectNames(bucket: "bucket") == [])
        let stored = try await send("4waSgw==")
        #expect(stored.json["contentType"] == "application/json")
        #expect(stored.json["metadata"] == ["run": "r1"])
        #expect(try await fixture.read("m") == "123456789")
    }

    @Test func `files on disk hold the same bytes and go with their objects`() async throws {
        let directory = try TemporaryDirectory()
        let fixture = CloudFixture(stateDirectory: directory.path)
        try await fixture.createBucket(
            "bucket", ["softDeletePolicy": ["retentionDurationSeconds": "0"]])
        _ = try await fixture.upload("a", "123456789")
        _ = try await fixture.upload("empty", "")
        #expect(try await fixture.read("a") == "123456789")
        #expect(try await fixture.read("empty") == "")
        #expect(try directory.fileCount("objects") == 2)
        _ = try await fixture.call(.delete, "\(CloudFixture.storage)/b/bucket/o/a")
        #expect(try directory.fileCount("objects") == 1)
    }

    @Test func `the sandbox's own objects are there for clients, and theirs for the sandbox`() async throws {
        let fixture = CloudFixture()
        #expect(throws: SandboxError.self) {
            try fixture.cloud.putObject(bucket: "bucket", name: "a", bytes: [1], contentType: "text/plain")
        }
        try await fixture.createBucket()
        try fixture.cloud.putObject(bucket: "bucket", name: "a", bytes: Array("x".utf8), contentType: "text/plain")
        #expect(try await fixture.read("a") == "x")
        _ = try await fixture.upload("b", "y")
        #expect(try fixture.cloud.readObject(bucket: "bucket", name: "b") == Array("y".utf8))
        #expect(try fixture.cloud.readObject(bucket: "bucket", name: "c") == nil)
    }

    @Test func `a storage limit stops a runaway writer`() async throws {
        let fixture = CloudFixture(maximumStorageBytes: 10)
        try await fixture.createBucket()
        #expect(try await fixture.upload("a", "123456789").status == 200)
        #expect(try await fixture.upload("b", "12").reason == "quotaExceeded")
        #expect(try await fixture.upload("b", "1").status == 200)
    }

    @Test func `links in replies lead back to where the request came`() async throws {
        let fixture = CloudFixture()
        try await fixture.createBucket()
        let stored = try await fixture.upload("a/b", "x").json
        let link =
            "/download/storage/v1/b/bucket/o/a%2Fb?generation=\(stored["generation"]?.stringValue ?? "")&alt=media"
        #expect(stored["mediaLink"] == .string("https://storage.googleapis.com" + link))
        // Google's own clients download by this link, also from an emulator that they know by its address.
        let local = try await fixture.call(.get, "http://127.0.0.1:8080/storage/v1/b/bucket/o/a%2Fb").json
        #expect(local["mediaLink"] == .string("http://127.0.0.1:8080" + link))
    }

    @Test func `unknown parameters, methods and names are refused`() async throws {
        let fixture = CloudFixture(isWrong: true)
        try await fixture.createBucket()
        let storage = CloudFixture.storage
        #expect(try await fixture.call(.get, "\(storage)/b/bucket/o?preifx=a").status == 400)
        #expect(try await fixture.call(.put, "\(storage)/b/bucket").status == 404)
        #expect(try await fixture.call(.get, "\(storage)/b/nobody/o").reason == "notFound")
        #expect(try await fixture.upload("", "x").reason == "required")
        #expect(try await fixture.upload("a\nb", "x").status == 400)
        #expect(try await fixture.upload("a", "x", query: "&ifGenerationMatch=x").status == 400)
    }
}
