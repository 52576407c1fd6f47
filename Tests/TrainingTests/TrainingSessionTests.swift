import Encoding
import Testing
import TrainingContract

@testable import Training

struct TrainingSessionTests {
    @Test func `a small network learns, and the outputs have their form`() async throws {
        let run = SmallRun { $0.configuration.epochs = 12 }
        guard case .finished(let last) = try await run.train() else {
            Issue.record("the run did not finish")
            return
        }
        #expect(last.epoch == 12 && last.step == 84)
        #expect(last.testAccuracy > 90)
        let columns = try #require(run.metrics?.objectValue)
        #expect(columns.keys.sorted() == ["epoch", "test_accuracy", "test_loss", "train_loss"])
        #expect(columns.values.allSatisfy { $0.arrayValue?.count == 12 })
        #expect(columns["test_accuracy"]?[11]?.doubleValue == last.testAccuracy)
        let model = try Safetensors(decoding: try #require(run.model), name: "model")
        #expect(
            model.entries.map { "\($0.name) \($0.shape)" } == [
                "conv1.weight [3, 1, 3, 3]", "conv1.bias [3]", "conv2.weight [5, 3, 3, 3]", "conv2.bias [5]",
                "fc1.weight [17, 80]", "fc1.bias [17]", "fc2.weight [10, 17]", "fc2.bias [10]",
            ])
        #expect(model.metadata.keys.sorted() == ["format", "trainyard.model"])
    }

