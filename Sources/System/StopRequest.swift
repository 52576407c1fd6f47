import CSystem
import Glibc
import Synchronization

/// Whether this process is to stop, and what to do then.
public final class StopRequest: Sendable {
    private struct State {
        var isRequested = false
        var bodies: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    public init() {}

    /// Takes over SIGTERM, SIGINT and SIGHUP: the first one asks to stop, the second ends the process. Once per process.
    ///
    /// A write to a closed connection is an error from now on, not a signal.
    public static func bySignals() -> StopRequest {
        let request = StopRequest()
        signal(SIGPIPE, SIG_IGN)
        // Without a free descriptor, or a thread, the signals' default holds: the process ends.
        guard trainyard_count_interrupts() == 0 else { return request }
        let isWaiting = Thread.start {
            while true {
                let number = trainyard_wait_for_interrupt()
                if !request.request() { _exit(128 + number) }
            }
        }
        if !isWaiting { for number in [SIGTERM, SIGINT, SIGHUP] { signal(number, SIG_DFL) } }
        return request
    }

    public var isRequested: Bool { state.withLock(\.isRequested) }

    /// Asks to stop; false when that was done before.
    @discardableResult
    public func request() -> Bool {
        let bodies: [@Sendable () -> Void]? = state.withLock { state in
            if state.isRequested { return nil }
            state.isRequested = true
            defer { state.bodies = [] }
            return state.bodies
        }
        for body in bodies ?? [] { body() }
        return bodies != nil
    }

    /// Calls `body` at the request, or now when that has come.
    public func onRequest(_ body: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            if !state.isRequested { state.bodies.append(body) }
            return state.isRequested
        }
        if isLate { body() }
    }
}
