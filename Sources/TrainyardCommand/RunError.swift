import TrainingContract

/// Why the command cannot go on: a sentence, and the status the process ends with.
struct RunError: Error, Equatable, Sendable {
    /// Statuses as in `TrainingContract`, and those of the shell.
    enum Code: Sendable, Equatable {
        /// The run failed, or something on the way to it.
        case failed
        case usage, badData, missingInput, unavailable, software, unsupportedMachine, localStorage
        case interrupted
    }

    var code: Code
    /// One sentence or more for a person, without a final period where it ends in a command to type.
    var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// What the process exits with.
    var exitStatus: Int32 {
        switch code {
        case .failed: 1
        case .usage: TrainerExitCode.usage.rawValue
        case .badData: TrainerExitCode.badData.rawValue
        case .missingInput: TrainerExitCode.missingInput.rawValue
        case .unavailable: TrainerExitCode.storageUnavailable.rawValue
        case .software: TrainerExitCode.software.rawValue
        case .unsupportedMachine: TrainerExitCode.unsupportedMachine.rawValue
        case .localStorage: TrainerExitCode.localStorage.rawValue
        case .interrupted: 130
        }
    }
}
