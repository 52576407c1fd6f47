import Glibc
import System

/// Runs a program to its end and keeps what it prints, on a thread of its own.
enum ExecProcess {
    enum End: Sendable, Equatable {
        case ended(Subprocess.Exit)
        /// It could not be started: `errno`.
        case notStarted(Int32)
        case timedOut, tooMuchOutput
    }

    struct Outcome: Sendable, Equatable {
        var end: End
        var output: [UInt8] = []
        /// The last line of its standard error that is not empty, without control characters, cut.
        var lastErrorLine = ""
    }

    /// Standard input is empty. A program that takes too long or prints too much is killed with all that it started.
    static func run(
        _ path: String, _ arguments: [String], environment: [String], timeout: Duration, outputBytes: Int
    ) async -> Outcome {
        await withCheckedContinuation { continuation in
            let isStarted = Thread.start {
                continuation.resume(
                    returning: runBlocking(
                        path, arguments, environment: environment, timeout: timeout, outputBytes: outputBytes))
            }
            if !isStarted { continuation.resume(returning: Outcome(end: .notStarted(EAGAIN))) }
        }
    }

    private static func runBlocking(
        _ path: String, _ arguments: [String], environment: [String], timeout: Duration, outputBytes: Int
    ) -> Outcome {
        guard let output = ReadingPipe(limit: outputBytes + 1, keepsEnd: false) else {
            return Outcome(end: .notStarted(errno))
        }
        guard let errors = ReadingPipe(limit: 4096, keepsEnd: true) else { return Outcome(end: .notStarted(errno)) }
        let pid: Int32
        do throws(Subprocess.StartError) {
            pid = try Subprocess.start(
                path, arguments, environment: environment, output: output.writer, error: errors.writer)
        } catch {
            return Outcome(end: .notStarted(error.code))
        }
        output.closeWriter()
        errors.closeWriter()
        let end = wait(for: pid, output, errors, deadline: .now + timeout, outputBytes: outputBytes)
        if case .ended = end {} else { _ = kill(-pid, SIGKILL) }
        Subprocess.reap(pid)
        let isWhole = end == .ended(.status(0))
        return Outcome(end: end, output: isWhole ? output.bytes : [], lastErrorLine: lastLine(errors.bytes))
    }

    private static func wait(
        for pid: Int32, _ output: ReadingPipe, _ errors: ReadingPipe, deadline: ContinuousClock.Instant,
        outputBytes: Int
    ) -> End {
        while true {
            // Looked at before the pipes are read: what an ended program wrote is in them.
            let exit = Subprocess.exit(of: pid)
            output.readAvailable()
            errors.readAvailable()
            if output.bytes.count > outputBytes { return .tooMuchOutput }
            if let exit { return .ended(exit) }
            if ContinuousClock.now >= deadline { return .timedOut }
            var waiting = [output, errors].filter { !$0.isEnded }.map {
                pollfd(fd: $0.reader, events: Int16(POLLIN), revents: 0)
            }
            // Short: a program may end without closing what its children hold.
            poll(&waiting, nfds_t(waiting.count), 10)
        }
    }

    private static func lastLine(_ bytes: [UInt8]) -> String {
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        let last = lines.last { $0.contains { !$0.isWhitespace } } ?? ""
        let visible = String.UnicodeScalarView(last.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F })
        return String(String(visible).prefix(300))
    }
}

/// A pipe whose reading end is ours. Used by one thread.
private final class ReadingPipe {
    let reader: Int32
    private(set) var writer: Int32
    private(set) var bytes: [UInt8] = []
    private(set) var isEnded = false
    private let limit: Int
    private let keepsEnd: Bool

    /// nil, with errno set, when the system gives none.
    ///
    /// - Parameter keepsEnd: keeps the last `limit` bytes instead of the first.
    init?(limit: Int, keepsEnd: Bool) {
        var pair: [Int32] = [-1, -1]
        guard pipe(&pair) == 0 else { return nil }
        // `Subprocess` closes everything else in what it starts; this is for others.
        for descriptor in pair { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        (reader, writer) = (pair[0], pair[1])
        self.limit = limit
        self.keepsEnd = keepsEnd
        // The other end stays blocking: it is the program's.
        _ = fcntl(reader, F_SETFL, O_NONBLOCK)
    }

    deinit {
        closeWriter()
        close(reader)
    }

    func closeWriter() {
        if writer >= 0 { close(writer) }
        writer = -1
    }

    /// Reads what is there, in pieces, so that an endless stream does not hold the loop.
    func readAvailable() {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        for _ in 0..<32 where !isEnded {
            let count = read(reader, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return }
            if count == 0 {
                isEnded = true
                return
            }
            bytes.append(contentsOf: buffer[..<count])
            guard bytes.count > limit else { continue }
            if keepsEnd { bytes.removeFirst(bytes.count - limit) } else { return }
        }
    }
}
