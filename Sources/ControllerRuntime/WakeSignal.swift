import Synchronization

/// Wakes one waiting task; raised before anybody waits, it is kept.
final class WakeSignal: Sendable {
    private struct State {
        var isRaised = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Wakes the waiter, or lets the next one through at once.
    func raise() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            state.isRaised = state.waiter == nil
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns when raised, or when the task is cancelled. One waiter at a time.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let passes = state.withLock { state in
                    if state.isRaised || Task.isCancelled {
                        state.isRaised = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if passes { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }?.resume()
        }
    }

    /// Returns when raised, after `delay` (nil: never), or when the task is cancelled.
    func wait(for delay: Duration?, clock: RuntimeClock) async {
        guard let delay else { return await wait() }
        await withTaskGroup { group in
            group.addTask {
                // Cancelled means that the signal came first.
                try? await clock.sleep(for: delay)
            }
            group.addTask { await self.wait() }
            await group.next()
            group.cancelAll()
        }
    }
}
