import CloudChecks
import Encoding
import GoogleCloud
import HTTP
import Sandbox
import Telemetry
import Testing

/// The storage client on two implementations that know nothing of each other: the simulated cloud and fake-gcs-server.
/// What the second does differently from Cloud Storage is written beside each fact.
struct StorageFactTests {
    @Test func `the simulated cloud answers as Cloud Storage does`() async throws {
        let cloud = SimulatedCloud(
            CloudConfiguration(project: "p1", clock: SystemClock(), inspection: .ofTests))
        let server = try HTTPServer(handler: cloud)
        for (fact, answer) in try await StorageFact.answers(at: server.origin) {
            #expect(answer == fact.answer, "\(fact.name)")
        }
        await server.stop()
    }

    @Test(.enabled(if: FakeGCSServer.path != nil, "TRAINYARD_FAKE_GCS names no fake-gcs-server"))
    func `fake-gcs-server answers as Cloud Storage does, but for known differences`() async throws {
        let server = try await FakeGCSServer.start()
        defer { server.stop() }
        let answers = try await StorageFact.answers(at: server.origin)
        for (fact, answer) in answers { #expect(answer == fact.differs ?? fact.answer, "\(fact.name)") }
        let differing = answers.count { $0.fact.differs != nil }
        print("fake-gcs-server: \(answers.count) facts, \(differing) known differences")
    }
}

/// A question to an implementation of storage v1, and its answer.
struct StorageFact: Sendable {
    var name: String
    /// Cloud Storage's.
    var answer: String
    /// fake-gcs-server's where it is another.
    var differs: String?
    var ask: @Sendable (_ storage: StorageAt, _ bucket: String) async throws -> String

    init(
        _ name: String, _ answer: String, differs: String? = nil,
        ask: @escaping @Sendable (_ storage: StorageAt, _ bucket: String) async throws -> String
    ) {
        self.name = name
        self.answer = answer
        self.differs = differs
        self.ask = ask
    }

    /// Every fact in a bucket of its own; an error is an answer too.
    static func answers(at origin: String) async throws -> [(fact: StorageFact, answer: String)] {
        let storage = try StorageAt(origin)
        var answers: [(fact: StorageFact, answer: String)] = []
        for (index, fact) in all.enumerated() {
            let bucket = "fact-\(index)"
            do {
                _ = try await storage.client.insertBucket(
                    BucketConfiguration(name: bucket, location: "us-central1"), project: "p1")
                answers.append((fact, try await fact.ask(storage, bucket)))
            } catch let error as APIError {
                answers.append((fact, "\(error.code)"))
            }
        }
        await storage.transport.shutDown()
        return answers
    }
}

/// The client and plain requests, by a socket.
struct StorageAt: Sendable {
    let client: StorageClient
    let transport: CurlTransport

    init(_ origin: String) throws {
        let override = try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: origin)
        transport = try CurlTransport(options: CurlOptions(overrides: [override]))
        client = StorageClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()), transfers: .forTests)
    }

    struct Reply {
        var status: Int
        var json: JSONValue
        var headers: HTTPHeaders
    }

    /// `path` begins with `storage` or `upload`.
    func call(
        _ method: HTTPMethod, _ path: String, _ body: JSONValue? = nil, headers: HTTPHeaders = [:], bytes: [UInt8] = []
    ) async throws -> Reply {
        guard let url = HTTPURL("https://storage.googleapis.com/\(path)") else {
            throw FakeGCSServer.Failure(description: "\(path) is no path")
        }
        var headers = headers
        if body != nil { headers["Content-Type"] = "application/json" }
        let response = try await transport.send(
            HTTPRequest(method, url, headers: headers, body: body?.serialized() ?? bytes))
        let json = (try? JSONValue(parsing: response.body)) ?? .null  // Errors may be plain text.
        return Reply(status: response.status, json: json, headers: response.headers)
    }
}

extension StorageFact {
    static let all: [StorageFact] = data + lists + conditions + settings

    // MARK: Bytes

    private static let unit = 256 << 10

