import Encoding
import FoundationEssentials
import GoogleCloud
import HTTP
import Sandbox
import Testing

@Suite struct FolderTransferTests {
    /// A folder that goes with the test.
    private final class Folder: Sendable {
        let path = FileManager.default.temporaryDirectory.path + "/transfer-\(UInt64.random(in: 0 ... .max))"

        init(_ files: [String: [UInt8]] = [:]) throws {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            for (name, bytes) in files { try write(bytes, name) }
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func write(_ bytes: [UInt8], _ name: String) throws {
            let file = URL(filePath: "\(path)/\(name)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: file)
        }

        var files: [String: [UInt8]] {
            get throws {
                var found: [String: [UInt8]] = [:]
                for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
                    var isFolder = false
                    guard FileManager.default.fileExists(atPath: "\(path)/\(name)", isDirectory: &isFolder), !isFolder
                    else { continue }
                    found[name] = Array(try Data(contentsOf: URL(filePath: "\(path)/\(name)")))
                }
                return found
            }
        }
    }

    private static let place = StorageURI("gs://bucket/models/v1/")
    private static let model: [String: [UInt8]] = [
        "config.json": Array("{}".utf8), "empty": [], "weights/1.bin": pattern(300_000),
        "weights/2.bin": pattern(70_000),
    ]

    @Test func `what goes up comes down, and goes only once`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let place = try #require(Self.place)
        let source = try Folder(Self.model), target = try Folder()
        let up = try await FolderTransfer(world.storage).push(source.path, to: place)
        #expect((up.fileCount, up.skippedCount, up.bytes) == (4, 0, 370_002))
        let down = try await FolderTransfer(world.storage).pull(place, to: target.path)
        #expect((down.fileCount, down.skippedCount, down.bytes, down.totalBytes) == (4, 0, 370_002, 370_002))
        #expect(try target.files == Self.model)
        let before = world.transport.requests.count
        #expect(try await FolderTransfer(world.storage).push(source.path, to: place).skippedCount == 4)
        #expect(try await FolderTransfer(world.storage).pull(place, to: target.path).skippedCount == 4)
        // A list each.
        #expect(world.transport.requests.count - before == 2)
    }

    @Test func `a changed file replaces its object, and no other`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let place = try #require(Self.place)
        let source = try Folder(Self.model)
        try await FolderTransfer(world.storage).push(source.path, to: place)
        try source.write(Array("{ }".utf8), "config.json")
        let again = try await FolderTransfer(world.storage).push(source.path, to: place)
        #expect(again.skippedCount == 3)
        #expect(try world.cloud.readObject(bucket: "bucket", name: "models/v1/config.json") == Array("{ }".utf8))
    }

    @Test func `a transfer that was killed goes on with the bytes that it had`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let bytes = pattern(500_000)
        try world.cloud.putObject(bucket: "bucket", name: "models/v1/w.bin", bytes: bytes)
        let object = try await world.storage.object("models/v1/w.bin", in: "bucket")
        let target = try Folder(["w.bin.\(object.generation).part": Array(bytes[..<400_000])])
        let progress = try await FolderTransfer(world.storage).pull(try #require(Self.place), to: target.path)
        #expect(progress.bytes == 500_000)
        #expect(try target.files == ["w.bin": bytes])
        #expect(world.transport.requests.compactMap { $0.headers["Range"] } == ["bytes=400000-499999"])
    }

    @Test(arguments: [1, 399_999]) func `a flipped bit in what was there is found and mended`(position: Int)
        async throws
    {
        let world = CloudWorld()
        try await world.createBucket()
        let bytes = pattern(500_000)
        try world.cloud.putObject(bucket: "bucket", name: "models/v1/w.bin", bytes: bytes)
        let object = try await world.storage.object("models/v1/w.bin", in: "bucket")
        var wrong = Array(bytes[..<400_000])
        wrong[position] ^= 4
        let target = try Folder(["w.bin.\(object.generation).part": wrong])
        let progress = try await FolderTransfer(world.storage).pull(try #require(Self.place), to: target.path)
        #expect(progress.bytes == 500_000)
        #expect(try target.files == ["w.bin": bytes])
        var flipped = bytes
        flipped[position] ^= 1
        try target.write(flipped, "w.bin")
        let mended = try await FolderTransfer(world.storage).pull(try #require(Self.place), to: target.path)
        #expect(mended.skippedCount == 0)
        #expect(try target.files == ["w.bin": bytes])
    }

    @Test func `a bit that flips on the way is found, and nothing is left that looks whole`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        try world.cloud.putObject(bucket: "bucket", name: "models/v1/w.bin", bytes: pattern(1000))
        var listed = try await world.storage.objects(in: "bucket").objects
        listed[0].crc32c = CRC32C(of: pattern(999)).base64
        let target = try Folder()
        let error = await #expect(throws: APIError.self) {
            try await FolderTransfer(world.storage).pull(listed, below: try #require(Self.place), to: target.path)
        }
        #expect(error?.code == .malformedResponse)
        #expect(try target.files == [:])
    }

    @Test(arguments: ["models/v1/../../etc/passwd", "models/v1//a", "models/v1/a/./b", "models/v1/a\u{7}"])
    func `names that would lie elsewhere are refused before anything is written`(name: String) async throws {
        let world = CloudWorld()
        try await world.createBucket()
        try world.cloud.putObject(bucket: "bucket", name: "models/v1/good", bytes: [1])
        try world.cloud.putObject(bucket: "bucket", name: name, bytes: [1])
        let target = try Folder()
        let error = await #expect(throws: APIError.self) {
            try await FolderTransfer(world.storage).pull(try #require(Self.place), to: target.path)
        }
        #expect(error?.code == .invalid)
        #expect(try target.files == [:])
    }

    @Test func `links are not followed, and nothing goes up`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        let source = try Folder(["a": [1]])
        try FileManager.default.createSymbolicLink(atPath: source.path + "/b", withDestinationPath: "/etc/passwd")
        let error = await #expect(throws: APIError.self) {
            try await FolderTransfer(world.storage).push(source.path, to: try #require(Self.place))
        }
        #expect(error?.message.contains("neither a file nor a folder") == true)
        #expect(world.cloud.objectNames(bucket: "bucket") == [])
    }

    @Test func `one object is one file, and its neighbours stay`() async throws {
        let world = CloudWorld()
        try await world.createBucket()
        for name in ["models/a", "models/ab"] { try world.cloud.putObject(bucket: "bucket", name: name, bytes: [1]) }
        let target = try Folder()
        try await FolderTransfer(world.storage).pull(try #require(StorageURI("gs://bucket/models/a")), to: target.path)
        #expect(try target.files == ["a": [1]])
        let error = await #expect(throws: APIError.self) {
            try await FolderTransfer(world.storage).pull(
                try #require(StorageURI("gs://bucket/none/")), to: target.path)
        }
        #expect(error?.code == .notFound)
    }
}
