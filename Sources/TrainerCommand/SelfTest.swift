import CSystem
import Encoding
import Glibc
import Kernels
import Telemetry
import Training
import TrainingContract

/// `trainyard-trainer selftest`: whether this machine computes right and reaches its bucket, in a few seconds.
struct SelfTest: Sendable {
    /// Writing, reading and deleting an object below `ML_OUTPUT_URI`.
    struct Probe: Sendable, Hashable {
        var uri: String
        /// Nil: all three worked.
        var failure: TrainingError?
    }

    var kernels: [KernelCheck.Finding]
    /// The backend's name, e.g. `cpu-avx512`.
    var isa: String
    var threads: Int
    var memoryBytesPerSecond: Double
    var operationsPerSecond: Double
    /// Nil where NVIDIA's driver is not loaded.
    var graphics: GraphicsDriver?
    /// Nil without `ML_OUTPUT_URI`.
    var bucket: Probe?

    static func run(isJSON: Bool, environment: [String: String], clock: any WallClock) async -> TrainerExitCode {
        guard trainyard_cpu_has_kernel_features() != 0 else {
            let sentence = "this processor lacks \(CarriedKernels.features.joined(separator: " or "))"
            Trainer.put(
                isJSON
                    ? JSONValue.object(["ok": false, "message": .string(sentence)]).serializedText() + "\n"
                    : "FAILED  \(sentence): the kernels cannot run here\n")
            return .unsupportedMachine
        }
        let threads = Processors.usableCount
        let backend = CPUBackend(threadCount: threads)
        let test = SelfTest(
            kernels: KernelCheck.compare(backend), isa: backend.name, threads: threads,
            memoryBytesPerSecond: MachineSpeed.memoryBytesPerSecond(threads: threads),
            operationsPerSecond: MachineSpeed.operationsPerSecond(threads: threads),
            graphics: GraphicsDriver.read(), bucket: await probe(environment, clock: clock))
        Trainer.put((isJSON ? test.json.serializedText() : test.text) + "\n")
        return test.code
    }

    var code: TrainerExitCode {
        if !kernels.allSatisfy(\.isGood) { return .unsupportedMachine }
        return bucket?.failure?.code ?? .success
    }

    private static func probe(_ environment: [String: String], clock: any WallClock) async -> Probe? {
        guard let output = environment[TrainingEnvironment.outputURI], !output.isEmpty else { return nil }
        let name = ".trainyard-selftest-\(environment[TrainingEnvironment.runID] ?? "local")-\(getpid())"
        var probe = Probe(uri: output + (output.hasSuffix("/") ? "" : "/") + name)
        do throws(TrainingError) {
            let storage = try Trainer.storage(for: [output], environment: environment, clock: clock)
            let bytes = Array("trainyard".utf8)
            try await storage.write(probe.uri, bytes, "text/plain")
            let read = try await storage.read(probe.uri)
            try await storage.delete(probe.uri)
            guard read == bytes else {
                throw TrainingError(.storageUnavailable, "other bytes came back than were written")
            }
        } catch {
            probe.failure = error
        }
        return probe
    }

    // MARK: What is printed

    var json: JSONValue {
        var value: JSONValue = [
            "ok": .bool(code == .success), "kernels": KernelList.json, "cuda": "not built", "isa": .string(isa),
            "threads": .integer(Int64(threads)),
            "checks": .array(
                kernels.map { finding in
                    [
                        "operation": .string(finding.operation), "ok": .bool(finding.isGood),
                        "error": finding.error.isFinite ? .number(finding.error) : "not finite",
                        "limit": .number(KernelCheck.Finding.limit),
                    ]
                }),
            "memoryGBPerSecond": .number(Self.rounded(memoryBytesPerSecond / 1e9)),
            "multiplyGFLOPPerSecond": .number(Self.rounded(operationsPerSecond / 1e9)),
        ]
        if let graphics {
            value["driver"] = .string(graphics.version)
            value["gpus"] = .array(graphics.models.map { .string($0) })
        }
        if let bucket {
            var object: JSONValue = ["uri": .string(bucket.uri), "ok": .bool(bucket.failure == nil)]
            if let failure = bucket.failure { object["message"] = .string(failure.message) }
            value["bucket"] = object
        }
        return value
    }

    private static func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    private static func describe(_ driver: GraphicsDriver) -> String {
        (driver.models.isEmpty ? "none" : driver.models.joined(separator: ", ")) + ", driver \(driver.version)"
    }

    var text: String {
        var lines = kernels.map { finding in
            "\(finding.isGood ? "ok    " : "FAILED")  \(finding.operation): differs by \(finding.error) "
                + "(limit \(KernelCheck.Finding.limit))"
        }
        lines.append("        \(isa), \(threads) threads")
        lines.append("        memory \(TrainerLog.decimal(memoryBytesPerSecond / 1e9, 1)) GB/s")
        lines.append("        multiplications \(TrainerLog.decimal(operationsPerSecond / 1e9, 1)) GFLOP/s")
        lines.append("        gpu: \(graphics.map(Self.describe) ?? "no NVIDIA driver is loaded")")
        lines.append("        cuda: not built")
        switch bucket {
        case nil: lines.append("        bucket: \(TrainingEnvironment.outputURI) is not set")
        case let probe?:
            lines.append(
                probe.failure.map { "FAILED  \(probe.uri): \($0.message)" }
                    ?? "ok      \(probe.uri): written, read and deleted")
        }
        return lines.joined(separator: "\n")
    }
}