    private static func comesBack(_ size: Int) -> @Sendable (StorageAt, String) async throws -> String {
        { storage, bucket in
            let bytes = pattern(size)
            let stored = try await storage.client.upload(bytes, to: "a/ü b.bin", in: bucket)
            let read = try await storage.client.read("a/ü b.bin", in: bucket)
            guard stored.crc32c == CRC32C(of: bytes).base64 else {
                return "stored with \(stored.crc32c ?? "no checksum")"
            }
            return read.bytes == bytes ? "\(stored.size) bytes" : "other bytes"
        }
    }

    private static let data: [StorageFact] = [
        StorageFact("an empty object comes back", "0 bytes", ask: comesBack(0)),
        StorageFact("a small object comes back", "1000 bytes", ask: comesBack(1000)),
        StorageFact("three chunks and a bit come back", "786449 bytes", ask: comesBack(3 * unit + 17)),
        StorageFact("a range is read", "20 bytes from 10") { storage, bucket in
            let bytes = pattern(5000)
            _ = try await storage.client.upload(bytes, to: "o", in: bucket)
            let read = try await storage.client.read("o", in: bucket, range: 10..<30).bytes
            return read == Array(bytes[10..<30]) ? "20 bytes from 10" : "other bytes"
        },
        StorageFact("the MD5 is real", "JfnnlDI7RTiF9RgfG2JNCw==") { storage, bucket in
            let path = "upload/storage/v1/b/\(bucket)/o?uploadType=media&name=a"
            return try await storage.call(.post, path, bytes: Array("123456789".utf8)).json["md5Hash"]?.stringValue
                ?? ""
        },
        StorageFact("two objects are composed", "200 4waSgw== 2 parts", differs: "200 4waSgw== 0 parts") {
            storage, bucket in
            for (name, text) in [("a", "12345"), ("b", "6789")] {
                _ = try await storage.client.upload(Array(text.utf8), to: name, in: bucket)
            }
            let reply = try await storage.call(
                .post, "storage/v1/b/\(bucket)/o/all/compose", ["sourceObjects": [["name": "a"], ["name": "b"]]])
            let parts = reply.json["componentCount"]?.integerValue ?? 0
            return "\(reply.status) \(reply.json["crc32c"]?.stringValue ?? "") \(parts) parts"
        },
        StorageFact("an object is rewritten into another", "200 done") { storage, bucket in
            _ = try await storage.client.upload([1, 2, 3], to: "a", in: bucket)
            let path = "storage/v1/b/\(bucket)/o/a/rewriteTo/b/\(bucket)/o/b"
            let reply = try await storage.call(.post, path, [:])
            let copy = try await storage.client.read("b", in: bucket).bytes
            return "\(reply.status) \(reply.json["done"] == true && copy == [1, 2, 3] ? "done" : "not done")"
        },
        StorageFact("a status query leaves an upload open", "308", differs: "200") { storage, bucket in
            let path = "upload/storage/v1/b/\(bucket)/o?uploadType=resumable&name=a"
            let start = try await storage.call(.post, path, [:])
            guard let session = start.headers["Location"].flatMap({ HTTPURL($0) }) else { return "no session" }
            let query = try await storage.call(
                .put, String(session.target.dropFirst()), headers: ["Content-Range": "bytes */1000"])
            return "\(query.status)"
        },
        StorageFact("a wrong checksum is refused", "400", differs: "200") { storage, bucket in
            let path = "upload/storage/v1/b/\(bucket)/o?uploadType=multipart"
            let body =
                "--x\r\nContent-Type: application/json\r\n\r\n{\"name\":\"a\",\"crc32c\":\"AAAAAA==\"}\r\n--x\r\n"
                + "Content-Type: text/plain\r\n\r\n123456789\r\n--x--\r\n"
            let reply = try await storage.call(
                .post, path, headers: ["Content-Type": "multipart/related; boundary=x"], bytes: Array(body.utf8))
            return "\(reply.status)"
        },
    ]

    // MARK: Lists and deletes

