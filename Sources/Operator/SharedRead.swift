import HTTP
import Synchronization

/// One answer for everybody who asks the same within a short time: rounds of many objects share one list, and those that
/// ask while it is under way wait for it.
///
/// What is forgotten or deleted because of an answer is looked at again by itself: an answer may be some seconds old.
final class SharedRead<Value: Sendable>: Sendable {
    typealias Answer = Result<Value, APIError>

    private struct Flight {
        let id: Int
        var waiters: [CheckedContinuation<Answer?, Never>] = []
    }

    private struct State {
        var kept: (value: Value, time: Duration)?
        var flight: Flight?
        var nextID = 0
    }

    private enum Turn {
        case kept(Value)
        case wait
        case ask(Int)
    }

    private let state = Mutex(State())

    /// Who waits for an answer now, for tests.
    var waiterCount: Int { state.withLock { $0.flight?.waiters.count ?? 0 } }

    /// The kept answer if it is at most so old, else the one that somebody waits for, else a new one.
    ///
    /// - Parameter uptime: asked for the time before and after.
    /// - Throws: what `ask` throws; nothing is kept then. Somebody else's cancellation is not passed on.
    func value(
        notOlderThan age: Duration, uptime: @Sendable () -> Duration,
        ask: () async throws(APIError) -> Value
    ) async throws(APIError) -> Value {
        while true {
            switch turn(notOlderThan: age, now: uptime()) {
            case .kept(let value): return value
            case .wait:
                if let answer = await nextAnswer() { return try answer.get() }
            case .ask(let id):
                let begun = uptime()
                do throws(APIError) {
                    let value = try await ask()
                    finish(id, .success(value), begun: begun)
                    return value
                } catch {
                    finish(id, .failure(error), begun: begun)
                    throw error
                }
            }
        }
    }

    /// What was asked before now is not given to anybody from now on: something has changed.
    func forget() {
        let waiters = state.withLock { state in
            defer {
                state.kept = nil
                state.flight = nil
            }
            return state.flight?.waiters ?? []
        }
        for waiter in waiters { waiter.resume(returning: nil) }
    }

    private func turn(notOlderThan age: Duration, now: Duration) -> Turn {
        state.withLock { state in
            if let kept = state.kept, now - kept.time < age { return .kept(kept.value) }
            if state.flight != nil, age > .zero { return .wait }
            state.nextID += 1
            // Whoever waits for an older question may as well have the newer answer.
            state.flight = Flight(id: state.nextID, waiters: state.flight?.waiters ?? [])
            return .ask(state.nextID)
        }
    }

    /// nil: ask again.
    private func nextAnswer() async -> Answer? {
        await withCheckedContinuation { continuation in
            let isTaken = state.withLock { state in
                guard state.flight != nil else { return false }
                state.flight?.waiters.append(continuation)
                return true
            }
            if !isTaken { continuation.resume(returning: nil) }
        }
    }

    private func finish(_ id: Int, _ answer: Answer, begun: Duration) {
        let waiters: [CheckedContinuation<Answer?, Never>] = state.withLock { state in
            guard let flight = state.flight, flight.id == id else { return [] }
            state.flight = nil
            if case .success(let value) = answer { state.kept = (value, begun) }
            return flight.waiters
        }
        let isCancelled = if case .failure(let error) = answer { error.code == .cancelled } else { false }
        for waiter in waiters { waiter.resume(returning: isCancelled ? nil : answer) }
    }
}

/// A `SharedRead` for each key. Beyond `limit` keys all are forgotten, which costs questions and nothing else.
final class SharedReads<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private static var limit: Int { 4096 }
    private let reads = Mutex<[Key: SharedRead<Value>]>([:])

    subscript(key: Key) -> SharedRead<Value> {
        reads.withLock { reads in
            if let read = reads[key] { return read }
            if reads.count >= Self.limit { reads = [:] }
            let read = SharedRead<Value>()
            reads[key] = read
            return read
        }
    }
}
