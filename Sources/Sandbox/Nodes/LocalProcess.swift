import Encoding
import Glibc
import Synchronization
import System

/// A process of this machine in a group of its own, which dies with the sandbox.
final class LocalProcess: RunningContainer {
    /// What to run.
    struct Command: Sendable {
        /// The first one is the program's path; it is not looked up.
        var arguments: [String]
        var environment: [String: String]
        var directory: String
        /// Receives standard output and error; appended to.
        var logPath: String
    }

    private enum State {
        case running
        case ended(ContainerOutcome)
    }

    let processID: pid_t
    private let state = Mutex<State>(.running)

    var identifier: String { "sandbox://process-\(processID)" }

    /// Starts the program.
    ///
    /// - Throws: a sentence when the log cannot be written or the program cannot be started.
    init(_ command: Command) throws(ContainerStartError) {
        let log = open(command.logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard log >= 0 else {
            throw ContainerStartError(message: "cannot write \(command.logPath): \(Subprocess.text(ofError: errno))")
        }
        defer { close(log) }
        do throws(Subprocess.StartError) {
            processID = try Subprocess.start(
                command.arguments.first ?? "", Array(command.arguments.dropFirst()),
                environment: command.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
                directory: command.directory, output: log, error: log)
        } catch {
            throw ContainerStartError(message: "exec \(command.arguments.first ?? ""): \(error)")
        }
    }

    func poll(now: Timestamp) async -> ContainerOutcome? { peek() }

    func terminate(now: Timestamp) async { terminate() }

    func kill(now: Timestamp) async { kill() }

    /// SIGTERM.
    func terminate() { signal(SIGTERM, toGroup: false) }

    /// SIGKILL to it and all that it started.
    func kill() { signal(SIGKILL, toGroup: true) }

    /// How it ended; ends what is left of its group and reaps it.
    func peek() -> ContainerOutcome? {
        state.withLock { state in
            if case .ended(let outcome) = state { return outcome }
            guard let exit = Subprocess.exit(of: processID) else { return nil }
            let outcome =
                switch exit {
                case .status(let code): ContainerOutcome(exitCode: code, signal: nil)
                case .signal(let number): ContainerOutcome(exitCode: 128 + number, signal: number)
                }
            Subprocess.reap(processID)
            state = .ended(outcome)
            return outcome
        }
    }

    /// Under the lock, so that the process id is never used after it was reaped.
    private func signal(_ number: Int32, toGroup: Bool) {
        state.withLock { state in
            guard case .running = state else { return }
            _ = Glibc.kill(toGroup ? -processID : processID, number)
        }
    }
}

/// Why a container could not be started.
struct ContainerStartError: Error, Sendable, Hashable {
    var message: String
}
