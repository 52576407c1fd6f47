import Encoding
import Glibc
import Telemetry
import Training
import TrainingContract

/// Flags and environment → wiring → run → exit code.
enum Trainer {
    /// - Parameter shouldStop: asked before each step.
    static func main(
        arguments: [String], environment: [String: String], shouldStop: @escaping @Sendable () -> Bool
    ) async -> TrainerExitCode {
        let clock = SystemClock()
        let log = Log(clock: clock)
        do throws(TrainingError) {
            let options = try Options(arguments)
            switch options.command {
            case .help: put(Options.help)
            case .kernels: put(KernelList.text)
            case .train:
                if let ranks = try LocalRanks(options, environment: environment) {
                    // What is wrong for all is said once.
                    _ = try RunPlan(options, environment: ranks.environments[0])
                    return try await ranks.run(arguments, clock: clock, log: log, shouldStop: shouldStop)
                }
                return try await train(
                    try RunPlan(options, environment: environment), environment, clock: clock, log: log,
                    shouldStop: shouldStop)
            case .download:
                return try await DownloadCommand(options, environment: environment, clock: clock, log: log)
                    .run(shouldStop: shouldStop)
            case .serve:
                let serving = try ServeOptions(options.serving, environment: environment)
                let places = [serving.model.uri, serving.model.manifestURI].compactMap { $0 }
                let storage = try storage(for: places, environment: environment, clock: clock)
                let command = ServeCommand(
                    options: serving, storage: storage, environment: environment, clock: clock, log: log)
                return try await command.run(shouldStop: shouldStop)
            case .bench: return BenchCommand.run(isJSON: options.isJSON)
            case .selftest:
                return await SelfTest.run(isJSON: options.isJSON, environment: environment, clock: clock)
            }
            return .success
        } catch {
            if error.code == .stoppedAfterCheckpoint {
                log.info("stopped", [.errorMessage: .string(error.message)])
            } else {
                var metadata: LogMetadata = [
                    .errorCode: .string("\(error.code)"), .errorMessage: .string(error.message),
                ]
                metadata[.rank] = environment[TrainingEnvironment.rank].map { .string($0) }
                log.error("failed", metadata)
            }
            return error.code
        }
    }

    private static func train(
        _ plan: RunPlan, _ environment: [String: String], clock: any WallClock, log: Log,
        shouldStop: @escaping @Sendable () -> Bool
    ) async throws(TrainingError) -> TrainerExitCode {
        try MachineCheck.run(outputFolder: plan.outputURI.hasPrefix("gs://") ? nil : plan.outputURI)
        let command = TrainCommand(
            plan: plan, storage: try storage(for: plan.places, environment: environment, clock: clock), clock: clock,
            log: log, shouldStop: shouldStop)
        if plan.world.size == 1 { return try await command.run() }
        let result = await Log.withMetadata([.rank: .integer(plan.world.rank)]) { await Self.result(of: command) }
        return try result.get()
    }

    private static func result(of command: TrainCommand) async -> Result<TrainerExitCode, TrainingError> {
        do throws(TrainingError) {
            return .success(try await command.run())
        } catch {
            return .failure(error)
        }
    }

    /// Places with `gs://` go to Cloud Storage, all others to the local disk.
    static func storage(
        for places: [String], environment: [String: String], clock: any WallClock
    ) throws(TrainingError) -> TrainingStorage {
        let needsCloud = places.contains(where: CloudStorage.isURI)
        let cloud = needsCloud ? try CloudStorage(environment: environment, clock: clock) : nil
        return TrainingStorage(
            read: { uri async throws(TrainingError) in
                if let cloud, CloudStorage.isURI(uri) { return try await cloud.read(uri) }
                return try FolderStorage.read(uri)
            },
            write: { uri, bytes, contentType async throws(TrainingError) in
                if let cloud, CloudStorage.isURI(uri) { return try await cloud.write(uri, bytes, contentType) }
                try FolderStorage.write(uri, bytes)
            },
            list: { prefix async throws(TrainingError) in
                if let cloud, CloudStorage.isURI(prefix) { return try await cloud.list(prefix) }
                return try FolderStorage.list(prefix)
            },
            delete: { uri async throws(TrainingError) in
                if let cloud, CloudStorage.isURI(uri) { return try await cloud.delete(uri) }
                try FolderStorage.delete(uri)
            })
    }

    /// Writes to standard output.
    static func put(_ text: String) {
        let bytes = Array(text.utf8)
        // Output that nobody reads is no reason to fail.
        _ = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }
}
