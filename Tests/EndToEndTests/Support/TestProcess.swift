import CSystem
import Glibc
import Synchronization

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
        var strings = TestProcess.copies([path] + arguments)
        var variables = TestProcess.copies(TestProcess.environment)
        defer { for string in strings + variables { free(string) } }
        var processID: pid_t = 0
        let code = strings.withUnsafeMutableBufferPointer { arguments in
            variables.withUnsafeMutableBufferPointer { variables in
                path.withCString { path in
                    var request = trainyard_spawn_request(
                        path: path, argv: arguments.baseAddress, envp: variables.baseAddress, directory: nil,
                        standard_input: -1, standard_output: output, standard_error: output)
                    return trainyard_spawn(&request, &processID)
                }
            }
        }
        guard code == 0 else { throw MissingPart("cannot start \(path): error \(code)") }
        self.processID = processID
    }

    deinit { kill() }

    /// A list of C strings that ends with NULL; the caller frees them.
    private static func copies(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
        strings.map { strdup($0) } + [nil]
    }

    /// `kill -9`, and waits until it is gone.
    func kill() {
        isReaped.withLock { isReaped in
            guard !isReaped else { return }
            isReaped = true
            _ = Glibc.kill(-processID, SIGKILL)
            _ = waitpid(processID, nil, 0)
        }
    }

    /// Sends a signal to it and its children.
    func send(_ signal: Int32) { _ = Glibc.kill(-processID, signal) }

    /// Its exit status when it has ended by itself; 128 and the signal's number when one ended it.
    func exitStatus() -> Int32? {
        isReaped.withLock { isReaped in
            guard !isReaped else { return nil }
            var code: Int32 = 0
            var number: Int32 = 0
            guard trainyard_peek_exit(processID, &code, &number) == 1 else { return nil }
            return number == 0 ? code : 128 + number
        }
    }
}
