import Glibc
import Synchronization
import TrainingContract

/// SIGTERM and SIGINT as a question that the training loop asks before each step. A second signal ends the process.
final class StopSignals: Sendable {
    private let received = Atomic<Bool>(false)

    var isStopRequested: Bool { received.load(ordering: .relaxed) }

    /// Takes over both signals. Must be called before any other thread exists: threads inherit the mask.
    init() {
        signal(SIGPIPE, SIG_IGN)
        var signals = StopSignals.signals
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(self)
        guard pthread_create(&thread, nil, waitForSignals, argument.toOpaque()) == 0 else {
            // Without the thread the signals' default holds: the process ends without a checkpoint.
            argument.release()
            pthread_sigmask(SIG_UNBLOCK, &signals, nil)
            return
        }
        pthread_detach(thread)
    }

    fileprivate static var signals: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        return set
    }

    fileprivate func wait() -> Never {
        var signals = StopSignals.signals
        while true {
            var number: Int32 = 0
            guard sigwait(&signals, &number) == 0 else { continue }
            if received.exchange(true, ordering: .relaxed) { _exit(128 + number) }
        }
    }
}

private func waitForSignals(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<StopSignals>.fromOpaque(argument).takeRetainedValue().wait()
}
