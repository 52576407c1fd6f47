import CSystem
import Glibc
import Synchronization

/// Where the story is written: lines, and on a terminal one live line below them that is redrawn.
final class Console: Sendable {
    private struct State {
        var liveLine = ""
    }

    private let descriptor: Int32
    private let state = Mutex(State())
    /// Whether a live line is drawn.
    let isLive: Bool

    /// Writes to standard output or standard error.
    init(descriptor: Int32) {
        self.descriptor = descriptor
        let isDumb = Environment.value("TERM").map { $0 == "dumb" || $0.isEmpty } ?? true
        self.isLive = isatty(descriptor) == 1 && !isDumb
    }

    /// Writes one line (or several, separated by newlines) above the live line.
    func line(_ text: String = "") {
        state.withLock { state in
            guard isLive, !state.liveLine.isEmpty else {
                FileDescriptor.write(text + "\n", to: descriptor)
                return
            }
            FileDescriptor.write("\r\u{1B}[2K\(text)\n\(state.liveLine)", to: descriptor)
        }
    }

    /// Replaces the live line; empty removes it. Nothing where there is no terminal.
    func live(_ text: String) {
        guard isLive else { return }
        state.withLock { state in
            guard text != state.liveLine else { return }
            state.liveLine = text
            FileDescriptor.write("\r\u{1B}[2K\(text)", to: descriptor)
        }
    }

    /// The terminal's width now; 80 where it does not say.
    var columns: Int {
        let columns = Int(trainyard_terminal_columns(descriptor))
        return columns > 0 ? columns : 80
    }
}

/// Writing whole texts to descriptors.
enum FileDescriptor {
    /// Writes everything; gives up silently when nobody reads any more (a closed pipe must not end the run).
    static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if count < 0, errno == EAGAIN {
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wait, 1, 1000)
            } else if count < 0, errno != EINTR {
                return
            }
        }
    }
}

/// The process's environment.
enum Environment {
    /// A variable's value; nil when unset.
    static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// All of it as `NAME=value`.
    static var entries: [String] {
        var entries: [String] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(String(cString: entry))
            next += 1
        }
        return entries
    }
}
