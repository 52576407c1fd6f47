import CloudChecks
import Encoding
import GoogleCloud
import HTTP
import Sandbox
import Testing

/// Uploads that must not overwrite anything, over real sockets that break when the object is there already.
@Suite(.timeLimit(.minutes(1))) struct LostReplyTests {
    private struct Setting {
        let cloud: SimulatedCloud
        let faults: FaultInjector
        let storage: StorageClient
        private let server: HTTPServer
        private let transport: CurlTransport

        init() async throws {
            let clock = ImpatientClock()
            cloud = SimulatedCloud(
                CloudConfiguration(project: "p1", clusterName: "c1", clock: clock, inspection: .ofTests))
            faults = FaultInjector(cloud, script: FaultScript(), clock: clock)
            server = try HTTPServer(handler: faults)
            let override = try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: server.origin)
            transport = try CurlTransport(options: CurlOptions(overrides: [override]))
            storage = StorageClient(GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: clock))
            _ = try await storage.insertBucket(BucketConfiguration(name: "bucket", location: "EU"), project: "p1")
        }

        func `break`(_ action: FaultAction) {
            var script = FaultScript()
            script.add(action, on: RequestMatch(verb: "insert", resource: "objects"), calls: 1...1)
            faults.setScript(script)
        }

        func end() async {
            await server.stop()
            await transport.shutDown()
        }
    }

    private static let options = UploadOptions(
        contentType: "application/json", ifGenerationMatch: 0, metadata: ["run": "r1"])

    /// `duplicate`: something below sends the request over again, and the caller only sees the second reply, a 412.
    @Test(arguments: [FaultAction.loseReply(), .duplicate])
    func `what was stored although its reply was lost is ours`(_ action: FaultAction) async throws {
        let setting = try await Setting()
        setting.break(action)
        let object = try await setting.storage.upload([1, 2, 3], to: "o", in: "bucket", options: Self.options)
        #expect(setting.faults.firedCount == 1)
        #expect(setting.cloud.callCount("storage.objects.insert") == 2)
        #expect(object == (try await setting.storage.object("o", in: "bucket")))
        #expect(object.metadata == ["run": "r1"])
        await setting.end()
    }

    @Test(
        arguments: [
            ("other bytes", [1, 2, 4], options),
            ("fewer bytes", [1, 2], options),
            ("another type", [1, 2, 3], UploadOptions(ifGenerationMatch: 0, metadata: ["run": "r1"])),
            (
                "another run's", [1, 2, 3],
                UploadOptions(contentType: "application/json", ifGenerationMatch: 0, metadata: ["run": "r2"])
            ),
            ("no metadata", [1, 2, 3], UploadOptions(contentType: "application/json", ifGenerationMatch: 0)),
        ] as [(String, [UInt8], UploadOptions)])
    func `what somebody else stored is not ours, and stays`(
        _ name: String, bytes: [UInt8], options: UploadOptions
    ) async throws {
        let setting = try await Setting()
        let theirs = try await setting.storage.upload(bytes, to: "o", in: "bucket", options: options)
        let error = await failure { () async throws(APIError) in
            try await setting.storage.upload([1, 2, 3], to: "o", in: "bucket", options: Self.options)
        }
        #expect(error?.code == .preconditionFailed)
        #expect(try await setting.storage.object("o", in: "bucket") == theirs)
        await setting.end()
    }
}
