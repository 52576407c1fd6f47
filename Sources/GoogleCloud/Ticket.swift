internal import Synchronization
internal import Telemetry

/// One task's place in a wait: resolved once, by whoever comes first. The task's own cancellation resolves it with nil,
/// and no other ticket.
final class Ticket<Value: Sendable>: Sendable {
    private enum State {
        case fresh
        case waiting(CheckedContinuation<Value?, Never>)
        case resolved(Value?)
    }

    private let state = Mutex(State.fresh)

    /// The first call counts.
    func resolve(_ value: Value?) {
        let waiting: CheckedContinuation<Value?, Never>? = state.withLock { state in
            switch state {
            case .resolved: return nil
            case .fresh:
                state = .resolved(value)
                return nil
            case .waiting(let continuation):
                state = .resolved(value)
                return continuation
            }
        }
        waiting?.resume(returning: value)
    }

    /// Waits; nil when the task was cancelled. One caller.
    func value() async -> Value? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known: Value?? = state.withLock { state in
                    if case .resolved(let value) = state { return .some(value) }
                    state = .waiting(continuation)
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            resolve(nil)
        }
    }

    /// Waits at most so long, then resolves the ticket with `late`.
    func value(within limit: Duration, clock: any WallClock, late: Value) async -> Value? {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do throws(CancellationError) {
                    try await clock.sleep(for: limit)
                    self.resolve(late)
                } catch {
                    return  // The wait is over, or the whole task is cancelled: `value` sees that itself.
                }
            }
            let value = await self.value()
            group.cancelAll()
            return value
        }
    }
}
