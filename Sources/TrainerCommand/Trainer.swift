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
            if options.command == .help {
                print(Options.help, terminator: "")
                return .success
            }
            let plan = try RunPlan(options, environment: environment)
            try MachineCheck.run(outputFolder: plan.outputURI.hasPrefix("gs://") ? nil : plan.outputURI)
            let command = TrainCommand(
                plan: plan, storage: try storage(for: plan, environment: environment, clock: clock), clock: clock,
                log: log, shouldStop: shouldStop)
            return try await command.run()
        } catch {
            log.error(
                "training failed", [.errorCode: .string("\(error.code)"), .errorMessage: .string(error.message)])
            return error.code
        }
    }

    /// Places with `gs://` go to Cloud Storage, all others to the local disk.
    private static func storage(
        for plan: RunPlan, environment: [String: String], clock: any WallClock
    ) throws(TrainingError) -> TrainingStorage {
        let needsCloud = plan.places.contains(where: CloudStorage.isURI)
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
}
