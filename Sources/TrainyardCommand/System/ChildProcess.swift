import Glibc
import Synchronization
import System

/// A process of ours that dies with us: own process group, log in a file.
final class ChildProcess: Sendable {
    let identifier: Int32
    private let exit = Mutex<Subprocess.Exit?>(nil)

    /// Starts `path`; what it writes is appended to the file `log`, its standard output to the file `output` where one
    /// is named. Both are made with mode 0600.
    ///
    /// - Throws: `RunError` when a file cannot be opened or the process not be started.
    init(
        path: String, arguments: [String], environment: [String], log: String, output: String? = nil
    ) throws(RunError) {
        let errors = try ChildProcess.appending(to: log)
        defer { close(errors) }
        let output = try output.map { path throws(RunError) in try ChildProcess.appending(to: path) } ?? dup(errors)
        defer { close(output) }
        do throws(Subprocess.StartError) {
            identifier = try Subprocess.start(
                path, arguments, environment: environment, output: output, error: errors)
        } catch {
            throw RunError(.software, "cannot start \(path): \(error)")
        }
    }

    private static func appending(to path: String) throws(RunError) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw RunError(.localStorage, "cannot write \(path): \(SystemError.text(errno))") }
        return descriptor
    }

    /// How it ended; nil while it runs. Reaps it.
    func poll() -> Subprocess.Exit? {
        exit.withLock { exit in
            if exit == nil, let ended = Subprocess.exit(of: identifier) {
                Subprocess.reap(identifier)
                exit = ended
            }
            return exit
        }
    }

    /// Asks it to stop, then kills its group when it takes longer than `grace`. Returns when it is gone.
    func stop(grace: Duration) async {
        let clock = ContinuousClock()
        guard poll() == nil else { return }
        kill(identifier, SIGTERM)
        let deadline = clock.now + grace
        while poll() == nil, clock.now < deadline { await Pause.milliseconds(20) }
        guard poll() == nil else { return }
        kill(-identifier, SIGKILL)
        let last = clock.now + .seconds(5)
        while poll() == nil, clock.now < last { await Pause.milliseconds(10) }
    }
}

/// What `errno` means.
enum SystemError {
    static func text(_ code: Int32) -> String { Subprocess.text(ofError: code) }
}

/// Waiting that ends early when the task is cancelled.
enum Pause {
    static func milliseconds(_ count: Int) async {
        // A cancelled sleep returns at once; every loop that pauses looks at its own end.
        try? await Task.sleep(for: .milliseconds(count))
    }
}