    private static let lists: [StorageFact] = [
        StorageFact("lists have prefixes and delimiters", "b, a/, c/") { storage, bucket in
            for name in ["a/1", "a/2", "b", "c/1"] { _ = try await storage.client.upload([1], to: name, in: bucket) }
            let list = try await storage.client.objects(in: bucket, ObjectQuery(delimiter: "/"))
            return (list.objects.map(\.name) + list.prefixes).joined(separator: ", ")
        },
        StorageFact("lists have pages", "a b c d e") { storage, bucket in
            for name in ["e", "c", "a", "d", "b"] { _ = try await storage.client.upload([1], to: name, in: bucket) }
            var query = ObjectQuery()
            query.pageSize = 2
            return try await storage.client.objects(in: bucket, query).objects.map(\.name).joined(separator: " ")
        },
        StorageFact("a deleted object is not found", "notFound") { storage, bucket in
            _ = try await storage.client.upload([1], to: "a", in: bucket)
            try await storage.client.deleteObject("a", in: bucket)
            return try await storage.client.object("a", in: bucket).name
        },
        StorageFact("a delete answers 204", "204", differs: "200") { storage, bucket in
            _ = try await storage.client.upload([1], to: "a", in: bucket)
            return "\(try await storage.call(.delete, "storage/v1/b/\(bucket)/o/a").status)"
        },
        StorageFact("a bucket that is not empty stays", "409", differs: "412") { storage, bucket in
            _ = try await storage.client.upload([1], to: "a", in: bucket)
            return "\(try await storage.call(.delete, "storage/v1/b/\(bucket)").status)"
        },
        StorageFact("a versioned bucket keeps what is overwritten", "2 versions") { storage, bucket in
            _ = try await storage.call(.patch, "storage/v1/b/\(bucket)", ["versioning": ["enabled": true]])
            for byte in [1, 2] as [UInt8] { _ = try await storage.client.upload([byte], to: "a", in: bucket) }
            let list = try await storage.client.objects(in: bucket, ObjectQuery(versions: true))
            return "\(list.objects.count) versions"
        },
    ]

    // MARK: Preconditions

    private static let conditions: [StorageFact] = [
        StorageFact("an object that is there is not created again", "preconditionFailed") { storage, bucket in
            _ = try await storage.client.upload([1], to: "a", in: bucket)
            _ = try await storage.client.upload([2], to: "a", in: bucket, options: UploadOptions(ifGenerationMatch: 0))
            return "overwritten"
        },
        StorageFact("nor by an upload of media alone", "412", differs: "200") { storage, bucket in
            _ = try await storage.client.upload([1], to: "a", in: bucket)
            let path = "upload/storage/v1/b/\(bucket)/o?uploadType=media&name=a&ifGenerationMatch=0"
            return "\(try await storage.call(.post, path, bytes: [2]).status)"
        },
        StorageFact("a bucket is not patched with an old metageneration", "412", differs: "200") { storage, bucket in
            let path = "storage/v1/b/\(bucket)?ifMetagenerationMatch=77"
            return "\(try await storage.call(.patch, path, ["labels": ["a": "b"]]).status)"
        },
        StorageFact("a bucket's changes are counted", "2", differs: "1") { storage, bucket in
            let patched = try await storage.call(.patch, "storage/v1/b/\(bucket)", ["labels": ["a": "b"]]).json
            return patched["metageneration"]?.stringValue ?? "\(patched["metageneration"]?.integerValue ?? 0)"
        },
        StorageFact("a bucket's name is taken once", "409") { storage, bucket in
            "\(try await storage.call(.post, "storage/v1/b?project=p1", ["name": .string(bucket)]).status)"
        },
    ]

    // MARK: Settings

    private static let settings: [StorageFact] = [
        StorageFact("lifecycle rules and labels are kept", "lifecycle labels", differs: "") { storage, bucket in
            let wanted: JSONValue = [
                "name": .string(bucket + "-x"), "labels": ["a": "b"],
                "lifecycle": ["rule": [["action": ["type": "Delete"], "condition": ["age": 1]]]],
            ]
            _ = try await storage.call(.post, "storage/v1/b?project=p1", wanted)
            let kept = try await storage.call(.get, "storage/v1/b/\(bucket)-x").json
            return ["lifecycle", "labels"].filter { kept[$0] == wanted[$0] }.joined(separator: " ")
        },
        StorageFact("a bucket has a policy", "200", differs: "404") { storage, bucket in
            "\(try await storage.call(.get, "storage/v1/b/\(bucket)/iam").status)"
        },
        StorageFact("a bucket has notifications", "200", differs: "404") { storage, bucket in
            "\(try await storage.call(.get, "storage/v1/b/\(bucket)/notificationConfigs").status)"
        },
    ]
}
