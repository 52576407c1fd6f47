internal import Encoding
internal import HTTP
internal import Synchronization
internal import Telemetry

/// The instances of all revisions, and the requests that wait for one.
final class InstanceFleet: Sendable {
    /// What a request gets.
    enum Admission: Sendable {
        case instance(id: Int, port: UInt16)
        case refused(InstancePool.Refusal)
    }

    private struct Member: Sendable {
        var pool: InstancePool
        var service: RunService
        var revision: RunService.Revision
        var processes: [Int: InstanceStarter.Started] = [:]
        /// When the startup probe of an instance has failed for good.
        var deadlines: [Int: Timestamp] = [:]
        /// Why the last start failed.
        var failure: RunFailure?
        /// From the start of a process to its readiness: the latest one.
        var coldStart: Duration?
        var startedAt: [Int: ContinuousClock.Instant] = [:]
    }

    private struct State {
        var members: [String: Member] = [:]
        var waiting: [Int: CheckedContinuation<InstancePool.Outcome, Never>] = [:]
        var nextWaiter = 1
        var environment: [String: String] = [:]
        var isStopped = false
    }

    private let configuration: FrontConfiguration
    private let starter: InstanceStarter
    private let clock: any WallClock
    private let state = Mutex(State())

    init(_ configuration: FrontConfiguration, cloud: SimulatedCloud, clock: any WallClock) {
        self.configuration = configuration
        self.clock = clock
        starter = InstanceStarter(configuration, cloud: cloud)
    }

    private static func key(_ service: String, _ revision: String) -> String { "\(service)/revisions/\(revision)" }

    func setEnvironment(_ environment: [String: String]) { state.withLock { $0.environment = environment } }

    // MARK: Requests