    @Test func `the metrics are written after the model`() async throws {
        let run = SmallRun()
        _ = try await run.train()
        #expect(
            run.memory.writes.suffix(2).map { $0.split(separator: "/").last } == ["model.safetensors", "metrics.json"])
    }

    /// The loss depends on data, seed, order, initialization and every kernel: a change here is a change for users.
    @Test func `the loss after two epochs equals the committed number`() async throws {
        let run = SmallRun()
        guard case .finished(let last) = try await run.train() else { return }
        // Float32 sums in another order, on another processor, differ by some 1e-6.
        #expect(abs(last.trainLoss - 2.148208) < 1e-4)
        #expect(abs(last.testLoss - 1.928453) < 1e-4)
    }

    @Test func `the model does not depend on the number of threads`() async throws {
        let one = SmallRun { $0.configuration.threads = 1 }, three = SmallRun { $0.configuration.threads = 3 }
        _ = try await one.train()
        _ = try await three.train()
        #expect(one.model != nil && one.model == three.model)
        #expect(one.metrics == three.metrics)
    }

    /// `shouldStop` is asked 7 times while an epoch trains and 3 times while it is evaluated.
    @Test(arguments: [0, 1, 5, 7, 8, 9, 10, 13, 19])
    func `a stopped and resumed run writes the same bytes as a straight one`(stop: Int) async throws {
        let straight = SmallRun()
        _ = try await straight.train()
        let stopped = SmallRun { $0.stepsBeforeStop = stop }
        guard case .stopped(let step, _, let uri) = try await stopped.train() else {
            Issue.record("the run did not stop")
            return
        }
        #expect(uri == "gs://bucket/checkpoints/run/" + BucketLayout.checkpoint(step: step))
        #expect(stopped.model == nil)
        let resumed = SmallRun(stopped.memory)
        _ = try await resumed.train()
        #expect(resumed.notices.first == .resumed(step: step, uri: uri ?? ""))
        #expect(resumed.model != nil && resumed.model == straight.model)
        #expect(resumed.metrics == straight.metrics)
    }

    @Test func `a run that is stopped again and again comes to the same end`() async throws {
        let straight = SmallRun()
        _ = try await straight.train()
        let memory = MemoryStorage()
        for round in 0..<40 {
            let run = SmallRun(memory) { $0.stepsBeforeStop = 1 + round % 3 }
            if case .finished = try await run.train() { break }
        }
        #expect(SmallRun(memory).model == straight.model)
        #expect(SmallRun(memory).metrics == straight.metrics)
    }

    @Test func `a finished run that starts again writes its outputs again`() async throws {
        let run = SmallRun()
        _ = try await run.train()
        let model = run.model
        run.memory.objects["gs://bucket/runs/run/model.safetensors"] = nil
        guard case .finished = try await SmallRun(run.memory).train() else {
            Issue.record("the run did not finish")
            return
        }
        #expect(run.model == model)
    }

    @Test func `a stop without a place for checkpoints says so`() async throws {
        let run = SmallRun {
            $0.checkpointURI = nil
            $0.stepsBeforeStop = 2
        }
        #expect(try await run.train() == .stopped(step: 2, epoch: 0, checkpointURI: nil))
        #expect(run.memory.objects.isEmpty)
    }

    @Test func `a run can start from another run's checkpoint, which must be there`() async throws {
        let first = SmallRun { $0.stepsBeforeStop = 9 }
        _ = try await first.train()
        let other = SmallRun(first.memory) {
            $0.resumeURI = "gs://bucket/checkpoints/run/"
            $0.checkpointURI = "gs://bucket/checkpoints/other/"
        }
        _ = try await other.train()
        #expect(other.notices.first == .resumed(step: 7, uri: "gs://bucket/checkpoints/run/step-00000007/"))
        let lost = SmallRun { $0.resumeURI = "gs://bucket/nothing/" }
        let error = await #expect(throws: TrainingError.self) { try await lost.train() }
        #expect(error?.code == .missingInput)
    }

    @Test func `a checkpoint of other hyperparameters is refused`() async throws {
        let first = SmallRun { $0.stepsBeforeStop = 3 }
        _ = try await first.train()
        let other = SmallRun(first.memory) { $0.configuration.batchSize = 8 }
        let error = await #expect(throws: TrainingError.self) { try await other.train() }
        #expect(error?.code == .usage)
    }

    @Test func `a loss that is not finite ends the run as diverged`() async throws {
        let run = SmallRun { $0.stepsBeforeStop = 3 }
        _ = try await run.train()
        try poison(run.memory)
        let error = await #expect(throws: TrainingError.self) { try await SmallRun(run.memory).train() }
        #expect(error?.code == .diverged)
        #expect(error?.message.contains("step 4 (epoch 1)") == true)
    }

    /// Puts a NaN into the only checkpoint's weights.
    private func poison(_ memory: MemoryStorage) throws {
        let uri = "gs://bucket/checkpoints/run/step-00000003/"
        var model = try Safetensors(decoding: try #require(memory.objects[uri + "model.safetensors"]), name: "")
        model.entries[7].values[0] = .nan
        var manifest = try CheckpointManifest(
            decoding: try #require(memory.objects[uri + "manifest.json"]), name: "")
        manifest.files[0].crc32c = CRC32C(of: model.encoded()).base64
        memory.objects[uri + "model.safetensors"] = model.encoded()
        memory.objects[uri + "manifest.json"] = try manifest.encoded()
    }

    @Test func `a bucket that is away ends the run with its error`() async {
        for file in ["manifest.json", "metrics.json"] {
            let run = SmallRun()
            run.memory.failWrites(endingIn: file)
            let error = await #expect(throws: TrainingError.self) { try await run.train() }
            #expect(error?.code == .storageUnavailable)
        }
    }

    @Test func `test images of another size are refused`() async {
        let error = await #expect(throws: TrainingError.self) {
            try await SmallRun().train(training: patterns(count: 3, side: 13, seed: 1))
        }
        #expect(
            error == TrainingError(.badData, "the training images have 13×13 pixels, the test images 12×12"))
    }

    @Test func `reports are spaced, go forward, and end with nothing left to do`() async throws {
        let run = SmallRun { $0.configuration.epochs = 3 }
        _ = try await run.train()
        let reports = run.reports
        #expect(zip(reports, reports.dropFirst()).allSatisfy { $0.step <= $1.step && $0.epoch <= $1.epoch })
        let last = try #require(reports.last)
        #expect(last.epoch == 3 && last.totalEpochs == 3 && last.step == 21 && last.totalSteps == 21)
        #expect(last.estimatedRemainingSeconds == 0)
        #expect(last.history.map(\.epoch) == [1, 2, 3])
        #expect(
            last.history.last?.metrics.keys.sorted() == [
                "images_per_second", "test_accuracy", "test_loss", "train_loss",
            ])
        #expect(last.checkpoint?.step == 21 && last.fromStep == 0 && last.imagesPerSecond > 0)
        // A step takes half a second of this clock: a report after every fourth, at epoch ends and checkpoints.
        #expect(reports.count <= 3 + 3 * 4)
        #expect(reports.contains { $0.estimatedRemainingSeconds > 0 })
    }

    @Test func `checkpoints come by time too`() async throws {
        let run = SmallRun { $0.checkpointIntervalSeconds = 1 }
        _ = try await run.train()
        let written = run.notices.compactMap { notice in
            if case .checkpointWritten(let step, _) = notice { step } else { nil }
        }
        #expect(written.count > 4)
        #expect(written.last == 14)
    }

    @Test func `a run writes a checkpoint before its first step, so that a place it may not write to is found`() async {
        let run = SmallRun()
        run.memory.failWrites(endingIn: "manifest.json")
        let error = await #expect(throws: TrainingError.self) { try await run.train() }
        #expect(error?.code == .storageUnavailable)
        #expect(run.reports.isEmpty)
    }

    /// A write takes a tenth of a second of this clock, a step two.
    @Test(arguments: [(0.1, 1), (30.0, 0)]) func `a grace period that is too short is told once`(
        grace: Double, count: Int
    ) async throws {
        let run = SmallRun { $0.gracePeriodSeconds = grace }
        _ = try await run.train()
        let told = run.notices.filter { if case .graceTooShort = $0 { true } else { false } }
        #expect(told.count == count)
    }
}
