import Glibc
import Synchronization

/// Counts SIGINT, SIGTERM and SIGHUP instead of dying from them.
///
/// The signals stay pending until `poll` takes them, so that no code runs in a handler. Must be made before the first
/// thread is: threads inherit what is blocked.
final class Interrupts: Sendable {
    private let count = Mutex(0)

    /// Blocks the signals; ignores SIGPIPE, so that a closed terminal or pipe does not end a run.
    init() {
        signal(SIGPIPE, SIG_IGN)
        var signals = Interrupts.signals
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// How often the user has asked to stop so far.
    func poll() -> Int {
        var signals = Interrupts.signals
        var immediately = timespec(tv_sec: 0, tv_nsec: 0)
        while sigtimedwait(&signals, nil, &immediately) > 0 { count.withLock { $0 += 1 } }
        return count.withLock { $0 }
    }

    private static var signals: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
        return signals
    }
}
