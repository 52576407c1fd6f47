import Encoding
import Glibc

/// `trainyard-trainer serve` and a FastAPI server with PyTorch: the same model, the same requests, one after the other.
struct ServingComparison {
    private var isJSON = false
    private var python = "python3"
    private var connections = 16
    private var seconds = 5.0
    private static let rounds = 3

    init(_ arguments: some Collection<String>) throws {
        var flags = Flags(arguments)
        while let flag = flags.next() {
            switch flag {
            case "--json": isJSON = true
            case "--peer-python": python = try flags.value()
            case "--connections": connections = try flags.number(1...256)
            case "--seconds": seconds = try flags.number(0.1...600)
            default: throw flags.unknown
            }
        }
    }

    func run() async throws {
        let trainer = try Machine.sibling("trainyard-trainer")
        let folder = try TemporaryFolder()
        try Self.writeModel(folder.path + "/model.safetensors")
        let own = try await start("ours", folder) { port in
            (trainer, ["serve", "--model", folder.path, "--port", String(port)])
        }
        let peer = await startPeer(folder)
        var ownResults: [LoadGenerator.Result] = []
        var peerResults: [LoadGenerator.Result] = []
        for round in 1...Self.rounds {
            say("round \(round) of \(Self.rounds) …")
            ownResults.append(try own.load.run(seconds: seconds))
            if let peer { peerResults.append(try peer.load.run(seconds: seconds)) }
        }
        let failures = (ownResults + peerResults).reduce(0) { $0 + $1.failures }
        guard failures == 0 else { throw BenchmarkError("\(failures) replies were not 200") }
        let resident = try own.child.memory("VmHWM") / 1e6
        try report(ownResults, peerResults, residentMB: resident, coldStart: own.coldStartMilliseconds)
    }

    // MARK: Servers

    private struct Server {
        var child: Child
        var load: LoadGenerator
        /// From its start to its first answer.
        var coldStartMilliseconds: Double
    }

    private func start(
        _ name: String, _ folder: TemporaryFolder, _ command: (UInt16) -> (String, [String])
    ) async throws -> Server {
        let port = try Self.freePort()
        let (program, arguments) = command(port)
        let log = "\(folder.path)/\(name).log"
        let start = Machine.nanoseconds
        let child = try Child(program, arguments, log: log)
        let load = LoadGenerator(port: port, request: Self.request, connections: connections)
        let deadline = ContinuousClock.now + .seconds(120)
        while load.once() != 200 {
            guard child.isRunning, ContinuousClock.now < deadline else {
                throw BenchmarkError("\(name) does not serve: " + String((Machine.read(log) ?? "").suffix(400)))
            }
            await Machine.sleep(milliseconds: 1)
        }
        return Server(
            child: child, load: load, coldStartMilliseconds: Double(Machine.nanoseconds - start) * 1e-6)
    }

    /// Nil, and said, where this Python has not what the peer needs.
    private func startPeer(_ folder: TemporaryFolder) async -> Server? {
        do {
            let program = try Peers.program(python)
            return try await start("peer", folder) { port in
                (program, [Peers.script("fastapi_serving.py"), folder.path + "/model.safetensors", String(port)])
            }
        } catch {
            say("no peer, so no ratio: \(error) (\(python) needs torch, fastapi, uvicorn and safetensors)")
            return nil
        }
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, size) == 0 ? getsockname(descriptor, pointer, &size) : -1
            }
        }
        guard status == 0 else { throw BenchmarkError("no port is free") }
        return UInt16(bigEndian: address.sin_port)
    }

    // MARK: What is sent

    /// One image of noise, as clients write it: a list of rows.
    private static let request: [UInt8] = {
        var state: UInt64 = 1
        let image = JSONValue.array(
            (0..<28).map { _ in
                .array(
                    (0..<28).map { _ in
                        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                        return .integer(Int64(state >> 56))
                    })
            })
        let body = (["instances": [image]] as JSONValue).serialized()
        let head =
            "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        return Array(head.utf8) + body
    }()

    /// The published network with noise for weights: how fast it answers does not depend on what they say.
    private static func writeModel(_ path: String) throws {
        let shapes: [(name: String, shape: [Int])] = [
            ("conv1.weight", [32, 1, 3, 3]), ("conv1.bias", [32]), ("conv2.weight", [64, 32, 3, 3]),
            ("conv2.bias", [64]), ("fc1.weight", [128, 9216]), ("fc1.bias", [128]), ("fc2.weight", [10, 128]),
            ("fc2.bias", [10]),
        ]
        var header: JSONValue = [:]
        var end = 0
        for (name, shape) in shapes {
            let size = shape.reduce(4, *)
            header[name] = [
                "dtype": "F32", "shape": .array(shape.map { .integer(Int64($0)) }),
                "data_offsets": [.integer(Int64(end)), .integer(Int64(end + size))],
            ]
            end += size
        }
        let text = header.serialized()
        var bytes = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
        bytes.reserveCapacity(bytes.count + end)
        var state: UInt64 = 7
        for _ in 0..<(end / 4) {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let value = (Float(state >> 40) / Float(1 << 24) - 0.5) / 8
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
        }
        let file = fopen(path, "we")
        guard let file else { throw BenchmarkError("cannot write \(path)") }
        let count = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, count == bytes.count else { throw BenchmarkError("cannot write \(path)") }
    }

    // MARK: What is told

    private func report(
        _ own: [LoadGenerator.Result], _ peer: [LoadGenerator.Result], residentMB: Double, coldStart: Double
    ) throws {
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        let speed = median(own.map(\.requestsPerSecond))
        let p99 = median(own.map { $0.percentile(0.99) })
        var value: JSONValue = [
            "requestsPerSecond": .number(Text.rounded(speed)), "p99Milliseconds": .number(Text.rounded(p99)),
            "residentMB": .number(Text.rounded(residentMB)),
            "coldStartMilliseconds": .number(Text.rounded(coldStart)),
        ]
        var rows = [
            ["server", "requests/s", "p50 ms", "p99 ms", "resident MB", "cold start ms"],
            [
                "trainyard-trainer serve", Text.number(speed), Text.number(median(own.map { $0.percentile(0.5) })),
                Text.number(p99), Text.number(residentMB), Text.number(coldStart),
            ],
        ]
        if !peer.isEmpty {
            let peerSpeed = median(peer.map(\.requestsPerSecond))
            // Of each round: what disturbs the machine disturbs both.
            let ratio = median(zip(own, peer).map { $0.requestsPerSecond / $1.requestsPerSecond })
            value["peerRequestsPerSecond"] = .number(Text.rounded(peerSpeed))
            value["peerP99Milliseconds"] = .number(Text.rounded(median(peer.map { $0.percentile(0.99) })))
            value["ratio"] = .number(Text.rounded(ratio))
            rows.append([
                "FastAPI, uvicorn, PyTorch", Text.number(peerSpeed),
                Text.number(median(peer.map { $0.percentile(0.5) })),
                Text.number(median(peer.map { $0.percentile(0.99) })), "–", "–",
            ])
            rows.append(["ratio", Text.number(ratio), "", "", "", ""])
        }
        print(isJSON ? value.serializedText() : Text.columns(rows))
    }
}
