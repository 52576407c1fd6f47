public import Encoding
import Synchronization
public import Telemetry

/// A clock that stands still until somebody moves it: simulated hours pass in milliseconds, the same way each time.
public final class VirtualClock: WallClock {
    private struct Sleeper {
        let id: Int
        let moment: Timestamp
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var now: Timestamp
        var nextID = 0
        var sleepers: [Sleeper] = []
        /// Cancelled before they were registered.
        var cancelled: Set<Int> = []
    }

    private let state: Mutex<State>

    /// Starts at 2026-11-21T10:00:00Z unless told otherwise.
    public init(start: Timestamp = Timestamp(seconds: 1_795_255_200)) {
        state = Mutex(State(now: start))
    }

    public var now: Timestamp { state.withLock { $0.now } }

    /// How many tasks sleep now.
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// When the first sleeper wakes; nil when nobody sleeps.
    public var nextWake: Timestamp? { state.withLock { $0.sleepers.map(\.moment).min() } }

    public func sleep(until moment: Timestamp) async throws(CancellationError) {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let slept = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                register(Sleeper(id: id, moment: moment, continuation: continuation))
            }
        } onCancel: {
            cancel(id)
        }
        state.withLock { _ = $0.cancelled.remove(id) }  // Cancelled just after it woke.
        if !slept { throw CancellationError() }
    }

    /// Moves time forward and wakes every sleeper whose moment has come, earliest first, each at its own moment.
    ///
    /// The woken tasks run when the executor gets to them: a sleep that such a task begins is seen by the next call.
    public func advance(by duration: Duration) {
        advance(to: now + duration)
    }

    /// As `advance(by:)`; a moment in the past changes nothing.
    public func advance(to moment: Timestamp) {
        while let sleeper = nextSleeper(until: moment) {
            sleeper.continuation.resume(returning: true)
        }
        state.withLock { $0.now = max($0.now, moment) }
    }

    private func nextSleeper(until moment: Timestamp) -> Sleeper? {
        state.withLock { state in
            let due = state.sleepers.enumerated().filter { $0.element.moment <= moment }
            guard
                let first = due.min(by: { ($0.element.moment, $0.element.id) < ($1.element.moment, $1.element.id) })
            else { return nil }
            state.now = max(state.now, first.element.moment)
            return state.sleepers.remove(at: first.offset)
        }
    }

    private func register(_ sleeper: Sleeper) {
        let answer: Bool? = state.withLock { state in
            if state.cancelled.remove(sleeper.id) != nil { return false }
            if sleeper.moment <= state.now { return true }
            state.sleepers.append(sleeper)
            return nil
        }
        if let answer { sleeper.continuation.resume(returning: answer) }
    }

    private func cancel(_ id: Int) {
        let sleeper: Sleeper? = state.withLock { state in
            guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.sleepers.remove(at: index)
        }
        sleeper?.continuation.resume(returning: false)
    }
}