    /// Waits for room in an instance; whoever gets one releases it.
    func acquire(_ revision: String, of service: String, timeout: Duration) async -> Admission {
        let key = Self.key(service, revision)
        let number = state.withLock { state in
            defer { state.nextWaiter += 1 }
            return state.nextWaiter
        }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = clock.now
                let waiter = InstancePool.Waiter(id: number, since: now, deadline: now + timeout)
                let changes: InstancePool.Changes? = state.withLock { state in
                    guard !state.isStopped, state.members[key] != nil else { return nil }
                    state.waiting[number] = continuation
                    return state.members[key]?.pool.admit(waiter)
                }
                guard let changes else {
                    continuation.resume(returning: .refused(.disabled))
                    return
                }
                apply(changes, to: key)
            }
        } onCancel: {
            cancel(number, of: key)
        }
        guard case .instance(let id) = outcome else {
            if case .refused(let refusal) = outcome { return .refused(refusal) }
            return .refused(.failedStart)
        }
        guard let port = state.withLock({ $0.members[key]?.processes[id]?.port }) else {
            release(id, revision, of: service)
            return .refused(.failedStart)
        }
        return .instance(id: id, port: port)
    }

    /// The request is answered.
    func release(_ id: Int, _ revision: String, of service: String) {
        let key = Self.key(service, revision)
        let now = clock.now
        change(key) { $0.pool.release(id, now: now) }
    }

    private func cancel(_ number: Int, of key: String) {
        let continuation = state.withLock { state in
            state.members[key]?.pool.cancel(number)
            return state.waiting.removeValue(forKey: number)
        }
        continuation?.resume(returning: .refused(.timeout))
    }

    // MARK: Services

    /// Takes in which revisions there are and how many instances they may have.
    func follow(_ services: [RunService]) {
        let now = clock.now
        var wanted: [String: (RunService, RunService.Revision)] = [:]
        for service in services where service.deletedAt == nil {
            for revision in service.revisions { wanted[Self.key(service.name, revision.name)] = (service, revision) }
        }
        let keys = state.withLock { state in
            for (key, (service, revision)) in wanted {
                let limits = RunLimits.of(revision, in: service, configuration)
                if state.members[key] == nil, !state.isStopped {
                    state.members[key] = Member(
                        pool: InstancePool(limits: limits), service: service, revision: revision)
                }
                state.members[key]?.pool.limits = limits
                state.members[key]?.service = service
                state.members[key]?.revision = revision
            }
            for key in state.members.keys where wanted[key] == nil {
                state.members[key]?.pool.limits.minimum = 0
                state.members[key]?.pool.limits.maximum = 0
                state.members[key]?.pool.limits.isExact = true
            }
            return state.members.keys.sorted()
        }
        for key in keys { change(key) { $0.pool.settle(now) } }
        state.withLock { state in
            state.members = state.members.filter { wanted[$0.key] != nil || !$0.value.pool.instances.isEmpty }
        }
    }

    /// What became of the revisions that wait for their first instance: nil is that it is ready.
    func verdicts() -> [(service: String, revision: String, failure: RunFailure?)] {
        state.withLock { state in
            state.members.values.compactMap { member in
                guard case .pending(let until) = member.revision.outcome, until == CloudScript.forever else {
                    return nil
                }
                // With no instance at all there is nothing to check.
                let isReady = member.pool.instances.contains { $0.phase == .ready } || member.pool.limits.maximum == 0
                guard isReady || member.failure != nil else { return nil }
                return (member.service.name, member.revision.name, isReady ? nil : member.failure)
            }
        }
    }

    // MARK: Instances

    /// Looks at every process: who has ended, who is up.
    func observe(_ transport: any HTTPTransport) async {
        let now = clock.now
        for (key, id, started) in processes(where: { _ in true }) {
            guard let outcome = started.process.peek() else { continue }
            fail(key, id, started, exitCode: outcome.exitCode)
            change(key) { member in
                member.processes[id] = nil
                return member.pool.ended(id, now: now)
            }
        }
        let starting = processes { $0.phase == .starting }
        await withTaskGroup(of: (String, Int, InstanceStarter.Started, Bool).self) { group in
            for (key, id, started) in starting {
                group.addTask { (key, id, started, await started.probe.passes(port: started.port, transport)) }
            }
            for await (key, id, started, passes) in group { probed(key, id, started, passes: passes) }
        }
    }

    private func processes(
        where isWanted: (InstancePool.Instance) -> Bool
    ) -> [(String, Int, InstanceStarter.Started)] {
        state.withLock { state in
            state.members.flatMap { key, member in
                member.pool.instances.filter(isWanted).compactMap { instance in
                    member.processes[instance.id].map { (key, instance.id, $0) }
                }
            }
        }
    }

    private func probed(_ key: String, _ id: Int, _ started: InstanceStarter.Started, passes: Bool) {
        let now = clock.now
        if passes {
            change(key) { member in
                member.failure = nil
                member.coldStart = member.startedAt[id].map { ContinuousClock.now - $0 } ?? member.coldStart
                return member.pool.started(id, now: now)
            }
            return
        }
        let isLate = state.withLock { $0.members[key]?.deadlines[id].map { $0 <= now } ?? false }
        guard isLate else { return }
        fail(key, id, started, exitCode: nil)
        change(key) { $0.pool.giveUp(id, now: now) }
    }

    /// Keeps why an instance did not come up.
    private func fail(_ key: String, _ id: Int, _ started: InstanceStarter.Started, exitCode: Int32?) {
        state.withLock { state in
            guard let member = state.members[key],
                member.pool.instances.first(where: { $0.id == id })?.phase == .starting
            else { return }
            state.members[key]?.failure = RunFailure(
                of: member.revision, probe: started.probe, exitCode: exitCode, logPath: started.logPath)
        }
    }

    /// Changes a revision's pool and does what follows from it.
    private func change(_ key: String, _ body: (inout Member) -> InstancePool.Changes) {
        let changes = state.withLock { state -> InstancePool.Changes? in
            guard var member = state.members[key] else { return nil }
            let changes = body(&member)
            state.members[key] = member
            return changes
        }
        if let changes { apply(changes, to: key) }
    }

    private func apply(_ changes: InstancePool.Changes, to key: String) {
        for (number, outcome) in changes.outcomes.sorted(by: { $0.key < $1.key }) {
            state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: outcome)
        }
        for id in changes.starts { start(id, of: key) }
        let stopped = state.withLock { state in
            (
                changes.terminations.compactMap { state.members[key]?.processes[$0]?.process },
                changes.kills.compactMap { state.members[key]?.processes[$0]?.process }
            )
        }
        for process in stopped.0 { process.terminate() }
        for process in stopped.1 { process.kill() }
    }

    private func start(_ id: Int, of key: String) {
        let known = state.withLock { state in state.members[key].map { ($0, state.environment) } }
        guard let (member, environment) = known else { return }
        do throws(RunFailure) {
            let started = try starter.start(member.revision, of: member.service, number: id, environment: environment)
            let deadline = clock.now + min(started.probe.patience, configuration.startupLimit)
            let isKept = state.withLock { state in
                guard state.members[key] != nil, !state.isStopped else { return false }
                state.members[key]?.processes[id] = started
                state.members[key]?.deadlines[id] = deadline
                state.members[key]?.startedAt[id] = ContinuousClock.now
                return true
            }
            if !isKept {
                started.process.kill()
                _ = started.process.peek()
            }
        } catch {
            let now = clock.now
            change(key) { member in
                member.failure = error
                return member.pool.ended(id, now: now)
            }
        }
    }

    // MARK: The end, and for people

    /// Ends all processes: SIGTERM, two seconds later SIGKILL, and one second for the kernel.
    func stop() async {
        let (processes, waiting) = state.withLock { state in
            state.isStopped = true
            let processes = state.members.values.flatMap { $0.processes.values.map(\.process) }
            defer { (state.members, state.waiting) = ([:], [:]) }
            return (processes, Array(state.waiting.values))
        }
        for continuation in waiting { continuation.resume(returning: .refused(.disabled)) }
        for process in processes { process.terminate() }
        await Self.wait(for: processes, atMost: .seconds(2))
        for process in processes { process.kill() }
        await Self.wait(for: processes, atMost: .seconds(1))
    }

    private static func wait(for processes: [LocalProcess], atMost limit: Duration) async {
        let deadline = ContinuousClock.now + limit
        while processes.contains(where: { $0.peek() == nil }), ContinuousClock.now < deadline {
            // A cancelled caller still has to see its processes end: its sleeps return at once.
            if (try? await Task.sleep(for: .milliseconds(5))) == nil { await Task.yield() }
        }
    }

    /// Whether something is about to change: a process comes up or goes down, or a request waits.
    var isBusy: Bool {
        state.withLock { state in
            state.members.values.contains { member in
                !member.pool.waiters.isEmpty || member.pool.instances.contains { $0.phase != .ready }
            }
        }
    }

    func instances() -> [RunInstance] {
        state.withLock { state in
            state.members.sorted { $0.key < $1.key }.flatMap { _, member in
                member.pool.instances.compactMap { instance in
                    member.processes[instance.id].map { started in
                        RunInstance(
                            service: member.service.name, revision: member.revision.name,
                            processID: started.process.processID, port: started.port,
                            isReady: instance.phase == .ready, requestCount: instance.requestCount)
                    }
                }
            }
        }
    }

    /// How long the latest start of a revision's instance took, from the process to the passed probe.
    func coldStart(revision: String, of service: String) -> Duration? {
        state.withLock { $0.members[Self.key(service, revision)]?.coldStart }
    }
}
