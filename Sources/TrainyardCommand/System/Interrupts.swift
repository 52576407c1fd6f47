import CSystem
import Glibc

/// Counts SIGINT, SIGTERM and SIGHUP instead of dying from them. One per process.
struct Interrupts: Sendable {
    /// Takes the signals over; ignores SIGPIPE, so that a closed terminal or pipe does not end a run.
    init() {
        signal(SIGPIPE, SIG_IGN)
        // It fails only without a free descriptor; then the signals' default holds.
        _ = trainyard_count_interrupts()
    }

    /// How often the user has asked to stop so far.
    func poll() -> Int { Int(trainyard_interrupt_count()) }
}
