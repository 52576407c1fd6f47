import CSystem
import Encoding
import Glibc
import Synchronization

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
            throw ContainerStartError(message: "cannot write \(command.logPath): \(LocalProcess.text(errno))")
        }
        defer { close(log) }
        var processID: pid_t = 0
        let code = LocalProcess.withCStrings(command.arguments) { arguments in
            LocalProcess.withCStrings(command.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }) {
                environment in
                command.directory.withCString { directory in
                    var request = trainyard_spawn_request(
                        path: arguments[0], argv: arguments, envp: environment, directory: directory,
                        standard_input: -1, standard_output: log, standard_error: log)
                    return trainyard_spawn(&request, &processID)
                }
            }
        }
        guard code == 0 else {
            throw ContainerStartError(
                message: "exec \(command.arguments.first ?? ""): \(LocalProcess.text(code))")
        }
        self.processID = processID
    }

    func poll(now: Timestamp) async -> ContainerOutcome? { peek() }

    func terminate(now: Timestamp) async { signal(SIGTERM, toGroup: false) }

    func kill(now: Timestamp) async { signal(SIGKILL, toGroup: true) }

    /// How it ended; ends what is left of its group and reaps it.
    func peek() -> ContainerOutcome? {
        state.withLock { state in
            if case .ended(let outcome) = state { return outcome }
            var code: Int32 = 0
            var number: Int32 = 0
            let answer = trainyard_peek_exit(processID, &code, &number)
            if answer == 0 { return nil }
            let outcome =
                answer < 0
                ? ContainerOutcome.killed  // Reaped by somebody else: all that can be said is that it is gone.
                : ContainerOutcome(exitCode: number == 0 ? code : 128 + number, signal: number == 0 ? nil : number)
            _ = Glibc.kill(-processID, SIGKILL)
            _ = waitpid(processID, nil, 0)
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

    private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else {
                preconditionFailure("the list holds at least the final nil")
            }
            return body(base)
        }
    }
}

/// Why a container could not be started.
struct ContainerStartError: Error, Sendable, Hashable {
    var message: String
}
