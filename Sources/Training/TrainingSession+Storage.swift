import Encoding
import Kernels
import TrainingContract

/// What a session reads and writes besides data: checkpoints and outputs. Rank 0 does all of it.
extension TrainingSession {
    /// What must be the same for a step's number to mean the same; not how many processes share the batch.
    var identity: CheckpointManifest.Identity {
        CheckpointManifest.Identity(
            seed: configuration.seed, batchSize: stepImages, trainImages: training.count,
            optimizer: configuration.optimization.algorithm == .adam
                ? nil : configuration.optimization.algorithm.rawValue,
            parameters: Dictionary(
                uniqueKeysWithValues: network.parameters.parameters.map { ($0.name, $0.shape.extents) }))
    }

    /// Waits for the other processes and gives them what rank 0 starts from.
    func gather(_ listener: Socket?) throws(TrainingError) {
        if world.isAlone { return }
        let hello = World.Hello(
            runID: context.runID, attempt: context.attempt, rank: world.place.rank, size: world.place.size,
            fingerprint: fingerprint)
        let notice = context.notice
        try world.gather(hello, listener) { notice(.refused(message: $0)) }
        let shared: TrainingState
        do {
            let own = Array(try JSONValue(encoding: state).serializedText().utf8)
            shared = try JSONValue(parsing: try world.share(own)).decode(TrainingState.self)
        } catch let error as TrainingError {
            throw error
        } catch {
            throw TrainingError(.software, "rank 0's state cannot be read: \(error)")
        }
        state = shared
        let parameters = network.parameters
        for block in [parameters.values, parameters.firstMoments, parameters.secondMoments] { try world.share(block) }
        context.notice(.gathered(size: world.place.size))
    }

    /// Everything that must be the same in all processes, so that a refusal can say what is not.
    var fingerprint: String {
        let layers = network.parameters.parameters.map { "\($0.name)\($0.shape)" }.joined(separator: " ")
        return [
            "epochs \(configuration.epochs)", "batchSize \(configuration.batchSize)",
            "gradientAccumulationSteps \(configuration.gradientAccumulationSteps)",
            configuration.optimization.description,
            "learningRate \(configuration.learningRate)", "seed \(configuration.seed)",
            "\(training.count) training images \(training.checksum)", "\(test.count) test images \(test.checksum)",
            "network \(CRC32C(of: Array(layers.utf8)).base64)",
        ].joined(separator: ", ")
    }

    // MARK: Checkpoints

    private func checkpoints(at prefix: String) -> CheckpointStore {
        CheckpointStore(prefix: prefix, storage: context.storage, keepLast: max(1, context.keepLastCheckpoints))
    }

    /// Goes on from the newest checkpoint. A run without one of its own writes one at once: a place that cannot be
    /// written to is found before anything is spent, and how long a checkpoint takes is known.
    func resume() async throws(TrainingError) {
        let notice = context.notice
        let skipped = { (message: String) in notice(.checkpointSkipped(message: message)) }
        if let prefix = context.checkpointURI,
            let found = try await checkpoints(at: prefix).newest(skipped: skipped)
        {
            return try restore(found.contents, from: found.uri)
        }
        if let prefix = context.resumeURI {
            guard let found = try await checkpoints(at: prefix).newest(skipped: skipped) else {
                throw TrainingError(.missingInput, "there is no usable checkpoint below \(prefix) to start from")
            }
            try restore(found.contents, from: found.uri)
        }
        try await writeCheckpoint()
    }

    private func restore(_ contents: CheckpointStore.Contents, from uri: String) throws(TrainingError) {
        guard contents.manifest.identity == identity else {
            throw TrainingError(
                .usage,
                "the checkpoint \(uri) was made with another seed, batch size, optimizer, training set or network; "
                    + "use the same, or another place for checkpoints")
        }
        try network.parameters.load(model: contents.model, optimizer: contents.optimizer, name: uri)
        state = contents.manifest.state
        progress.lastCheckpoint = progress.checkpoint(step: state.step, uri: uri)
        context.notice(.resumed(step: state.step, uri: uri))
    }

    /// All processes, at the same step.
    @discardableResult
    func checkpoint() async throws(TrainingError) -> String? {
        let uri = world.isFirst ? try await writeCheckpoint() : nil
        return try world.stored(uri, step: state.step)
    }

    @discardableResult
    func writeCheckpoint() async throws(TrainingError) -> String? {
        guard let prefix = context.checkpointURI else { return nil }
        if let last = progress.lastCheckpoint, last.step == state.step, progress.lastCheckpointState == state {
            return last.uri
        }
        let written = state
        let start = context.seconds()
        let uri = try await checkpoints(at: prefix).write(
            runID: context.runID, identity: identity, state: written, model: network.parameters.model(),
            optimizer: network.parameters.optimizer())
        progress.lastCheckpoint = progress.checkpoint(step: written.step, uri: uri)
        progress.lastCheckpointState = written
        progress.checkpointed()
        context.notice(.checkpointWritten(step: written.step, uri: uri))
        warnOfGrace(checkpointSeconds: context.seconds() - start)
        report()
        return uri
    }

    /// Says in time, and once, that a checkpoint may not fit between SIGTERM and SIGKILL.
    private func warnOfGrace(checkpointSeconds: Double) {
        // The step under way ends first; a bucket is not equally fast all the time.
        let needed = longestStepSeconds + 2 * checkpointSeconds
        guard let grace = context.gracePeriodSeconds, needed > grace, !hasWarnedOfGrace else { return }
        hasWarnedOfGrace = true
        context.notice(.graceTooShort(neededSeconds: Int(needed.rounded(.up)), graceSeconds: Int(grace)))
    }

    /// Another process is gone: rank 0 stores the last step that all made, so that nothing is lost.
    ///
    /// - Returns: an outcome when this process was asked to stop anyway: then the loss is a part of that.
    func salvage(_ error: TrainingError) async -> TrainingOutcome? {
        guard world.isFirst else { return nil }
        context.notice(.peerLost(message: error.message))
        if progress.lastCheckpoint.map({ $0.step < state.step }) ?? false {
            do throws(TrainingError) {
                try await writeCheckpoint()
            } catch {
                context.notice(.checkpointSkipped(message: error.message))
                return nil
            }
        }
        guard context.shouldStop() else { return nil }
        return .stopped(step: state.step, epoch: state.epoch, checkpointURI: progress.lastCheckpoint?.uri)
    }

    // MARK: Outputs

    /// The model, then the metrics: who sees the metrics may rely on the model.
    func writeOutputs() async throws(TrainingError) {
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
