import HTTP
public import Kubernetes
import Synchronization

/// Runs everything: the watches at once, the controllers when their stores are filled and this replica leads; ends
/// cleanly when told to, and at once when the lease is lost.
public final class ControllerManager: Sendable {
    /// Why `run` returned.
    public enum Exit: Sendable, Hashable {
        /// `stop` was called or the task was cancelled; calls in progress were finished and the lease given back.
        case stopped
        /// Another replica may lead: the process should end, and start again as a candidate.
        case leadershipLost
    }

    private struct Loop: Sendable {
        let run: @Sendable () async -> Void
        let stop: @Sendable () -> Void
        let statistics: @Sendable () -> RuntimeStatistics.Controller
    }

    /// What a duty works with.
    public struct Duty: Sendable {
        /// Refuses every change once this replica may not lead any more.
        public let kubernetes: KubernetesClient
        /// Tells people, as an event about the lease: there is no object that it could be about.
        public let tell: @Sendable (Event) -> Void

        public init(kubernetes: KubernetesClient, tell: @escaping @Sendable (Event) -> Void) {
            self.kubernetes = kubernetes
            self.tell = tell
        }
    }

    private struct State {
        var loops: [Loop] = []
        var duties: [@Sendable (Duty) async -> Void] = []
        var isLeading = false
        var isStopping = false
        /// Why a kind is not watched now.
        var watchErrors: [ResourceType: APIError] = [:]
        /// When the API server was last heard about a kind.
        var heardAt: [ResourceType: Duration] = [:]
        /// Why nobody can lead; not set while another replica does.
        var leaseError: APIError?
    }

    private enum Ended: Sendable {
        case stopAsked, leadershipLost, workFinished, watches
    }

    /// The stores that controllers may read.
    public let cache: ObjectCache
    /// Put around the transport of every API that the controllers change.
    public let gate: MutationGate
    private let environment: RuntimeEnvironment
    private let leaderElection: LeaderElectionOptions?
    private let shutdownGrace: Duration
    private let permissions = PermissionLedger()
    private let state = Mutex(State())
    private let stopSignal = WakeSignal()
    private let syncSignal = WakeSignal()

    /// - Parameters:
    ///   - leaderElection: nil for a single replica that leads from the start.
    ///   - shutdownGrace: how long rounds in progress may take after `stop`.
    public init(
        environment: RuntimeEnvironment, cache: ObjectCache = ObjectCache(),
        leaderElection: LeaderElectionOptions?, shutdownGrace: Duration = .seconds(20)
    ) {
        self.environment = environment
        self.cache = cache
        self.leaderElection = leaderElection
        self.shutdownGrace = shutdownGrace
        self.gate = MutationGate(clock: environment.clock, isOpen: leaderElection == nil)
    }

    /// Adds a controller; before `run`.
    @discardableResult
    public func add<C: Controller>(
        _ controller: C, options: ControllerOptions = ControllerOptions()
    ) -> ControllerLoop<C> {
        let environment = gated
        let loop = ControllerLoop(
            controller, cache: cache, environment: environment, gate: gate, options: options,
            instance: leaderElection?.identity ?? "trainyard-operator")
        let statistics: @Sendable () -> RuntimeStatistics.Controller = {
            .init(
                name: ControllerLoop<C>.name, concurrency: options.concurrency, queue: loop.queueStatistics)
        }
        state.withLock {
            $0.loops.append(Loop(run: { await loop.run() }, stop: { loop.stop() }, statistics: statistics))
        }
        return loop
    }

    /// Adds what the leader does beside its rounds; before `run`. Begins when the stores are filled; is cancelled by a
    /// stop, and when the lease is lost.
    public func addDuty(_ run: @escaping @Sendable (Duty) async -> Void) {
        state.withLock { $0.duties.append(run) }
    }

    /// The watched kinds, as `ResourceType.name` says them; complete when all controllers are added.
    public var watchedResources: [String] { Set(cache.all.map(\.type.name)).sorted() }

    /// Whether this replica leads.
    public var isLeading: Bool { state.withLock(\.isLeading) && gate.isOpen }

    /// What readiness misses, as sentences; empty when ready. A standby replica is ready.
    public var missing: [String] {
        let (errors, leaseError) = state.withLock { ($0.watchErrors, $0.leaseError) }
        let unsynced = cache.unsyncedTypes
        let unlisted = unsynced.map { Readiness.unlisted($0, errors[$0]) }
        let unwatched = errors.filter { !unsynced.contains($0.key) }.compactMap {
            Readiness.unwatched($0.key, $0.value)
        }
        let lease = leaseError.map { ["the lease cannot be had: \($0.description)"] } ?? []
        return Set(unlisted + unwatched + lease + permissions.missing).sorted()
    }

    /// What the metrics look up.
    public var statistics: RuntimeStatistics {
        let now = environment.clock.uptime
        let (loops, heardAt) = state.withLock { ($0.loops, $0.heardAt) }
        let kinds = Dictionary(grouping: cache.all, by: \.type).map { type, entries in
            RuntimeStatistics.Kind(
                resource: type.name, objectCount: entries.reduce(0) { $0 + $1.count() },
                undecodableCount: entries.reduce(0) { $0 + $1.undecodableCount() },
                silence: heardAt[type].map { now - $0 })
        }
        return RuntimeStatistics(
            controllers: loops.map { $0.statistics() }, kinds: kinds.sorted { $0.resource < $1.resource })
    }

