import CSystem
import Glibc
import Synchronization

/// SIGTERM and SIGINT. The first one asks for a clean stop, the second ends the process.
final class StopSignals: Sendable {
    private struct State {
        var isStopRequested = false
        var onStop: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    /// Takes over both signals. A write to a closed connection is an error, not a signal.
    init() {
        signal(SIGPIPE, SIG_IGN)
        // Without a free descriptor, or a thread, the signals' default holds: the process ends, and the lease runs out.
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

    var isStopRequested: Bool { state.withLock(\.isStopRequested) }

    /// Calls `body` at the first signal, or now when that has come.
    func onStop(_ body: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            if !state.isStopRequested { state.onStop.append(body) }
            return state.isStopRequested
        }
        if isLate { body() }
    }

    fileprivate func wait() -> Never {
        while true {
            let number = trainyard_wait_for_interrupt()
            let bodies: [@Sendable () -> Void] = state.withLock { state in
                if state.isStopRequested { _exit(128 + number) }
                state.isStopRequested = true
                return state.onStop
            }
            for body in bodies { body() }
        }
    }
}

private func waitForSignals(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<StopSignals>.fromOpaque(argument).takeRetainedValue().wait()
}
