import CSystem
import Glibc

/// Starting programs, each in a process group of its own that dies with this process.
public enum Subprocess {
    /// How a process ended.
    public enum Exit: Equatable, Sendable, CustomStringConvertible {
        case status(Int32)
        case signal(Int32)

        public var description: String {
            switch self {
            case .status(let status): "exit status \(status)"
            case .signal(let number): "signal \(number)"
            }
        }
    }

    /// A program that could not be started.
    public struct StartError: Error, Sendable, Hashable, CustomStringConvertible {
        /// The `errno` of what failed.
        public let code: Int32

        /// What it means.
        public var description: String { Subprocess.text(ofError: code) }
    }

    /// Starts `path`, which is not looked up in PATH.
    ///
    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - environment: `NAME=value`, the whole of it.
    ///   - directory: where it works; nil: here.
    ///   - input: becomes its standard input, as `output` and `error` the others; -1 is /dev/null. It inherits no other
    ///     descriptor.
    /// - Returns: the process id, which the caller reaps.
    public static func start(
        _ path: String, _ arguments: [String], environment: [String], directory: String? = nil, input: Int32 = -1,
        output: Int32 = -1, error: Int32 = -1
    ) throws(StartError) -> Int32 {
        var pid: pid_t = 0
        let code = withCStrings([path] + arguments) { arguments in
            withCStrings(environment) { environment in
                // The folder comes last, so that one array holds both strings.
                withCStrings([path] + (directory.map { [$0] } ?? [])) { strings in
                    var request = trainyard_spawn_request(
                        path: strings[0], argv: arguments, envp: environment, directory: strings[1],
                        standard_input: input, standard_output: output, standard_error: error)
                    return trainyard_spawn(&request, &pid)
                }
            }
        }
        guard code == 0 else { throw StartError(code: code) }
        return pid
    }

    /// How it ended; nil while it runs. Does not reap it: until then neither its id nor its group's is anybody else's.
    ///
    /// A process that was reaped already counts as killed.
    public static func exit(of pid: Int32) -> Exit? {
        var code: Int32 = 0
        var number: Int32 = 0
        let answer = trainyard_peek_exit(pid, &code, &number)
        if answer == 0 { return nil }
        if answer < 0 { return .signal(SIGKILL) }
        return number == 0 ? .status(code) : .signal(number)
    }

    /// Kills what is left of an ended process's group and reaps the process.
    public static func reap(_ pid: Int32) {
        _ = kill(-pid, SIGKILL)
        while waitpid(pid, nil, 0) < 0, errno == EINTR {}
    }

    /// The system's words for an `errno`.
    public static func text(ofError code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        let message = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return message.isEmpty ? "error \(code)" : message
    }

    /// Calls `body` with a NULL-terminated array of C strings that lives as long as the call.
    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { buffer in
            // `pointers` holds at least the terminator, so there is a base address.
            buffer.baseAddress.map(body) ?? withUnsafePointer(to: nil) { body($0) }
        }
    }
}
