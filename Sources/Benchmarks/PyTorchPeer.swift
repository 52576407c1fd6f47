import Encoding
import Glibc

/// A Python process that trains the same network with PyTorch when it is told to.
final class PyTorchPeer {
    let version: String
    private let child: Child
    private let pipe: String
    private let log: String
    private var seen = 0

    /// Why there is none.
    struct Absence: Error, CustomStringConvertible {
        let description: String
    }

    private init(child: Child, pipe: String, log: String) {
        self.child = child
        self.pipe = pipe
        self.log = log
        version = ""
    }

    private init(_ other: PyTorchPeer, version: String) {
        child = other.child
        pipe = other.pipe
        log = other.log
        seen = other.seen
        self.version = version
    }

    static func start(
        _ python: String, data: String, batch: Int, threads: Int, folder: String
    ) async throws -> Result<PyTorchPeer, Absence> {
        let program: String
        do {
            program = try Peers.program(python)
        } catch {
            return .failure(Absence(description: error.description))
        }
        let pipe = folder + "/commands", log = folder + "/peer"
        guard mkfifo(pipe, 0o600) == 0 else { throw BenchmarkError("cannot make \(pipe)") }
        let child = try Child(
            program, [Peers.script("pytorch_training.py"), data, String(batch), String(threads), pipe], log: log)
        let peer = PyTorchPeer(child: child, pipe: pipe, log: log)
        guard let first = await peer.nextLine(seconds: 300), let version = first["torch"]?.stringValue else {
            let last = (Machine.read(log) ?? "").split(separator: "\n").last.map(String.init) ?? "it says nothing"
            return .failure(Absence(description: "\(python) cannot train with torch (\(last))"))
        }
        return .success(PyTorchPeer(peer, version: version))
    }

    /// Has a command carried out, and returns a number of its answer.
    func number(_ command: String, _ key: String) async throws -> Double {
        let descriptor = open(pipe, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw BenchmarkError("PyTorch is gone: \(complaint)") }
        defer { close(descriptor) }
        let bytes = Array((command + "\n").utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { throw BenchmarkError("PyTorch is gone") }
        guard let number = await nextLine(seconds: 7200)?[key]?.doubleValue else {
            throw BenchmarkError("PyTorch failed: \(complaint)")
        }
        return number
    }

    private var complaint: String { String((Machine.read(log) ?? "").suffix(600)) }

    /// The next JSON line; nil when it ends before, or says nothing for too long.
    private func nextLine(seconds: Double) async -> JSONValue? {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            let isRunning = child.isRunning
            let text = Machine.read(log) ?? ""
            let lines = text[..<(text.lastIndex(of: "\n") ?? text.startIndex)].split(separator: "\n").compactMap {
                try? JSONValue(parsing: String($0))
            }
            if lines.count > seen {
                seen += 1
                return lines[seen - 1]
            }
            if !isRunning { return nil }
            await Machine.sleep(milliseconds: 20)
        }
        return nil
    }
}

extension Result {
    /// What succeeded.
    var value: Success? {
        if case .success(let value) = self { return value }
        return nil
    }
}