    /// Asks for a clean end.
    public func stop() { stopSignal.raise() }

    /// Runs until `stop`, cancellation, or the loss of the lease.
    public func run() async -> Exit {
        let elector = leaderElection.map { LeaderElector(environment: listeningForLease, options: $0, gate: gate) }
        let exit = await withTaskGroup(of: Ended.self) { group in
            group.addTask {
                await self.runWatches()
                return .watches
            }
            group.addTask {
                await self.stopSignal.wait()
                return .stopAsked
            }
            group.addTask { await self.leadAndWork(elector) }
            while let ended = await group.next() {
                switch ended {
                case .watches: continue  // Only when cancelled: the others end too.
                case .leadershipLost:
                    group.cancelAll()
                    return Exit.leadershipLost
                case .stopAsked:
                    guard beginStopping() else {
                        group.cancelAll()
                        return .stopped
                    }
                    group.addTask {
                        try? await self.environment.clock.sleep(for: self.shutdownGrace)  // Cancelled: all done.
                        return .workFinished
                    }
                case .workFinished:
                    group.cancelAll()
                    return .stopped
                }
            }
            return .stopped
        }
        state.withLock { $0.isLeading = false }
        if exit == .stopped { await elector?.release() }
        return exit
    }

    /// Stops the loops; false when none of them works, because another replica leads.
    private func beginStopping() -> Bool {
        let (loops, isLeading) = state.withLock { state in
            state.isStopping = true
            return (state.loops, state.isLeading)
        }
        for loop in loops { loop.stop() }
        syncSignal.raise()
        return isLeading
    }

    private func runWatches() async {
        let environment = listening
        await withDiscardingTaskGroup { group in
            for entry in cache.all {
                group.addTask { await entry.run(environment) }
            }
        }
    }

    /// What controllers and duties act through: no change passes a closed gate, and what is refused shows in readiness.
    private var gated: RuntimeEnvironment {
        var environment = environment
        environment.client = environment.client.through {
            PermissionTransport(GatedTransport($0, gate: gate), ledger: permissions)
        }
        return environment
    }

    /// The elector's own requests show in the readiness too.
    private var listeningForLease: RuntimeEnvironment {
        var environment = listening
        environment.client = environment.client.through { PermissionTransport($0, ledger: permissions) }
        return environment
    }

    /// As given, and the manager listens too.
    private var listening: RuntimeEnvironment {
        var environment = environment
        let report = environment.report
        environment.report = { [weak self] in
            self?.noteProgress($0)
            report($0)
        }
        return environment
    }

    /// Waits for the lease, then for the stores, then works while the lease is kept.
    private func leadAndWork(_ elector: LeaderElector?) async -> Ended {
        if let elector { guard await elector.acquire() else { return .workFinished } }
        state.withLock { $0.isLeading = true }
        return await withTaskGroup(of: Ended.self) { group in
            if let elector {
                group.addTask { await elector.keep() ? .leadershipLost : .workFinished }
            }
            group.addTask {
                await self.work()
                return .workFinished
            }
            let first = await group.next() ?? .workFinished
            group.cancelAll()
            return first
        }
    }

    private func work() async {
        while !cache.isSynced {
            guard !Task.isCancelled, !state.withLock(\.isStopping) else { return }
            await syncSignal.wait()
        }
        // What goes on beside the loops ends with them.
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await self.fulfilDuties()
                return false
            }
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for loop in self.state.withLock(\.loops) { group.addTask { await loop.run() } }
                }
                return true
            }
            while let loopsEnded = await group.next() {
                if loopsEnded { group.cancelAll() }
            }
        }
    }

    private func fulfilDuties() async {
        let duties = state.withLock(\.duties)
        guard !duties.isEmpty else { return }
        let environment = gated
        let recorder = EventRecorder(
            environment: environment, reportingInstance: leaderElection?.identity ?? "trainyard-operator")
        let lease = EventObject.Reference(
            apiVersion: Lease.resourceType.apiVersion, kind: Lease.resourceType.kind,
            namespace: leaderElection?.namespace ?? "default", name: leaderElection?.leaseName ?? "trainyard-operator")
        let duty = Duty(kubernetes: environment.client) { recorder.record($0, regarding: lease) }
        await withDiscardingTaskGroup { group in
            group.addTask { await recorder.run() }
            for run in duties { group.addTask { await run(duty) } }
        }
    }

    private func noteProgress(_ report: RuntimeReport) {
        let now = environment.clock.uptime
        switch report {
        case .listed(let type, _):
            state.withLock { $0.heardAt[type] = now }
            syncSignal.raise()
        case .heard(let type): state.withLock { $0.heardAt[type] = now }
        case .watching(let type): state.withLock { $0.watchErrors[type] = nil }
        case .watchFailed(let type, let error): state.withLock { $0.watchErrors[type] = error }
        case .leaseFailed(let error) where !error.isTransient:
            state.withLock { if !$0.isLeading { $0.leaseError = error } }
        case .leadershipGained: state.withLock { $0.leaseError = nil }
        case .undecodable, .reconciled, .eventLost, .eventsDropped, .leaseFailed, .leadershipLost: break
        }
    }
}
