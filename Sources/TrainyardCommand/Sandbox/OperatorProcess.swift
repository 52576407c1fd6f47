import Synchronization
import System

/// The operator as a process, started again when it dies.
final class OperatorProcess: Sendable {
    /// More deaths than this are no accident.
    static let maximumRestarts = 3

    private struct State {
        var process: ChildProcess?
        var restarts = 0
        var hasGivenUp = false
        var isStopping = false
    }

    private let path: String
    private let arguments: [String]
    private let log: String
    private let tell: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// - Parameter tell: gets a sentence for the user when it dies.
    init(path: String, arguments: [String], log: String, tell: @escaping @Sendable (String) -> Void) {
        self.path = path
        self.arguments = arguments
        self.log = log
        self.tell = tell
    }

    /// Whether it has died too often: nothing reconciles any more.
    var hasGivenUp: Bool { state.withLock { $0.hasGivenUp } }

    var identifier: Int32? { state.withLock { $0.process?.identifier } }

    /// - Throws: `.software` when it cannot be started.
    func start() throws(RunError) {
        let process = try ChildProcess(path: path, arguments: arguments, environment: Environment.entries, log: log)
        state.withLock { $0.process = process }
    }

    /// Watches over it until the task is cancelled.
    func supervise() async {
        while !Task.isCancelled {
            if let exit = endedUnasked() { restart(after: exit) }
            await Pause.milliseconds(100)
        }
    }

    /// Stops it for good; within about seven seconds.
    func stop() async {
        let process = state.withLock { state in
            state.isStopping = true
            return state.process
        }
        await process?.stop(grace: .seconds(5))
    }

    private func endedUnasked() -> Subprocess.Exit? {
        state.withLock { state in
            guard !state.isStopping, !state.hasGivenUp else { return nil }
            return state.process?.poll()
        }
    }

    private func restart(after exit: Subprocess.Exit) {
        let restarts = state.withLock { state in
            state.restarts += 1
            return state.restarts
        }
        guard restarts <= Self.maximumRestarts else {
            state.withLock { $0.hasGivenUp = true }
            tell("ended again (\(exit)); it is not started any more")
            return
        }
        tell("ended (\(exit)); started again (\(restarts) of \(Self.maximumRestarts))")
        do {
            try start()
        } catch {
            tell(error.message)
            state.withLock { $0.hasGivenUp = true }
        }
    }
}
