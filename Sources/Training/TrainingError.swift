public import TrainingContract

/// Why training cannot go on. The code is the exit code of the process; the message tells a person what to do.
public struct TrainingError: Error, Sendable, Hashable, CustomStringConvertible {
    public var code: TrainerExitCode
    /// A sentence that names the file or setting and what is wrong with it.
    public var message: String

    public init(_ code: TrainerExitCode, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
