import Encoding
import Kernels
import TrainingContract

/// Trains one network: epochs of steps, an evaluation after each, checkpoints, and the outputs at the end.
///
/// Weights, data order and metrics follow from configuration and data alone (speeds excepted): a run that was stopped
/// and resumed any number of times writes the same model, bit for bit.
public actor TrainingSession {
    private let thread: ThreadExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    private let configuration: TrainingConfiguration
    private let context: TrainingContext
    private let training: ImageDataset
    private let test: ImageDataset
    private let network: ConvolutionalNetwork
    private let backend: any Backend
    private var state = TrainingState()
    private var progress: ProgressMeter

    private static let reportIntervalSeconds = 2.0

    /// The published network on a new CPU backend.
    ///
    /// - Throws: `.badData` when the images are not what the network reads, `.unsupportedMachine` when the system gives
    ///   no thread.
    public init(
        _ configuration: TrainingConfiguration, _ context: TrainingContext, training: ImageDataset, test: ImageDataset
    ) throws(TrainingError) {
        try self.init(
            configuration, context, training: training, test: test, architecture: .init())
    }

    init(
        _ configuration: TrainingConfiguration, _ context: TrainingContext, training: ImageDataset,
        test: ImageDataset, architecture: ConvolutionalNetwork.Architecture
    ) throws(TrainingError) {
        for (dataset, name) in [(training, "training"), (test, "test")]
        where dataset.height != architecture.height || dataset.width != architecture.width {
            throw TrainingError(
                .badData,
                "the \(name) images have \(dataset.height)×\(dataset.width) pixels, the network reads "
                    + "\(architecture.height)×\(architecture.width)")
        }
        thread = try ThreadExecutor()
        self.configuration = configuration
        self.context = context
        self.training = training
        self.test = test
        let backend = CPUBackend(threadCount: configuration.threads ?? Processors.usableCount)
        self.backend = backend
        network = ConvolutionalNetwork(architecture, capacity: configuration.batchSize, backend: backend)
        progress = ProgressMeter(
            context: context, configuration: configuration,
            stepsPerEpoch: (training.count + configuration.batchSize - 1) / configuration.batchSize,
            trainImages: training.count)
    }

    /// Trains to the end or to a stop request.
    ///
    /// - Throws: `.diverged` when a loss is not finite, `.missingInput` when `resumeURI` has no checkpoint, `.usage` when
    ///   a checkpoint belongs to other hyperparameters, or what the storage throws.
    public func run() async throws(TrainingError) -> TrainingOutcome {
        network.parameters.initialize(seed: UInt64(configuration.seed))
        try await resume()
        progress.begin(at: state)
        context.report(progress.report(state))
        while state.epoch < configuration.epochs {
            guard try await trainEpoch(), let result = try evaluate() else { return try await stop() }
            finishEpoch(result)
            try await writeCheckpoint()
        }
        guard let last = state.history.last else {
            throw TrainingError(.software, "the run ended without an epoch")
        }
        try await writeOutputs()
        context.report(progress.report(state))
        return .finished(last)
    }

    // MARK: Steps

    /// Trains the rest of the epoch under way; false when a stop was requested.
    private func trainEpoch() async throws(TrainingError) -> Bool {
        let order = EpochOrder(seed: UInt64(configuration.seed), epoch: state.epoch, count: training.count)
        while state.stepInEpoch < progress.stepsPerEpoch {
            if context.shouldStop() { return false }
            try trainStep(order.batch(state.stepInEpoch, size: configuration.batchSize))
            if progress.isReportDue(interval: Self.reportIntervalSeconds) { context.report(progress.report(state)) }
            if let interval = context.checkpointIntervalSeconds, progress.isCheckpointDue(interval: interval) {
                try await writeCheckpoint()
            }
        }
        return true
    }

    private func trainStep(_ numbers: ArraySlice<UInt32>) throws(TrainingError) {
        let start = context.seconds()
        training.fill(network.input, network.labels, with: numbers)
        let loss = network.differentiate(images: numbers.count)
        guard loss.sum.isFinite else {
            throw TrainingError(
                .diverged,
                "the loss is not a finite number at step \(state.step + 1) (epoch \(state.epoch + 1)); "
                    + "the learning rate is \(configuration.learningRate): try a smaller one")
        }
        let parameters = network.parameters
        backend.adam(
            AdamSettings(learningRate: configuration.learningRate), step: state.step + 1,
            parameters: parameters.values, gradients: parameters.gradients,
            firstMoments: parameters.firstMoments, secondMoments: parameters.secondMoments)
        state.step += 1
        state.stepInEpoch += 1
        state.lossSum += loss.sum
        state.lossCount += numbers.count
        let elapsed = context.seconds() - start
        state.epochSeconds += elapsed
        progress.add(images: numbers.count, seconds: elapsed)
    }

    // MARK: Epochs

    /// The mean loss and the accuracy over the test set; nil when a stop was requested.
    private func evaluate() throws(TrainingError) -> (loss: Double, accuracy: Double)? {
        let start = context.seconds()
        var sum = 0.0
        var correctCount = 0
        var first = 0
        while first < test.count {
            if context.shouldStop() { return nil }
            let count = min(network.capacity, test.count - first)
            test.fill(network.input, network.labels, with: UInt32(first)..<UInt32(first + count))
            let loss = network.evaluate(images: count)
            sum += loss.sum
            correctCount += loss.correctCount
            first += count
        }
        guard sum.isFinite else {
            throw TrainingError(
                .diverged,
                "the test loss is not a finite number after epoch \(state.epoch + 1): "
                    + "try a smaller learning rate than \(configuration.learningRate)")
        }
        progress.evaluated(seconds: context.seconds() - start)
        return (sum / Double(test.count), 100 * Double(correctCount) / Double(test.count))
    }

    private func finishEpoch(_ result: (loss: Double, accuracy: Double)) {
        let metrics = EpochMetrics(
            epoch: state.epoch + 1, step: state.step, trainLoss: state.meanLoss, testLoss: result.loss,
            testAccuracy: result.accuracy,
            imagesPerSecond: state.epochSeconds > 0 ? Double(state.lossCount) / state.epochSeconds : 0)
        state.history.append(metrics)
        state.epoch += 1
        state.stepInEpoch = 0
        state.lossSum = 0
        state.lossCount = 0
        state.epochSeconds = 0
        context.notice(.epochFinished(metrics, totalEpochs: configuration.epochs))
        context.report(progress.report(state))
    }

    private func stop() async throws(TrainingError) -> TrainingOutcome {
        let uri = try await writeCheckpoint()
        context.report(progress.report(state))
        return .stopped(step: state.step, epoch: state.epoch, checkpointURI: uri)
    }

    // MARK: Storage

    private var identity: CheckpointManifest.Identity {
        CheckpointManifest.Identity(
            seed: configuration.seed, batchSize: configuration.batchSize, trainImages: training.count,
            parameters: Dictionary(
                uniqueKeysWithValues: network.parameters.parameters.map { ($0.name, $0.shape.extents) }))
    }

    private func checkpoints(at prefix: String) -> CheckpointStore {
        CheckpointStore(prefix: prefix, storage: context.storage, keepLast: max(1, context.keepLastCheckpoints))
    }

    private func resume() async throws(TrainingError) {
        let notice = context.notice
        let skipped = { (message: String) in notice(.checkpointSkipped(message: message)) }
        if let prefix = context.checkpointURI,
            let found = try await checkpoints(at: prefix).newest(skipped: skipped)
        {
            try restore(found.contents, from: found.uri)
        } else if let prefix = context.resumeURI {
            guard let found = try await checkpoints(at: prefix).newest(skipped: skipped) else {
                throw TrainingError(.missingInput, "there is no usable checkpoint below \(prefix) to start from")
            }
            try restore(found.contents, from: found.uri)
        }
    }

    private func restore(_ contents: CheckpointStore.Contents, from uri: String) throws(TrainingError) {
        guard contents.manifest.identity == identity else {
            throw TrainingError(
                .usage,
                "the checkpoint \(uri) was made with another seed, batch size, training set or network; "
                    + "use the same, or another place for checkpoints")
        }
        try network.parameters.load(model: contents.model, optimizer: contents.optimizer, name: uri)
        state = contents.manifest.state
        progress.lastCheckpoint = progress.checkpoint(step: state.step, uri: uri)
        context.notice(.resumed(step: state.step, uri: uri))
    }

    @discardableResult
    private func writeCheckpoint() async throws(TrainingError) -> String? {
        guard let prefix = context.checkpointURI else { return nil }
        if let last = progress.lastCheckpoint, last.step == state.step, progress.lastCheckpointState == state {
            return last.uri
        }
        let written = state
        let uri = try await checkpoints(at: prefix).write(
            runID: context.runID, identity: identity, state: written, model: network.parameters.model(),
            optimizer: network.parameters.optimizer())
        progress.lastCheckpoint = progress.checkpoint(step: written.step, uri: uri)
        progress.lastCheckpointState = written
        progress.checkpointed()
        context.notice(.checkpointWritten(step: written.step, uri: uri))
        context.report(progress.report(state))
        return uri
    }

    /// The model, then the metrics: who sees the metrics may rely on the model.
    private func writeOutputs() async throws(TrainingError) {
        let storage = context.storage
        let model = network.parameters.model().encoded()
        try await storage.write(context.outputURI + BucketLayout.model, model, "application/octet-stream")
        let metrics = MetricsFile.encoded(state.history)
        try await storage.write(context.outputURI + BucketLayout.metrics, metrics, "application/json")
        progress.outputs = [(BucketLayout.model, model), (BucketLayout.metrics, metrics)].map { path, bytes in
            var checksum = CRC32C()
            checksum.update(bytes)
            return ProgressReport.Output(path: path, sizeBytes: bytes.count, crc32c: checksum.base64)
        }
    }
}
