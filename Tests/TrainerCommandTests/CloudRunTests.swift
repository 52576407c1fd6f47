import CloudChecks
import Encoding
import HTTP
import Sandbox
import Synchronization
import Telemetry
import Testing
import Training
import TrainingContract

@testable import TrainerCommand

/// The trainer against a simulated Cloud Storage over loopback.
struct CloudRunTests {
    private func withCloud(
        dataset: Bool = true, _ body: (SimulatedCloud, [String: String]) async throws -> Void
    ) async throws {
        let cloud = try await CloudFixture.cloud()
        if dataset {
            for (stem, count) in [("train", 64), ("t10k", 20)] {
                try cloud.putObject(
                    bucket: "data-bucket", name: "\(stem)-images-idx3-ubyte",
                    bytes: idx([count, 28, 28], (0..<(count * 784)).map { UInt8(truncatingIfNeeded: $0 * 7919 >> 4) }))
                try cloud.putObject(
                    bucket: "data-bucket", name: "\(stem)-labels-idx1-ubyte",
                    bytes: idx([count], (0..<count).map { UInt8($0 % 10) }))
            }
        }
        try await CloudFixture.serving(cloud) { origin in
            try await body(
                cloud,
                [
                    "STORAGE_EMULATOR_HOST": origin, "ML_RUN_ID": "job-12345-r1",
                    "ML_INPUT_DATA_URI": "gs://data-bucket/", "ML_OUTPUT_URI": "gs://runs-bucket/runs/r1/",
                    "ML_CHECKPOINT_URI": "gs://runs-bucket/checkpoints/r1/",
                    "ML_PROGRESS_URI": "gs://runs-bucket/runs/r1/progress.json", "HP_EPOCHS": "2",
                    "HP_BATCHSIZE": "32",
                ])
        }
    }

    private func idx(_ extents: [Int], _ bytes: [UInt8]) -> [UInt8] {
        [0, 0, 8, UInt8(extents.count)] + extents.flatMap { [0, 0, UInt8($0 >> 8), UInt8($0 & 255)] } + bytes
    }

    private func json(_ cloud: SimulatedCloud, _ name: String) throws -> JSONValue {
        try JSONValue(parsing: try #require(try cloud.readObject(bucket: "runs-bucket", name: name)))
    }

    @Test func `a run leaves model, metrics, progress and checkpoints in the bucket`() async throws {
        try await withCloud { cloud, environment in
            let code = await Trainer.main(arguments: ["train"], environment: environment) { false }
            #expect(code == .success)
            let file = try #require(try cloud.readObject(bucket: "runs-bucket", name: "runs/r1/model.safetensors"))
            let model = try Safetensors(decoding: file, name: "model")
            #expect(model.entries.reduce(0) { $0 + $1.values.count } == 1_199_882)
            #expect(try json(cloud, "runs/r1/metrics.json")["test_accuracy"]?.arrayValue?.count == 2)
            let progress: ProgressReport = try json(cloud, "runs/r1/progress.json").decode()
            #expect(progress.epoch == 2 && progress.step == 4 && progress.estimatedRemainingSeconds == 0)
            #expect(progress.checkpoint?.uri == "gs://runs-bucket/checkpoints/r1/step-00000004/")
            #expect(try json(cloud, "checkpoints/r1/step-00000004/manifest.json")["runID"] == "job-12345-r1")
        }
    }

    @Test func `a stopped run leaves a checkpoint, and the next start goes on from it`() async throws {
        try await withCloud { cloud, environment in
            let questions = Atomic<Int>(0)
            // Two while the data is read, one before the first step.
            let stopped = await Trainer.main(arguments: ["train"], environment: environment) {
                questions.add(1, ordering: .relaxed).newValue > 3
            }
            #expect(stopped == .stoppedAfterCheckpoint)
            #expect(try cloud.readObject(bucket: "runs-bucket", name: "runs/r1/metrics.json") == nil)
            #expect(try json(cloud, "runs/r1/progress.json")["checkpoint"]?["step"] == 1)
            let resumed = await Trainer.main(
                arguments: ["train"], environment: environment.merging(["ML_ATTEMPT": "2"]) { $1 }
            ) { false }
            #expect(resumed == .success)
            let progress: ProgressReport = try json(cloud, "runs/r1/progress.json").decode()
            #expect(progress.fromStep == 1 && progress.attempt == 2 && progress.step == 4)
        }
    }

    @Test func `what is wrong has its exit code`() async throws {
        try await withCloud(dataset: false) { cloud, environment in
            func code(_ changes: [String: String] = [:]) async -> TrainerExitCode {
                await Trainer.main(arguments: ["train"], environment: environment.merging(changes) { $1 }) { false }
            }
            #expect(await code() == .missingInput)
            try cloud.putObject(bucket: "data-bucket", name: "train-images-idx3-ubyte.gz", bytes: [0x1F, 0x8B, 8, 1])
            try cloud.putObject(bucket: "data-bucket", name: "train-labels-idx1-ubyte.gz", bytes: [0])
            #expect(await code() == .badData)
            #expect(await code(["HP_EPOCHS": "0"]) == .usage)
            #expect(await code(["STORAGE_EMULATOR_HOST": "http://192.0.2.1:80"]) == .usage)
        }
    }
}
