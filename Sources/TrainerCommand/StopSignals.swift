import CSystem
import Glibc
import Synchronization
import TrainingContract

/// SIGTERM and SIGINT as a question that the training loop asks before each step. A second signal ends the process.
final class StopSignals: Sendable {
    private let received = Atomic<Bool>(false)

    var isStopRequested: Bool { received.load(ordering: .relaxed) }

    /// Takes over both signals.
    init() {
        signal(SIGPIPE, SIG_IGN)
        // Without a free descriptor, or a thread, the signals' default holds: the process ends without a checkpoint.
        guard trainyard_count_interrupts() == 0 else { return }
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(self)
        guard pthread_create(&thread, nil, waitForSignals, argument.toOpaque()) == 0 else {
            argument.release()
            for number in [SIGTERM, SIGINT, SIGHUP] { signal(number, SIG_DFL) }
            return
        }
        pthread_detach(thread)
    }

    fileprivate func wait() -> Never {
        while true {
            let number = trainyard_wait_for_interrupt()
            if received.exchange(true, ordering: .relaxed) { _exit(128 + number) }
        }
    }
}

private func waitForSignals(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<StopSignals>.fromOpaque(argument).takeRetainedValue().wait()
}
