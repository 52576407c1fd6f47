import Encoding
import Glibc
import HTTP
import Synchronization
import System
import Telemetry
import Testing
import Training
import TrainingContract

@testable import TrainerCommand

/// `trainyard-trainer serve` over loopback.
@Suite(.timeLimit(.minutes(3))) struct ServeTests {
    /// A network for 8×8 images and three classes, whose weights are all alike but the last layer's bias.
    static let model: Safetensors = {
        func entry(_ name: String, _ shape: [Int], _ value: (Int) -> Float) -> Safetensors.Entry {
            .init(name: name, shape: shape, values: (0..<shape.reduce(1, *)).map(value))
        }
        return Safetensors([
            entry("conv1.weight", [2, 1, 3, 3]) { Float($0 % 5) / 10 - 0.2 }, entry("conv1.bias", [2]) { _ in 0.1 },
            entry("conv2.weight", [3, 2, 3, 3]) { Float($0 % 7) / 10 - 0.3 }, entry("conv2.bias", [3]) { _ in 0 },
            entry("fc1.weight", [5, 12]) { Float($0 % 3) / 10 - 0.1 }, entry("fc1.bias", [5]) { _ in 0.2 },
            entry("fc2.weight", [3, 5]) { Float($0 % 4) / 10 - 0.15 }, entry("fc2.bias", [3]) { [0, 2, 1][$0] },
        ])
    }()

    private struct Client {
        let origin: String
        let transport: CurlTransport

        func send(
            _ method: HTTPMethod, _ path: String, _ body: [UInt8] = [], headers: HTTPHeaders = [:]
        ) async throws -> (status: Int, headers: HTTPHeaders, text: String) {
            let request = HTTPRequest(
                method, HTTPURL(origin: origin, path: path), headers: headers, body: body, timeout: .seconds(60))
            let response = try await transport.send(request)
            return (response.status, response.headers, String(decoding: response.body, as: UTF8.self))
        }

        func predict(_ body: JSONValue) async throws -> (status: Int, body: JSONValue) {
            let reply = try await send(.post, "/predict", body.serialized())
            return (reply.status, try JSONValue(parsing: reply.text))
        }
    }

    /// A server in this process, asked to stop at the end.
    private func serving(
        _ flags: [String: String] = [:], _ environment: [String: String] = ["ML_MODEL_VERSION": "v7"],
        _ body: (Client) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            try FolderStorage.write(folder + BucketLayout.model, Self.model.encoded())
            var flags = flags
            flags["--model"] = folder
            flags["--port"] = "0"
            let options = try ServeOptions(flags, environment: environment)
            let isStopping = Atomic(false)
            let (ports, port) = AsyncStream.makeStream(of: UInt16.self)
            var command = ServeCommand(
                options: options, storage: try Trainer.storage(for: [], environment: [:], clock: SystemClock()),
                clock: SystemClock(), log: .silent)
            command.onReady = { port.yield($0) }
            let running = command
            async let end = Self.end(of: running) { isStopping.load(ordering: .relaxed) }
            var first = ports.makeAsyncIterator()
            let number = try #require(await first.next())
            let client = Client(origin: "http://127.0.0.1:\(number)", transport: try CurlTransport())
            try await body(client)
            isStopping.store(true, ordering: .relaxed)
            #expect(await end == .success(.success))
        }
    }

    private static func end(
        of command: ServeCommand, shouldStop: @escaping @Sendable () -> Bool
    ) async -> Result<TrainerExitCode, TrainingError> {
        do throws(TrainingError) {
            return .success(try await command.run(shouldStop: shouldStop))
        } catch {
            return .failure(error)
        }
    }

    private static func image(_ value: Int64) -> JSONValue {
        .array(Array(repeating: .array(Array(repeating: .integer(value), count: 8)), count: 8))
    }

    @Test func `it answers in its own form and in the Open Inference Protocol, alike`() async throws {
        try await serving { client async throws in
            let own = try await client.predict(["instances": [Self.image(0), Self.image(255)], "scores": true])
            #expect(own.status == 200)
            let predictions = try #require(own.body["predictions"]?.arrayValue)
            #expect(predictions.count == 2)
            #expect(own.body["modelVersion"] == "v7")
            let scores = try #require(predictions[0]["scores"]?.arrayValue?.compactMap { $0.doubleValue })
            #expect(scores.count == 3 && abs(scores.reduce(0, +) - 1) < 1e-5)
            let best = try #require(predictions[0]["class"]?.integerValue)
            #expect(scores[Int(best)] == scores.max() && predictions[0]["score"]?.doubleValue == scores.max())
            let plain = try await client.predict(["data": [Self.image(0)]])
            #expect(plain.body["predictions"]?[0]?["scores"] == nil)

            let tensor: JSONValue = [
                "id": "a",
                "inputs": [
                    ["name": "images", "datatype": "UINT8", "shape": [1, 8, 8], "data": Self.image(0)]
                ],
            ]
            let infer = try await client.send(.post, "/v2/models/model/versions/v7/infer", tensor.serialized())
            let reply = try JSONValue(parsing: infer.text)
            #expect(infer.status == 200 && reply["id"] == "a" && reply["model_version"] == "v7")
            #expect(reply["outputs"]?[0]?["data"] == [.integer(best)])
            #expect(reply["outputs"]?[1]?["data"]?.arrayValue?.compactMap { $0.doubleValue } == scores)
        }
    }

    @Test func `it says what it is`() async throws {
        try await serving { client async throws in
            for path in [
                "/health", "/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/model", "/v2/models/model/ready",
            ] {
                #expect(try await client.send(.get, path).status == 200, "\(path)")
            }
            let metadata = try JSONValue(parsing: try await client.send(.get, "/v2/models/model").text)
            #expect(metadata["inputs"]?[0]?["shape"] == [-1, 1, 8, 8])
            #expect(metadata["versions"] == ["v7"])
            _ = try await client.predict(["instances": [Self.image(1)]])
            let page = try await client.send(.get, "/metrics").text
            #expect(page.contains("trainyard_serve_requests_total{route=\"predict\",code=\"2xx\"} 1\n"))
            #expect(page.contains("trainyard_serve_batch_images_count 1\n"))
        }
    }

    @Test func `whatever is wrong gets a 4xx with a sentence, and the server goes on`() async throws {
        try await serving(["--max-body-mb": "1", "--max-queue": "4"]) { client async throws in
            func told(_ method: HTTPMethod, _ path: String, _ body: String = "", headers: HTTPHeaders = [:])
                async throws
                -> String
            {
                let reply = try await client.send(method, path, Array(body.utf8), headers: headers)
                let text = (try? JSONValue(parsing: reply.text)["error"]?.stringValue) ?? reply.text
                return "\(reply.status) \(text.prefix(70))"
            }
            #expect(try await told(.post, "/predict") == "400 the body is empty")
            #expect(try await told(.post, "/predict", "{\"instances\": [[").hasPrefix("400 the body is no JSON: "))
            #expect(
                try await told(.post, "/predict", "{\"instances\": [[NaN]]}").hasPrefix("400 the body is no JSON: "))
            #expect(try await told(.post, "/predict", "{}").hasPrefix("400 the body needs \"instances\""))
            #expect(
                try await told(.post, "/predict", "{\"instances\": [1,2,3,4,5]}")
                    == "400 5 instances are too many for one request: at most 4")
            #expect(try await told(.get, "/predict") == "405 /predict takes POST")
            #expect(try await told(.post, "/health") == "405 /health takes GET")
            #expect(try await told(.get, "/").hasPrefix("404 there is no /; "))
            #expect(
                try await told(.get, "/v2/models/other")
                    == "404 there is no such model here; there is model, version v7")
            #expect(
                try await told(
                    .post, "/v2/models/model/infer", "{}", headers: ["Inference-Header-Content-Length": "2"])
                    == "400 tensors in binary form are not supported; send them as JSON")
            let large = String(repeating: " ", count: 1 << 21)
            #expect(try await told(.post, "/predict", large).hasPrefix("413 "))
            #expect(try await client.predict(["instances": [Self.image(3)]]).status == 200)
        }
    }

    @Test func `only the version that the digest names is served`() async throws {
        let bytes = Self.model.encoded()
        let manifest: JSONValue = [
            "files": [
                [
                    "path": "model.safetensors", "sizeBytes": .integer(Int64(bytes.count)),
                    "crc32c": .string(CRC32C(of: bytes).base64), "generation": "1",
                ]
            ]
        ]
        let digest = "sha256:\(SHA256.hexadecimal(of: manifest.serialized()))"
        let storage = { (model: [UInt8]?, manifest: [UInt8]?) in
            TrainingStorage(
                read: { uri async throws(TrainingError) in uri.hasSuffix(".json") ? manifest : model },
                write: { _, _, _ async throws(TrainingError) in }, list: { _ async throws(TrainingError) in [] },
                delete: { _ async throws(TrainingError) in })
        }
        func load(_ model: [UInt8]?, _ manifest: [UInt8]?) async -> String {
            let served = ServedModel(uri: "gs://b/v/", digest: digest, manifestURI: "gs://b/m.json")
            do throws(TrainingError) {
                return "\(try await served.load(storage(model, manifest)).entries.count) tensors"
            } catch {
                return "\(error.code): \(error.message)"
            }
        }
        #expect(await load(bytes, manifest.serialized()) == "8 tensors")
        #expect(await load(bytes, nil) == "missingInput: there is no manifest at gs://b/m.json")
        #expect(
            await load(nil, manifest.serialized()) == "missingInput: there is no model at gs://b/v/model.safetensors")
        #expect(await load(bytes, Array("{}".utf8)).contains("it is another version"))
        var damaged = bytes
        damaged[bytes.count - 1] ^= 1
        #expect(await load(damaged, manifest.serialized()).contains("is not the file of version digest"))
    }

    @Test func `wrong flags are refused with a sentence`() throws {
        func problem(_ flags: [String: String], _ environment: [String: String] = [:]) -> String {
            do throws(TrainingError) {
                let options = try ServeOptions(flags, environment: environment)
                return "\(options.host):\(options.port)"
            } catch {
                #expect(error.code == .usage)
                return error.message
            }
        }
        #expect(problem([:]).hasPrefix("there is no model to serve"))
        #expect(problem(["--model": "m"]) == "127.0.0.1:8080")
        #expect(problem([:], ["ML_MODEL_URI": "gs://b/p/", "PORT": "9000"]) == "0.0.0.0:9000")
        #expect(problem(["--model": "m", "--port": "x"]) == "--port needs a number from 0 to 65535, not \"x\"")
        #expect(problem(["--model": "m", "--max-batch": "0"]).hasPrefix("--max-batch needs a number from 1"))
        #expect(
            problem(["--model": "m", "--digest": "sha256:" + String(repeating: "a", count: 64)]).contains(
                "belong together"))
        #expect(
            problem(["--model": "m", "--manifest": "x", "--digest": "sha256:a"]).hasPrefix("--digest is \"sha256:a\""))
    }

    @Test func `a request under way when SIGTERM comes is answered, and then the process ends`() async throws {
        try await withTemporaryFolder { folder in
            try FolderStorage.write(folder + "m/" + BucketLayout.model, Self.model.encoded())
            let process = try TrainerProcess(
                ["serve", "--model", folder + "m", "--port", "0"], log: folder + "log")
            defer { if Subprocess.exit(of: process.pid) == nil { kill(process.pid, SIGKILL) } }
            let deadline = ContinuousClock.now + .seconds(60)
            var origin: String?
            while origin == nil {
                try #require(ContinuousClock.now < deadline, "\(process.text)")
                try await Task.sleep(for: .milliseconds(20))
                for line in process.text.split(separator: "\n") where line.contains("\"serving\"") {
                    origin = try JSONValue(parsing: String(line))["address"]?.stringValue
                }
            }
            let client = Client(origin: try #require(origin), transport: try CurlTransport())
            let instances = JSONValue.array(Array(repeating: Self.image(9), count: 1000))
            async let reply = client.predict(["instances": instances])
            var isComputing = false
            while !isComputing {
                try #require(ContinuousClock.now < deadline)
                let page = try await client.send(.get, "/metrics").text
                isComputing = page.contains("trainyard_serve_batch_images_count 1\n")
            }
            #expect(kill(process.pid, SIGTERM) == 0)
            #expect(try await reply.status == 200)
            #expect(try await process.end() == .status(0), "\(process.text)")
        }
    }
}
