import ControllerRuntime
import HTTP
import Kubernetes
import Synchronization
import System
import Telemetry

/// What stands between the start of the process and its controllers. Each step is tried again until it works, without
/// ending the process; the readiness page says what is missing meanwhile.
final class Startup: Sendable {
    private let problem = Mutex<String?>("starting")
    private let stop: StopRequest
    private let log: Log
    private let shortestPause: Duration

    /// - Parameter shortestPause: between two tries; it doubles, up to 30 seconds.
    init(stop: StopRequest, log: Log, shortestPause: Duration = .seconds(1)) {
        self.stop = stop
        self.log = log
        self.shortestPause = shortestPause
    }

    /// What is missing, as a sentence; nil once everything is there.
    var missing: String? { problem.withLock { $0 } }

    func finished() { problem.withLock { $0 = nil } }

    /// Tries until it works.
    ///
    /// - Parameter patience: after this long the last error is thrown; nil: never.
    /// - Throws: what cannot get better by waiting: a configuration that is wrong. `.cancelled` when asked to stop.
    func keepTrying<Value: Sendable>(
        patience: Duration? = nil, _ attempt: () async throws -> Value
    ) async throws -> Value {
        let began = ContinuousClock.now
        var backoff = Backoff(initial: shortestPause, maximum: .seconds(30))
        while !stop.isRequested {
            do {
                return try await attempt()
            } catch {
                guard Startup.mayPass(error) else { throw error }
                if let patience, ContinuousClock.now - began >= patience { throw error }
                let sentence = "\(error)"
                problem.withLock { $0 = sentence }
                log.warning("cannot start yet", [.errorMessage: .string(sentence)])
                await sleepUnlessStopped(max(shortestPause / 2, backoff.next(random: .random(in: 0..<1))))
            }
        }
        throw APIError(.cancelled, operation: "start", message: "asked to stop")
    }

    /// A file may appear, a server come up, a permission be granted; a file with wrong content is its author's to mend.
    private static func mayPass(_ error: any Error) -> Bool {
        switch error {
        case let error as ConfigurationError: error.code == .unreadable
        case let error as APIError: error.code != .cancelled
        default: false
        }
    }

    /// In short pieces, so that a signal is heeded within a tenth of a second.
    private func sleepUnlessStopped(_ duration: Duration) async {
        let end = ContinuousClock.now + duration
        while ContinuousClock.now < end, !stop.isRequested {
            try? await Task.sleep(for: .milliseconds(100))  // Never cancelled: nothing else ends this task.
        }
    }
}
