import Encoding
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

@testable import ControllerRuntime

/// The list and watch path over real sockets: what libcurl, the server's pace and large objects add.
@Suite(.timeLimit(.minutes(5))) struct WireTests {
    /// One kind whose list is packed and whose watch comes in pieces of odd sizes.
    private final class Server: HTTPHandler {
        let list: [UInt8]
        let watch: [UInt8]
        let asked = Mutex<[String]>([])

        init(list: JSONValue, watch: [UInt8]) {
            self.list = Server.gzip(list.serialized())
            self.watch = watch
        }

        func respond(to request: HTTPRequest) async -> HTTPReply {
            let url = request.url
            guard url.queryValue("watch") == "true" else {
                asked.withLock { $0.append("LIST \(request.headers["Accept-Encoding"] ?? "")") }
                return HTTPReply(status: 200, headers: ["Content-Encoding": "gzip"], body: list)
            }
            guard url.queryValue("sendInitialEvents") == nil else {
                return HTTPReply.failure(422, "Invalid")
            }
            asked.withLock { $0.append("WATCH \(url.queryValue("resourceVersion") ?? "")") }
            let pieces = watch
            return HTTPReply(
                status: 200,
                body: .stream { writer throws(APIError) in
                    var rest = pieces[...]
                    var size = 1
                    while !rest.isEmpty {
                        try await writer.write(Array(rest.prefix(size)))
                        rest = rest.dropFirst(size)
                        size = size * 3 % 70_001 + 1
                    }
                    await WakeSignal().wait()
                })
        }

        /// gzip with stored blocks.
        private static func gzip(_ bytes: [UInt8]) -> [UInt8] {
            var output: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]
            func append(_ value: UInt32, _ count: Int) {
                for byte in 0..<count { output.append(UInt8(truncatingIfNeeded: value >> UInt32(8 * byte))) }
            }
            for start in stride(from: 0, to: bytes.count, by: 60_000) {
                let block = bytes[start..<min(start + 60_000, bytes.count)]
                output.append(start + 60_000 >= bytes.count ? 1 : 0)
                append(UInt32(block.count), 2)
                append(~UInt32(block.count), 2)
                output += block
            }
            var crc = UInt32.max
            for byte in bytes {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
            }
            append(~crc, 4)
            append(UInt32(bytes.count), 4)
            return output
        }
    }

    @Test func `a packed list and a watch with lines of 300 KB in pieces arrive whole`() async throws {
        var large = widgetJSON("large", 1012)
        large.set(.string(String(repeating: "größe ", count: 40_000)), at: ["metadata", "annotations", "note"])
        let list: JSONValue = [
            "metadata": ["resourceVersion": "9"],
            "items": .array((0..<400).map { widgetJSON("w\($0)", $0 + 1, uid: "u\($0)") }),
        ]
        let handler = Server(
            list: list,
            watch: line("ADDED", large) + [0x0D, 0x0A] + line("MODIFIED", widgetJSON("w0", 1013, uid: "u0")))
        let server = try HTTPServer(handler: handler)
        let transport = try CurlTransport(options: CurlOptions())
        let url = try #require(HTTPURL(server.origin))
        let environment = RuntimeEnvironment(
            client: KubernetesClient(transport: transport, server: url), clock: .virtual(VirtualClock()),
            random: { 0 })
        let store = ObjectStore<Widget>()
        let changed = WakeSignal()
        store.observe { if $0.new?.metadata.resourceVersion == "1013" { changed.raise() } }
        let run = Task {
            await ObjectWatch(store: store, selection: ObjectSelection(), environment: environment).run()
        }
        await changed.wait()
        run.cancel()
        await run.value
        #expect(store.count == 401)
        let note = store[ObjectKey(namespace: "ns", name: "large")]?.metadata.annotations?["note"]
        #expect(note?.utf8.count == 320_000)
        #expect(handler.asked.withLock { $0 } == ["LIST gzip", "WATCH 9"])
        await transport.shutDown()
        await server.stop(grace: .milliseconds(50))
    }
}
