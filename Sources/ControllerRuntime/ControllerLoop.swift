import HTTP
import Kubernetes
import Synchronization
import Telemetry

/// How a controller is run.
public struct ControllerOptions: Sendable {
    /// Objects worked on at the same time.
    public var concurrency: Int
    /// How often an object that nobody changed is looked at, give or take a tenth.
    public var recheckInterval: Duration
    /// How often an object is looked at that waits for somebody to act.
    public var slowRetryInterval: Duration
    /// Conflicts in a row that are tried again at once.
    public var conflictLimit: Int
    /// How the delays of a failing object grow.
    public var retryBackoff: Backoff

    public init(
        concurrency: Int = 4, recheckInterval: Duration = .seconds(600), slowRetryInterval: Duration = .seconds(60),
        conflictLimit: Int = 5,
        retryBackoff: Backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(300))
    ) {
        self.concurrency = max(1, concurrency)
        self.recheckInterval = recheckInterval
        self.slowRetryInterval = slowRetryInterval
        self.conflictLimit = conflictLimit
        self.retryBackoff = retryBackoff
    }
}

/// One controller's work: takes keys from the queue, one task a key, and does a round for each.
public final class ControllerLoop<C: Controller>: Sendable {
    private struct State {
        var queue: WorkQueue<ObjectKey>
        var isStopping = false
        var roundCount = 0
    }

    public let store: ObjectStore<C.Object>
    private let reconciler: Reconciler<C>
    private let environment: RuntimeEnvironment
    private let options: ControllerOptions
    private let state: Mutex<State>
    private let wake = WakeSignal()

    /// - Parameters:
    ///   - cache: the stores that watches feed; this registers the controller's kind and its relations in it.
    ///   - gate: checked before every change.
    ///   - instance: names this replica in events.
    public init(
        _ controller: C, cache: ObjectCache, environment: RuntimeEnvironment, gate: MutationGate,
        options: ControllerOptions = ControllerOptions(), instance: String = "trainyard-operator"
    ) {
        self.environment = environment
        self.options = options
        self.store = cache.store(C.Object.self)
        self.state = Mutex(State(queue: WorkQueue(retryBackoff: options.retryBackoff)))
        self.reconciler = Reconciler(
            controller: controller, cache: cache, store: store, environment: environment, gate: gate,
            recorder: EventRecorder(environment: environment, reportingInstance: instance))
        store.observe { [weak self] change in
            if !change.isOwnWrite { self?.enqueue(change.key, priority: change.isInitial ? .recheck : .change) }
        }
        for relation in C.relations {
            relation.connect(cache, store) { [weak self] keys in
                for key in keys { self?.enqueue(key, priority: .change) }
            }
        }
    }

    /// Asks for a look at an object.
    public func enqueue(_ key: ObjectKey, priority: WorkQueue<ObjectKey>.Priority = .change) {
        state.withLock { $0.queue.add(key, priority: priority) }
        wake.raise()
    }

    /// Does one round for an object as the store has it, now, in this task. What tests step; `run` does the same.
    public func reconcileOnce(_ key: ObjectKey) async -> ReconcileOutcome {
        await round(key)
    }

    /// Takes the next key that is due and does its round; nil when none is due now. For tests that step the queue.
    public func reconcileNext() async -> (key: ObjectKey, outcome: ReconcileOutcome)? {
        guard let key = takeKey() else { return nil }
        return (key, await process(key))
    }

    /// When the next key is due, as uptime; nil when nothing waits.
    public var nextDue: Duration? { state.withLock { $0.queue.nextDue() } }

    /// Works until `stop` was called and the rounds in progress are over, or the task is cancelled.
    public func run() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled, !state.withLock(\.isStopping) {
                if let key = takeKey() {
                    group.addTask { _ = await self.process(key) }
                } else {
                    await wake.wait(for: delayUntilDue(), clock: environment.clock)
                }
            }
        }
    }

    /// No new rounds from now on; those in progress go on.
    public func stop() {
        state.withLock { $0.isStopping = true }
        wake.raise()
    }

    private func takeKey() -> ObjectKey? {
        let now = environment.clock.uptime
        return state.withLock { state in
            guard state.queue.activeCount < options.concurrency else { return nil }
            return state.queue.next(now: now)
        }
    }

    /// nil while every worker is busy: a finished round wakes the loop.
    private func delayUntilDue() -> Duration? {
        let now = environment.clock.uptime
        return state.withLock { state in
            guard state.queue.activeCount < options.concurrency else { return nil }
            return state.queue.nextDue().map { max(.zero, $0 - now) }
        }
    }

    private func process(_ key: ObjectKey) async -> ReconcileOutcome {
        let outcome = await round(key)
        let now = environment.clock.uptime
        let random = environment.random()
        state.withLock { state in
            schedule(key, outcome, in: &state.queue, now: now, random: random)
            state.queue.finished(key)
        }
        wake.raise()
        return outcome
    }

    private func round(_ key: ObjectKey) async -> ReconcileOutcome {
        let start = environment.clock.uptime
        let number = state.withLock { state in
            state.roundCount += 1
            return state.roundCount
        }
        let metadata: LogMetadata = [
            .controller: .string(C.Object.resourceType.plural), .object: .string(key.description),
            .reconcile: .integer(number),
        ]
        let round = await Log.withMetadata(metadata) { await reconciler.reconcile(key) }
        let (depth, active) = state.withLock { ($0.queue.readyCount, $0.queue.activeCount) }
        environment.report(
            .reconciled(
                ReconcileReport(
                    controller: C.Object.resourceType.plural, key: key, uid: round.uid,
                    generation: round.generation, duration: environment.clock.uptime - start,
                    stepCount: round.stepCount, wroteStatus: round.wroteStatus, outcome: round.outcome,
                    queueDepth: depth, activeCount: active)))
        return round.outcome
    }

    private func schedule(
        _ key: ObjectKey, _ outcome: ReconcileOutcome, in queue: inout WorkQueue<ObjectKey>, now: Duration,
        random: Double
    ) {
        switch outcome {
        case .done: queue.forget(key)
        case .settled:
            queue.succeeded(key)
            queue.add(key, due: now + options.recheckInterval * (0.9 + 0.2 * random), priority: .recheck)
        case .again(let delay):
            queue.succeeded(key)
            queue.add(key, after: delay, now: now)
        case .failed(_, let retry):
            let backoff = queue.failed(key, random: random)
            switch retry {
            case .atOnce:
                queue.add(key, after: queue.failureCount(key) <= options.conflictLimit ? .zero : backoff, now: now)
            case .after(let delay): queue.add(key, after: delay, now: now)
            case .backoff: queue.add(key, after: backoff, now: now)
            case .slowly, .never:
                queue.add(key, due: now + options.slowRetryInterval * (0.9 + 0.2 * random), priority: .recheck)
            }
        }
    }
}

extension WorkQueue {
    fileprivate mutating func add(_ key: Key, after delay: Duration, now: Duration) {
        if delay > .zero {
            add(key, due: now + delay, priority: .change)
        } else {
            add(key, priority: .change)
        }
    }
}
