import Kubernetes
import Synchronization
import Telemetry

/// One controller's work: takes keys from the queue, one task a key, and does a round for each.
public final class ControllerLoop<C: Controller>: Sendable {
    private struct State {
        var queue: WorkQueue
        var limiter = RoundLimiter()
        var isStopping = false
        var roundCount = 0
    }

    public let store: ObjectStore<C.Object>
    private let reconciler: Reconciler<C>
    private let recorder: EventRecorder
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
        self.state = Mutex(
            State(queue: WorkQueue(retryBackoff: options.retryBackoff, concurrency: options.concurrency)))
        self.recorder = EventRecorder(environment: environment, reportingInstance: instance)
        self.reconciler = Reconciler(
            controller: controller, cache: cache, store: store, environment: environment, gate: gate,
            recorder: recorder)
        store.observe { [weak self] change in
            if !change.isOwnWrite { self?.enqueue(change.key, priority: change.isInitial ? .recheck : .change) }
        }
        for relation in C.relations {
            relation.connect(cache, store) { [weak self] keys, priority in
                for key in keys { self?.enqueue(key, priority: priority) }
            }
        }
    }

    /// The kind's plural, by which logs and metrics name the controller.
    static var name: String { C.Object.resourceType.plural }

    /// Asks for a look at an object.
    public func enqueue(_ key: ObjectKey, priority: WorkQueue.Priority = .change) {
        let now = environment.clock.uptime
        state.withLock { $0.queue.add(key, priority: priority, now: now) }
        wake.raise()
    }

    /// Does one round for an object as the store has it, now, in this task. What tests step; `run` does the same.
    public func reconcileOnce(_ key: ObjectKey) async -> ReconcileOutcome {
        let outcome = await round(WorkQueue.Turn(key: key, priority: .change, waited: .zero)).outcome
        await recorder.flush()
        return outcome
    }

    /// Takes the next key that is due and does its round; nil when none is due now. For tests that step the queue.
    public func reconcileNext() async -> (key: ObjectKey, outcome: ReconcileOutcome)? {
        guard let turn = takeTurn() else { return nil }
        let outcome = await process(turn)
        await recorder.flush()
        return (turn.key, outcome)
    }

    /// When the next key is due, as uptime; nil when nothing waits.
    public var nextDue: Duration? { state.withLock { $0.queue.nextDue() } }

    /// What the metrics say about the queue.
    public var queueStatistics: WorkQueue.Statistics {
        let now = environment.clock.uptime
        return state.withLock { $0.queue.statistics(now: now) }
    }

    /// Works until `stop` was called and the rounds in progress are over and their events sent, or the task is cancelled.
    public func run() async {
        recorder.begin()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.recorder.run() }
            await work()
            recorder.finish()
        }
    }

    /// No new rounds from now on; those in progress go on.
    public func stop() {
        state.withLock { $0.isStopping = true }
        wake.raise()
    }

    private func work() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled, !state.withLock({ $0.isStopping }) {
                if let turn = takeTurn() {
                    group.addTask { _ = await self.process(turn) }
                } else {
                    await wake.wait(for: delayUntilDue(), clock: environment.clock)
                }
            }
        }
    }

    /// The next key that is due and has not had too many rounds.
    private func takeTurn() -> WorkQueue.Turn? {
        let now = environment.clock.uptime
        return state.withLock { state in
            while let turn = state.queue.next(now: now) {
                guard let delay = state.limiter.admit(turn.key, now: now) else { return turn }
                state.queue.add(turn.key, due: now + delay, priority: turn.priority)
                state.queue.finished(turn.key)
            }
            return nil
        }
    }

    /// nil while every worker is busy: a finished round wakes the loop.
    private func delayUntilDue() -> Duration? {
        let now = environment.clock.uptime
        return state.withLock { state in
            state.queue.isFull ? nil : state.queue.nextDue().map { max(.zero, $0 - now) }
        }
    }

    private func process(_ turn: WorkQueue.Turn) async -> ReconcileOutcome {
        let round = await round(turn)
        let now = environment.clock.uptime
        let random = environment.random()
        state.withLock { state in
            options.schedule(
                turn, round.outcome, recheckInterval: round.recheckInterval, in: &state.queue, now: now,
                random: random)
            state.queue.finished(turn.key)
        }
        wake.raise()
        return round.outcome
    }

    private func round(_ turn: WorkQueue.Turn) async -> Reconciler<C>.Round {
        let start = environment.clock.uptime
        let number = state.withLock { state in
            state.roundCount += 1
            return state.roundCount
        }
        let metadata: LogMetadata = [
            .controller: .string(Self.name), .object: .string(turn.key.description), .reconcile: .integer(number),
        ]
        let round = await Log.withMetadata(metadata) { await reconciler.reconcile(turn.key) }
        environment.report(
            .reconciled(
                ReconcileReport(
                    controller: Self.name, key: turn.key, uid: round.uid, generation: round.generation,
                    waited: turn.waited, duration: environment.clock.uptime - start, stepCount: round.stepCount,
                    wroteStatus: round.wroteStatus, outcome: round.outcome)))
        return round
    }
}
