import Glibc
import Synchronization
import System

/// A program that a test started; it dies with the test.
final class TestProcess: Sendable {
    let path: String
    let processID: pid_t
    private let isReaped = Mutex(false)
    /// Without Swift's own backtraces: they take ten seconds and more in which a process that crashed is not back.
    private static let environment = ["PATH=/usr/bin:/bin", "HOME=/tmp", "SWIFT_BACKTRACE=enable=no"]

    init(_ path: String, _ arguments: [String], log: String) throws {
        self.path = path
        let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw MissingPart("cannot write \(log)") }
        defer { close(output) }
        do throws(Subprocess.StartError) {
            processID = try Subprocess.start(
                path, arguments, environment: TestProcess.environment, output: output, error: output)
        } catch {
            throw MissingPart("cannot start \(path): \(error)")
        }
    }

    deinit { kill() }

    /// `kill -9`, and waits until it is gone.
    func kill() {
        isReaped.withLock { isReaped in
            guard !isReaped else { return }
            isReaped = true
            Subprocess.reap(processID)
        }
    }

    /// Sends a signal to it and its children.
    func send(_ signal: Int32) { _ = Glibc.kill(-processID, signal) }

    /// Its exit status when it has ended by itself; 128 and the signal's number when one ended it.
    func exitStatus() -> Int32? {
        isReaped.withLock { isReaped in
            guard !isReaped, let exit = Subprocess.exit(of: processID) else { return nil }
            return switch exit {
            case .status(let code): code
            case .signal(let number): 128 + number
            }
        }
    }
}
