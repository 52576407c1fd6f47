import Glibc
import Synchronization

/// SIGTERM and SIGINT. The first one asks for a clean stop, the second ends the process.
final class StopSignals: Sendable {
    private struct State {
        var isStopRequested = false
        var onStop: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    /// Takes over both signals. Must be made before any other thread exists: threads inherit the blocked mask, so that
    /// only ours takes them. A write to a closed connection is an error, not a signal.
    init() {
        signal(SIGPIPE, SIG_IGN)
        var mask = StopSignals.mask
        pthread_sigmask(SIG_BLOCK, &mask, nil)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(self)
        guard pthread_create(&thread, nil, waitForSignals, argument.toOpaque()) == 0 else {
            // Without the thread the signals' default holds: the process ends, and the lease runs out.
            argument.release()
            pthread_sigmask(SIG_UNBLOCK, &mask, nil)
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

    private static var mask: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        return set
    }

    fileprivate func wait() -> Never {
        var mask = StopSignals.mask
        while true {
            var number: Int32 = 0
            guard sigwait(&mask, &number) == 0 else { continue }
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
