import Encoding
import GoogleCloud
import Glibc
import HTTP
import Sandbox
import System
import Telemetry
import Testing
import Training
import TrainingContract

@testable import TrainerCommand

/// `trainyard-trainer download` against a simulated Cloud Storage over loopback.
@Suite(.timeLimit(.minutes(3))) struct DownloadTests {
    /// Three files; one is larger than a read.
    private static let contents: [String: [UInt8]] = [
        "a.bin": (0..<300_000).map { UInt8(truncatingIfNeeded: $0 * 31 >> 3) }, "empty": [],
        "deep/er/b.txt": Array("hello".utf8),
    ]

    private struct World {
        let cloud: NotingCloud
        let folder: String
        let origin: String

        var environment: [String: String] { ["STORAGE_EMULATOR_HOST": origin] }

        func download(_ uri: String = "gs://data-bucket/set/") async throws(TrainingError) -> TrainerExitCode {
            let options = try Options(["download", "--uri", uri, "--to", folder + "to"])
            return try await DownloadCommand(options, environment: environment, clock: SystemClock(), log: .silent)
                .run { false }
        }

        func part(of name: String) async throws -> String {
            let storage = try CloudStorage(environment: environment, clock: SystemClock())
            let object = try await storage.client.object("set/" + name, in: "data-bucket")
            return "\(folder)to/\(name).\(object.generation).part"
        }

        /// All files with their bytes.
        func files() throws -> [String: [UInt8]] {
            let paths = try FolderStorage.list(folder + "to/")
            return Dictionary(
                try paths.map { (String($0.dropFirst(folder.count + 3)), try FolderStorage.read($0) ?? []) }
            ) { first, _ in first }
        }
    }

    private static func reply(_ json: JSONValue, status: Int = 200) -> HTTPReply {
        HTTPReply(status: status, headers: ["Content-Type": "application/json"], body: json.serialized())
    }

    private func withWorld(_ body: (World) async throws -> Void) async throws {
        let cloud = try await CloudFixture.cloud()
        for (name, bytes) in Self.contents {
            try cloud.putObject(bucket: "data-bucket", name: "set/" + name, bytes: bytes)
        }
        try cloud.putObject(bucket: "data-bucket", name: "set/deep/", bytes: [])
        try cloud.putObject(bucket: "data-bucket", name: "set-other/c", bytes: [1])
        let noting = NotingCloud(cloud)
        try await CloudFixture.serving(noting) { origin in
            try await withTemporaryFolder { folder in
                try await body(World(cloud: noting, folder: folder, origin: origin))
            }
        }
    }

    @Test func `all objects below the prefix become files, and nothing else`() async throws {
        try await withWorld { world async throws in
            #expect(try await world.download() == .success)
            #expect(try world.files() == Self.contents)
        }
    }

    @Test func `what is there is kept, what is damaged comes again`() async throws {
        try await withWorld { world in
            _ = try await world.download()
            world.cloud.forget()
            _ = try await world.download("gs://data-bucket/set")
            #expect(world.cloud.downloads == [])
            try FolderStorage.write(world.folder + "to/deep/er/b.txt", Array("jello".utf8))
            try FolderStorage.write(world.folder + "to/own", [7])
            _ = try await world.download()
            #expect(world.cloud.downloads.map(\.name) == ["set%2Fdeep%2Fer%2Fb.txt"])
            #expect(try world.files() == Self.contents.merging(["own": [7]]) { $1 })
        }
    }

    @Test func `a part goes on where it ends`() async throws {
        try await withWorld { world in
            let bytes = try #require(Self.contents["a.bin"])
            try FolderStorage.write(try await world.part(of: "a.bin"), Array(bytes[..<123_456]))
            _ = try await world.download()
            #expect(world.cloud.downloads.first { $0.name == "set%2Fa.bin" }?.range == "bytes=123456-299999")
            #expect(try world.files() == Self.contents)
        }
    }

    @Test func `a part with wrong bytes is found, and the next start is right`() async throws {
        try await withWorld { world in
            try FolderStorage.write(try await world.part(of: "a.bin"), [UInt8](repeating: 1, count: 1000))
            let error = await #expect(throws: TrainingError.self) { try await world.download() }
            #expect(error?.code == .storageUnavailable && error?.message.contains("CRC32C") == true)
            #expect(try await world.download() == .success)
            #expect(try world.files() == Self.contents)
        }
    }

    @Test func `parts of an object that was replaced are removed, other files are not`() async throws {
        try await withWorld { world in
            try FolderStorage.write(world.folder + "to/a.bin.17.part", [1])
            try FolderStorage.write(world.folder + "to/mine.17.part", [1])
            _ = try await world.download()
            #expect(try world.files() == Self.contents.merging(["mine.17.part": [1]]) { $1 })
        }
    }

    @Test(arguments: [
        ("gs://no-such-bucket/x/", TrainerExitCode.missingInput, "there is no bucket no-such-bucket"),
        ("gs://data-bucket/none/", .missingInput, "there are no objects below gs://data-bucket/none/"),
        ("s3://data-bucket/x/", .usage, "--uri is \"s3://data-bucket/x/\""),
    ])
    func `what cannot be is told`(uri: String, code: TrainerExitCode, message: String) async throws {
        try await withWorld { world in
            let error = await #expect(throws: TrainingError.self) { try await world.download(uri) }
            #expect(error?.code == code && error?.message.hasPrefix(message) == true)
        }
    }

    @Test(arguments: [true, false]) func `a missing right is named with the role that grants it`(list: Bool)
        async throws
    {
        try await withWorld { world in
            world.cloud.answer { request in
                guard NotingCloud.isDownload(request) != list else { return nil }
                return Self.reply(["error": ["code": 403, "message": "no"]], status: 403)
            }
            let error = await #expect(throws: TrainingError.self) { try await world.download() }
            #expect(error?.code == .storageUnavailable)
            #expect(error?.message.contains("roles/storage.objectViewer") == true)
            #expect(error?.message.contains(list ? "storage.objects.list" : "storage.objects.get") == true)
        }
    }

    @Test func `a disk that is too small is told before anything comes`() async throws {
        try await withWorld { world in
            world.cloud.answer { request in
                guard !NotingCloud.isDownload(request) else { return nil }
                return Self.reply([
                    "items": [
                        [
                            "name": "set/huge", "size": "4611686018427387904", "crc32c": "AAAAAA==", "generation": "1",
                            "metageneration": "1",
                        ]
                    ]
                ])
            }
            let error = await #expect(throws: TrainingError.self) { try await world.download() }
            #expect(error?.code == .localStorage)
            #expect(error?.message.hasPrefix("1 files with 4611686.0 TB are to come, but only") == true)
            #expect(world.cloud.downloads == [])
        }
    }

    @Test(arguments: ["../evil", "a//b", "x/./y", "bad\u{1}name"]) func `a name that leaves the folder is refused`(
        name: String
    ) throws {
        let place = try #require(StorageURI("gs://data-bucket/set/"))
        let object = StorageObject(name: "set/" + name, size: 1, crc32c: "AAAAAA==", generation: 1)
        let error = #expect(throws: TrainingError.self) {
            try DownloadPlan.files([object], below: place, folder: "/to/")
        }
        #expect(error?.code == .badData)
    }

    @Test func `a name that is a file and a folder is refused`() throws {
        let place = try #require(StorageURI("gs://data-bucket/"))
        let objects = ["a", "a/b"].map { StorageObject(name: $0, size: 1, crc32c: "AAAAAA==", generation: 1) }
        let error = #expect(throws: TrainingError.self) {
            try DownloadPlan.files(objects, below: place, folder: "/to/")
        }
        #expect(error?.message.hasPrefix("/to/a would be a file and a folder") == true)
    }

    @Test func `a killed download goes on, and leaves nothing half`() async throws {
        try await withWorld { world in
            let bytes = try #require(Self.contents["a.bin"])
            world.cloud.answer { request in
                guard NotingCloud.isDownload(request), request.url.path.hasSuffix("a.bin") else { return nil }
                // The first third, and then silence.
                let body: HTTPReply.Body = .stream { writer async throws(APIError) in
                    try await writer.write(Array(bytes[..<100_000]))
                    try? await Task.sleep(for: .seconds(60))
                }
                return HTTPReply(status: 200, body: body)
            }
            let arguments = ["download", "--uri", "gs://data-bucket/set/", "--to", world.folder + "to"]
            let process = try TrainerProcess(arguments, world.environment, log: world.folder + "log")
            let part = try await world.part(of: "a.bin")
            let deadline = ContinuousClock.now + .seconds(60)
            while DownloadFile.size(of: part) != 100_000, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
            kill(process.pid, SIGKILL)
            #expect(try await process.end() == .signal(SIGKILL))
            #expect(try world.files()["a.bin"] == nil)
            world.cloud.answer(nil)
            world.cloud.forget()
            #expect(try await world.download() == .success)
            #expect(world.cloud.downloads.first { $0.name == "set%2Fa.bin" }?.range == "bytes=100000-299999")
            #expect(try world.files() == Self.contents)
        }
    }
}
