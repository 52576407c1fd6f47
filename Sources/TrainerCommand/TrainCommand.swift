import Encoding
import Glibc
import Telemetry
import Training
import TrainingContract

/// `trainyard-trainer train`: reads the data, trains, writes model, metrics, checkpoints and progress.
struct TrainCommand: Sendable {
    let plan: RunPlan
    let storage: TrainingStorage
    let clock: any WallClock
    let log: Log
    /// Asked before each step.
    let shouldStop: @Sendable () -> Bool

    /// - Throws: what ended the run; a stop on request is a result.
    func run() async throws(TrainingError) -> TrainerExitCode {
        for remark in plan.remarks { log.warning("hyperparameter ignored", [.errorMessage: .string(remark)]) }
        if plan.fault != nil { log.warning("a fault for tests is set") }
        let files = DatasetFiles(prefix: plan.inputURI, storage: storage)
        let training = try await files.training(limit: plan.configuration.trainImages)
        if shouldStop() { return stoppedBeforeTraining() }
        let test = try await files.test(limit: plan.configuration.testImages)
        if shouldStop() { return stoppedBeforeTraining() }
        log.info("data read", [.count: .integer(training.count), .path: .string(plan.inputURI)])
        let (reports, continuation) = AsyncStream.makeStream(
            of: ProgressReport.self, bufferingPolicy: .bufferingNewest(1))
        let (model, modelName) = try await plan.model(storage)
        let session = try TrainingSession(
            plan.configuration, context(reportingTo: continuation), model: model, modelName: modelName,
            training: training, test: test)
        async let uploads: Void = upload(reports)
        let result = await Self.result(of: session)
        continuation.finish()
        await uploads
        return exitCode(try result.get())
    }

    private static func result(of session: TrainingSession) async -> Result<TrainingOutcome, TrainingError> {
        do throws(TrainingError) {
            return .success(try await session.run())
        } catch {
            return .failure(error)
        }
    }

    /// Writes the newest report; older ones that waited meanwhile are dropped. A failure is no reason to stop training.
    private func upload(_ reports: AsyncStream<ProgressReport>) async {
        guard let uri = plan.progressURI, plan.world.rank == 0 else { return }
        for await report in reports {
            do {
                let bytes = Array(try JSONValue(encoding: report).prettyPrinted().utf8)
                try await storage.write(uri, bytes, "application/json")
            } catch {
                log.warning("progress not written", [.errorMessage: .string("\(error)")])
            }
        }
    }

    private func context(reportingTo reports: AsyncStream<ProgressReport>.Continuation) -> TrainingContext {
        let clock = clock, people = TrainerLog(log: log)
        var context = TrainingContext(
            runID: plan.runID, attempt: plan.attempt, outputURI: plan.outputURI, checkpointURI: plan.checkpointURI,
            resumeURI: plan.resumeURI, keepLastCheckpoints: plan.keepLastCheckpoints,
            checkpointIntervalSeconds: plan.checkpointIntervalSeconds,
            storage: plan.fault?.wrapping(storage) ?? storage,
            shouldStop: shouldStop, now: { clock.now }, seconds: monotonicSeconds,
            report: { reports.yield($0) }, notice: { people.notice($0) })
        context.gracePeriodSeconds = plan.gracePeriodSeconds
        context.world = plan.world
        context.fault = plan.fault
        context.availableMemoryBytes = MachineCheck.availableMemory()
        context.memoryPeak = MachineCheck.memoryPeak
        return context
    }

    private func stoppedBeforeTraining() -> TrainerExitCode {
        log.info("stopped before training")
        return .stoppedAfterCheckpoint
    }

    private func exitCode(_ outcome: TrainingOutcome) -> TrainerExitCode {
        switch outcome {
        case .finished(let metrics):
            log.info(
                "training finished",
                [.epoch: .integer(metrics.epoch), .accuracy: .number(metrics.testAccuracy)])
            return .success
        case .stopped(let step, let epoch, let uri):
            TrainerLog(log: log).stopped(
                step: step, epoch: epoch, checkpointURI: uri, isFirst: plan.world.rank == 0)
            return .stoppedAfterCheckpoint
        }
    }
}

/// Seconds of the monotonic clock.
@Sendable private func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
