import Encoding
import Kernels
import TrainingContract

/// Trains one network: epochs of steps, an evaluation after each, checkpoints, and the outputs at the end.
///
/// Weights, data order and metrics follow from configuration and data alone (speeds excepted): a run that was stopped
/// and resumed any number of times writes the same model, bit for bit, and so does the same number of processes.
public actor TrainingSession {
    private let thread: ThreadExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    let configuration: TrainingConfiguration
    let context: TrainingContext
    let training: ImageDataset
    let test: ImageDataset
    let network: ConvolutionalNetwork
    private let backend: any Backend
    let world: World
    private let shards: BatchShards
    /// Gradients of parts that wait for their other half; one for each level of the tree above a pass.
    private var partialSums: [Tensor] = []
    var state = TrainingState()
    var progress: ProgressMeter
    /// Whether people know already that a checkpoint does not fit into the grace period.
    var hasWarnedOfGrace = false
    var longestStepSeconds = 0.0

    private static let reportIntervalSeconds = 2.0
    /// 256 images and more: the kernels keep sums of weights for each of its parts, some 20 MB.
    private static let maximumPartsOfAPass = 8
    private let partsOfAPass: Int

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
        world = World(context.world, isStopping: context.shouldStop)
        let stepImages = configuration.stepImages(of: context.world)
        shards = BatchShards(batchSize: stepImages, worldSize: context.world.size)
        // A part is never divided: how gradients are added up follows from the step's images alone.
        let largestPart = (stepImages + shards.count - 1) / shards.count
        let isAccumulating = configuration.gradientAccumulationSteps > 1
        let capacity = max(configuration.batchSize, isAccumulating ? largestPart : 0)
        partsOfAPass = min(Self.maximumPartsOfAPass, isAccumulating ? capacity / largestPart : .max)
        network = ConvolutionalNetwork(architecture, capacity: capacity, backend: backend)
        progress = ProgressMeter(
            context: context, configuration: configuration,
            stepsPerEpoch: (training.count + stepImages - 1) / stepImages, trainImages: training.count)
    }

    /// Images of a step, over all processes.
    var stepImages: Int { configuration.stepImages(of: world.place) }

    /// Trains to the end or to a stop request of any process.
    ///
    /// - Throws: `.diverged` when a loss is not finite, `.missingInput` when `resumeURI` has no checkpoint, `.usage` when
    ///   a checkpoint belongs to other hyperparameters, `.peerLost` when another process is gone (rank 0 stores what
    ///   there is before), or what the storage throws. All processes end with the same error.
    public func run() async throws(TrainingError) -> TrainingOutcome {
        do throws(TrainingError) {
            return try await train()
        } catch {
            world.leave(error)
            if error.code == .peerLost, let outcome = await salvage(error) { return outcome }
            throw error
        }
    }

    private func train() async throws(TrainingError) -> TrainingOutcome {
        network.parameters.initialize(seed: UInt64(configuration.seed))
        let listener = try world.open()
        if world.isFirst { try await resume() }
        try gather(listener)
        progress.begin(at: state)
        report()
        while state.epoch < configuration.epochs {
            guard try await trainEpoch(), let result = try evaluate() else { return try await stop() }
            finishEpoch(result)
            try await checkpoint()
        }
        guard let last = state.history.last else {
            throw TrainingError(.software, "the run ended without an epoch")
        }
        if world.isFirst { try await writeOutputs() }
        _ = try world.stored(nil, step: state.step)
        report()
        return .finished(last)
    }

    func report() { if world.isFirst { context.report(progress.report(state)) } }

    // MARK: Steps

    /// Trains the rest of the epoch under way; false when a stop was requested.
    private func trainEpoch() async throws(TrainingError) -> Bool {
        let order = EpochOrder(seed: UInt64(configuration.seed), epoch: state.epoch, count: training.count)
        while state.stepInEpoch < progress.stepsPerEpoch {
            switch try world.agree(wish, step: state.step) {
            case .stop: return false
            case .checkpoint: try await checkpoint()
            case .goOn: break
            }
            if let fault = context.fault, fault.isPlayed(beforeStep: state.step) {
                report()  // Who waits for this step sees it.
                fault.play(until: context.shouldStop)
            }
            try trainStep(order.batch(state.stepInEpoch, size: stepImages))
            if progress.isReportDue(interval: Self.reportIntervalSeconds) { report() }
        }
        return true
    }

    private var wish: WorldDecision {
        if context.shouldStop() { return .stop }
        guard world.isFirst, let interval = context.checkpointIntervalSeconds else { return .goOn }
        return progress.isCheckpointDue(interval: interval) ? .checkpoint : .goOn
    }

    /// - Parameter numbers: of the images of all processes.
    private func trainStep(_ numbers: ArraySlice<UInt32>) throws(TrainingError) {
        let start = context.seconds()
        let parameters = network.parameters
        let loss = try world.sum(differentiate(numbers), parameters.gradients, step: state.step)
        guard loss.sum.isFinite else {
            throw TrainingError(
                .diverged,
                "the loss is not a finite number at step \(state.step + 1) (epoch \(state.epoch + 1)); "
                    + "the learning rate is \(configuration.learningRate): try a smaller one")
        }
        let learningRate = configuration.optimization.learningRate(
            configuration.learningRate, step: state.step + 1, of: configuration.epochs * progress.stepsPerEpoch)
        let isTaken = configuration.optimization.take(
            parameters, learningRate: learningRate, step: state.step + 1, backend: backend)
        guard isTaken else {
            throw TrainingError(
                .diverged,
                "a gradient is not a finite number at step \(state.step + 1) (epoch \(state.epoch + 1)); "
                    + "the learning rate is \(learningRate): try a smaller one")
        }
        state.step += 1
        state.stepInEpoch += 1
        state.lossSum += loss.sum
        state.lossCount += loss.count
        let elapsed = context.seconds() - start
        state.epochSeconds += elapsed
        longestStepSeconds = max(longestStepSeconds, elapsed)
        progress.add(images: loss.count, seconds: elapsed)
    }

    /// This process's part of a batch: its loss, and in `parameters.gradients` its share of the whole batch's gradient.
    private func differentiate(_ numbers: ArraySlice<UInt32>) -> BatchLoss {
        var loss = BatchLoss()
        differentiate(numbers, shards.range(of: world.place), depth: 0, &loss)
        return loss
    }

    /// The gradients of some parts: up to eight in one pass, more as the sum of two halves.
    private func differentiate(
        _ numbers: ArraySlice<UInt32>, _ range: Range<Int>, depth: Int, _ loss: inout BatchLoss
    ) {
        guard range.count > partsOfAPass, let (left, right) = BatchParts.halves(range) else {
            return differentiate(
                numbers, BatchParts(batchCount: numbers.count, partCount: shards.count, range: range), &loss)
        }
        let gradients = network.parameters.gradients.elements
        differentiate(numbers, left, depth: depth + 1, &loss)
        while partialSums.count <= depth { partialSums.append(Tensor([gradients.count])) }
        let sum = partialSums[depth].elements
        for index in gradients.indices { sum[index] = gradients[index] }
        differentiate(numbers, right, depth: depth + 1, &loss)
        for index in gradients.indices { gradients[index] += sum[index] }
    }

    private func differentiate(_ numbers: ArraySlice<UInt32>, _ parts: BatchParts, _ loss: inout BatchLoss) {
        training.fill(
            network.input, network.labels, with: numbers.dropFirst(parts.first).prefix(parts.count))
        let result = network.differentiate(parts)
        loss.add(BatchLoss(sum: result.sum, correctCount: result.correctCount, count: parts.count))
    }

    // MARK: Epochs

    /// The mean loss and the accuracy over the test set; nil when a stop was requested.
    private func evaluate() throws(TrainingError) -> (loss: Double, accuracy: Double)? {
        let start = context.seconds()
        var own = BatchLoss()
        var first = 0
        let batch = configuration.batchSize * world.place.size
        while first < test.count {
            let wish = context.shouldStop() ? WorldDecision.stop : .goOn
            if try world.agree(wish, step: state.step) == .stop { return nil }
            let count = min(batch, test.count - first)
            let slice = world.slice(count)
            if !slice.isEmpty {
                let numbers = UInt32(first + slice.lowerBound)..<UInt32(first + slice.upperBound)
                test.fill(network.input, network.labels, with: numbers)
                let loss = network.evaluate(images: slice.count)
                own.add(BatchLoss(sum: loss.sum, correctCount: loss.correctCount, count: slice.count))
            }
            first += count
        }
        let total = try world.sum(own, nil, step: state.step)
        guard total.sum.isFinite else {
            throw TrainingError(
                .diverged,
                "the test loss is not a finite number after epoch \(state.epoch + 1): "
                    + "try a smaller learning rate than \(configuration.learningRate)")
        }
        progress.evaluated(seconds: context.seconds() - start)
        return (total.sum / Double(test.count), 100 * Double(total.correctCount) / Double(test.count))
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
        if world.isFirst {
            context.notice(
                .epochFinished(
                    metrics, totalEpochs: configuration.epochs, sumMilliseconds: world.sumMillisecondsPerStep()))
        }
        report()
    }

    private func stop() async throws(TrainingError) -> TrainingOutcome {
        let uri = try await checkpoint()
        report()
        return .stopped(step: state.step, epoch: state.epoch, checkpointURI: uri)
    }
}
