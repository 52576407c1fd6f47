import CloudChecks
import Encoding
import GoogleCloud
import HTTP
import Sandbox
import Testing

/// The clients over real sockets: libcurl with an endpoint override, and the HTTP server.
@Suite struct LoopbackTests {
    @Test func `buckets, pools and large objects go over a socket under Google's host names`() async throws {
        let clock = ImpatientClock()
        let cloud = SimulatedCloud(
            CloudConfiguration(
                project: "p1", clusterName: "c1", clock: clock, inspection: .ofTests))
        let faults = FaultInjector(cloud, script: FaultScript(), clock: clock)
        let server = try HTTPServer(handler: faults)
        let override = try EndpointOverride(hosts: ["*.googleapis.com"], endpoint: server.origin)
        let transport = try CurlTransport(options: CurlOptions(overrides: [override]))
        let client = GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: clock)
        let storage = StorageClient(client)

        _ = try await storage.insertBucket(BucketConfiguration(name: "bucket", location: "EU"), project: "p1")
        // Above the threshold of 8 MiB: two chunks of a resumable upload, then a streamed download.
        let bytes = pattern(9 << 20)
        let object = try await storage.upload(bytes, to: "models/m.bin", in: "bucket")
        #expect(object.crc32c == CRC32C(of: bytes).base64)
        #expect(cloud.callCount("storage.objects.insert.chunk") == 2)
        let read = try await storage.read("models/m.bin", in: "bucket")
        #expect(read.bytes == bytes)
        #expect(try await storage.read("models/m.bin", in: "bucket", range: 5..<9).bytes == Array(bytes[5..<9]))

        // Below it, with a name that must stay one segment.
        _ = try await storage.upload(Array("{}".utf8), to: "a/ü b.json", in: "bucket")
        #expect(try await storage.objects(in: "bucket").objects.map(\.name) == ["a/ü b.json", "models/m.bin"])

        var script = FaultScript()
        script.add(.cutReply(afterBytes: 1), on: RequestMatch(verb: "insert", resource: "objects"), calls: 1...1)
        faults.setScript(script)
        let options = UploadOptions(ifGenerationMatch: 0)
        let once = try await storage.upload([1, 2], to: "once", in: "bucket", options: options)
        #expect(once.size == 2)
        #expect(faults.firedCount == 1)

        let container = ContainerClient(client)
        _ = try await container.createNodePool(NodePool(name: "pool"), in: cluster)
        #expect(try await container.nodePool("pool", in: cluster).status == .provisioning)
        await server.stop()
        await transport.shutDown()
    }
}
