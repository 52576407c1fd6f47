import GoogleCloud
import Synchronization

/// The live line of a transfer, redrawn at most ten times a second.
final class TransferBar: Sendable {
    private struct State {
        var start: ContinuousClock.Instant?
        var drawn: ContinuousClock.Instant?
        /// There before the transfer began: not its speed.
        var headStart: Int64 = 0
    }

    private let console: Console
    private let state = Mutex(State())

    init(console: Console) { self.console = console }

    func show(_ progress: FolderTransfer.Progress) {
        guard console.isLive else { return }
        let now = ContinuousClock.now
        let start: ContinuousClock.Instant? = state.withLock { state in
            let start = state.start ?? now
            if state.start == nil { state.headStart = progress.bytes }
            state.start = start
            guard state.drawn.map({ now - $0 > .milliseconds(100) }) ?? true else { return nil }
            state.drawn = now
            return start
        }
        guard let start else { return }
        let moved = progress.bytes - state.withLock { $0.headStart }
        console.live(Self.line(progress, moved: moved, seconds: (now - start) / .seconds(1), width: console.columns))
    }

    /// `[=====>      ]  45 %  412/1,000 files  0.9/2.0 GiB  310 MB/s`, as much of it as fits.
    static func line(_ progress: FolderTransfer.Progress, moved: Int64, seconds: Double, width: Int) -> String {
        let percent = progress.totalBytes > 0 ? Int(progress.bytes * 100 / progress.totalBytes) : 100
        var parts = [
            ProgressBar.bar(percent),
            "\(Format.count(progress.fileCount))/\(Format.plural(progress.totalFileCount, "file"))",
            "\(Format.bytes(progress.bytes)) of \(Format.bytes(progress.totalBytes))",
        ]
        if seconds > 0.5 { parts.append("\(Format.decimal(Double(moved) / seconds / 1e6, 0)) MB/s") }
        var text = parts[0]
        for part in parts.dropFirst() where text.count + part.count + 2 < width { text += "  \(part)" }
        return text
    }
}
