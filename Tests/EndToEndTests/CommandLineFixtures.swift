import Encoding
import Glibc
import System
import Testing

@testable import TrainyardCommand

/// A program that a test runs, with its output in files.
final class CommandProcess: Sendable {
    let process: ChildProcess
    private let outputPath: String
    private let errorPath: String

    /// - Parameter folder: receives the output files.
    init(
        _ path: String, _ arguments: [String], in folder: String, name: String,
        environment: [String: String] = [:]
    ) throws {
        outputPath = "\(folder)/\(name).out"
        errorPath = "\(folder)/\(name).err"
        let changed = Set(environment.keys)
        let inherited = Environment.entries.filter { entry in
            !changed.contains(String(entry.prefix { $0 != "=" }))
        }
        process = try ChildProcess(
            path: path, arguments: arguments,
            environment: inherited + environment.map { "\($0.key)=\($0.value)" }, log: errorPath, output: outputPath)
    }

    /// Standard output so far.
    var output: String { (try? LocalFiles.text(outputPath)) ?? "" }
    /// Standard error so far.
    var errors: String { (try? LocalFiles.text(errorPath)) ?? "" }

    /// Waits for the end; kills it after `timeout`, which is an issue.
    @discardableResult
    func exit(within timeout: Duration) async -> Subprocess.Exit? {
        let ended = await until(timeout) { self.process.poll() != nil }
        if !ended {
            Issue.record("no end within \(timeout); output: \(output.suffix(2000)); errors: \(errors.suffix(2000))")
            await process.stop(grace: .milliseconds(100))
        }
        return process.poll()
    }

    func interrupt() { kill(process.identifier, SIGINT) }
}

/// Whether `condition` became true in time.
func until(_ timeout: Duration, _ condition: () async throws -> Bool) async rethrows -> Bool {
    let clock = ContinuousClock()
    let deadline = clock.now + timeout
    while clock.now < deadline {
        if try await condition() { return true }
        await Pause.milliseconds(50)
    }
    return try await condition()
}

/// A folder of a test's own, removed with the value.
final class TestFolder: Sendable {
    let path: String

    init() throws {
        path = try LocalFiles.makeTemporaryFolder(prefix: "\(StateFolder.temporaryParent)/trainyard-test-")
    }

    deinit { LocalFiles.removeFolder(path) }
}

/// The programs that `swift test` has built beside the test.
enum BuiltPrograms {
    static func trainyard() throws -> String {
        let folder = try #require(LocalFiles.programFolder())
        let path = "\(folder)/trainyard"
        try #require(LocalFiles.isExecutable(path), "build the programs first: swift build")
        return path
    }
}

/// A data set in the format of Fashion-MNIST that is learnt in a few steps: the class is where the image is bright.
enum CommandDataset {
    /// Writes the four IDX files into `folder`.
    static func write(to folder: String, trainCount: Int = 320, testCount: Int = 100) throws {
        try LocalFiles.makeFolder(folder)
        for (name, count, seed) in [("train", trainCount, 1), ("t10k", testCount, 2)] {
            let (images, labels) = data(count: count, seed: UInt64(seed))
            try LocalFiles.write(images, to: "\(folder)/\(name)-images-idx3-ubyte")
            try LocalFiles.write(labels, to: "\(folder)/\(name)-labels-idx1-ubyte")
        }
    }

    private static func data(count: Int, seed: UInt64) -> (images: [UInt8], labels: [UInt8]) {
        var state = seed
        func next() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        var images = [0, 0, 8, 3] + bigEndian(count) + bigEndian(28) + bigEndian(28)
        var labels = [0, 0, 8, 1] + bigEndian(count)
        for index in 0..<count {
            let label = index % 10
            labels.append(UInt8(label))
            for row in 0..<28 {
                for column in 0..<28 {
                    let isBright = row / 14 == label / 5 && column / 6 == label % 5
                    images.append(isBright ? 200 &+ next() / 8 : next() / 8)
                }
            }
        }
        return (images, labels)
    }

    private static func bigEndian(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}

/// The YAML of a small run on `CommandDataset`.
enum TinyRun {
    static func yaml(
        seed: String, epochs: String = #""1""#, accuracyAtLeast: String = "50", name: String = "tiny",
        moreHyperparameters: String = ""
    ) -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata:
          name: \(name)-data
          annotations: {sandbox.trainyard.dev/seed: "\(seed)"}
        spec:
          artifactType: Dataset
          bucket: {name: trainyard-\(name)-data, location: us-central1}
          layout: Flat
        ---
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: \(name)-runs}
        spec:
          artifactType: RunOutput
          bucket: {name: trainyard-\(name)-runs, location: us-central1}
          layout: ByRun
        ---
        apiVersion: trainyard.dev/v1alpha1
        kind: TrainingJob
        metadata:
          name: \(name)
        spec:
          trainer:
            hyperparameters:
              epochs: \(epochs)
              batchSize: "16"
              \(moreHyperparameters)
          accelerator: {gpu: {type: nvidia-l4}}
          capacity:
            candidates:
            - {name: spot, provisioningModel: Spot, zones: [us-central1-a]}
          inputs:
          - {name: data, artifactRef: {name: \(name)-data}, mode: Stream}
          checkpoint: {artifactRef: {name: \(name)-runs}}
          outputs:
            artifactRef: {name: \(name)-runs}
            required: [{glob: metrics.json}, {glob: model.safetensors}]
            assertions:
            - {file: metrics.json, jsonPath: "{.test_accuracy[-1:]}", operator: GreaterThanOrEqual, value: "\(accuracyAtLeast)"}
        """
    }
}
