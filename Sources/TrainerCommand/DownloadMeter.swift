import Synchronization
import Telemetry

/// How far a download is, and a line about it every two seconds.
final class DownloadMeter: Sendable {
    private struct State {
        var bytes = 0
        var files = 0
        /// Of those, what was there before.
        var bytesBefore = 0
        var start: Duration?
        var lastLine: Duration?
    }

    private let state = Mutex(State())
    private let totalBytes: Int
    private let totalFiles: Int
    private let clock: any WallClock
    private static let interval = Duration.seconds(2)

    init(files: [DownloadFile], clock: any WallClock) {
        totalBytes = files.reduce(0) { $0 + $1.size }
        totalFiles = files.count
        self.clock = clock
    }

    /// What is there already has been counted.
    func begin() {
        let now = clock.uptime
        state.withLock { state in
            state.bytesBefore = state.bytes
            state.start = now
            state.lastLine = now
        }
    }

    func add(bytes: Int, files: Int) {
        let now = clock.uptime
        let isDue = state.withLock { state in
            state.bytes += bytes
            state.files += files
            guard let last = state.lastLine, now - last >= Self.interval else { return false }
            state.lastLine = now
            return true
        }
        if isDue { Trainer.put(line + "\n") }
    }

    /// "3 of 10 files, 1.2 GB of 4.0 GB, 210 MB/s".
    var line: String {
        let now = clock.uptime
        let state = state.withLock { $0 }
        let elapsed = state.start.map { (now - $0) / .seconds(1) } ?? 0
        let rate = elapsed > 0 ? Double(state.bytes - state.bytesBefore) / elapsed : 0
        return "\(state.files) of \(totalFiles) files, \(Self.size(state.bytes)) of \(Self.size(totalBytes)), "
            + "\(Self.size(Int(rate)))/s"
    }

    /// In thousands.
    static func size(_ bytes: Int) -> String {
        var value = Double(bytes)
        for unit in ["bytes", "kB", "MB", "GB"] {
            if value < 1000 { return "\(TrainerLog.decimal(value, unit == "bytes" || value >= 100 ? 0 : 1)) \(unit)" }
            value /= 1000
        }
        return "\(TrainerLog.decimal(value, 1)) TB"
    }
}
