import Encoding
import HTTP
import Kubernetes
import Synchronization

/// Gets and keeps the lease, and moves the gate with it.
public final class LeaderElector: Sendable {
    private let environment: RuntimeEnvironment
    private let options: LeaderElectionOptions
    private let gate: MutationGate
    private let state: Mutex<LeaderElectionState>

    private var clock: RuntimeClock { environment.clock }
    /// Two tries fit into the renew deadline.
    private var requestTimeout: Duration { options.renewDeadline / 2 }

    public init(environment: RuntimeEnvironment, options: LeaderElectionOptions, gate: MutationGate) {
        self.environment = environment
        self.options = options
        self.gate = gate
        self.state = Mutex(LeaderElectionState(options: options))
    }

    /// Tries for the lease until it is ours, or the task is cancelled (false).
    public func acquire() async -> Bool {
        while !Task.isCancelled {
            let attempt = await attempt(within: options.renewDeadline)
            if case .held(let requestedAt) = attempt, extendGate(from: requestedAt) {
                environment.report(.leadershipGained(identity: options.identity))
                return true
            }
            guard await pause(candidatePause()) else { return false }
        }
        return false
    }

    /// Less than a retry period, so that a released lease is seen within one, and not in step with other replicas; less
    /// still when the lease expires sooner.
    private func candidatePause() -> Duration {
        let period = options.retryPeriod * (0.7 + 0.2 * environment.random())
        guard let expiry = state.withLock(\.expiry), case let left = expiry - clock.uptime, left > .zero else {
            return period
        }
        return min(period, left + .milliseconds(1))
    }

    /// Renews until the lease is lost (true; the gate is closed then) or the task is cancelled.
    public func keep() async -> Bool {
        var period = options.renewPeriod
        while true {
            let deadline = state.withLock(\.deadline) ?? .zero
            guard await pause(min(period, deadline - clock.uptime)) else { return false }
            let attempt = await attempt(within: deadline - clock.uptime)
            let isInTime = clock.uptime < deadline
            switch attempt {
            // A renewal that came back after the deadline is no proof: another may have led in between.
            case .held(let requestedAt) where isInTime && extendGate(from: requestedAt): period = options.renewPeriod
            case .failed where isInTime: period = options.retryPeriod
            case .held, .failed, .heldByOther:
                if Task.isCancelled { return false }
                gate.close()
                environment.report(.leadershipLost(identity: options.identity))
                return true
            }
        }
    }

    /// Gives the lease back on a clean stop. Closes the gate first: nothing may be changed afterwards.
    public func release() async {
        gate.close()
        let end = clock.uptime + requestTimeout
        do throws(APIError) {
            if try await isReleased(until: end) { return }
            let (read, seenAt) = (try await read(until: end), clock.uptime)
            state.withLock { $0.leaseRead(read, uptime: seenAt) }
            _ = try await isReleased(until: end)  // If not again, somebody else writes it: not ours.
        } catch {
            environment.report(.leaseFailed(error))  // It expires by itself.
        }
    }

    /// False when the lease is not as we know it: the stop cut off a renewal that was carried out, or it was taken.
    private func isReleased(until end: Duration) async throws(APIError) -> Bool {
        let now = clock.now
        guard let lease = state.withLock({ $0.released(now: now) }) else { return true }
        do throws(APIError) {
            _ = try await send(lease, isNew: false, until: end)
            return true
        } catch  where error.code == .conflict {
            return false
        }
    }

    private enum Attempt {
        /// Ours; the request that made it so was sent then.
        case held(requestedAt: Duration)
        case heldByOther
        case failed
    }

    /// One try to take or renew the lease, given up when `limit` has passed.
    private func attempt(within limit: Duration) async -> Attempt {
        guard limit > .zero else { return .failed }
        return await withTaskGroup(of: Attempt?.self) { group in
            group.addTask { await self.attempt(until: self.clock.uptime + limit) }
            group.addTask {
                try? await self.clock.sleep(for: limit)  // Cancelled: the try is over.
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .failed
        }
    }

    /// After a conflict it reads and decides once more.
    private func attempt(until end: Duration) async -> Attempt {
        var failure: APIError?
        for _ in 0..<2 where clock.uptime < end {
            do throws(APIError) {
                guard let requestedAt = try await claim(until: end) else { return .heldByOther }
                return .held(requestedAt: requestedAt)
            } catch {
                failure = error
                guard [.conflict, .alreadyExists, .notFound].contains(error.code) else { break }
                state.withLock { $0.writeConflicted() }
            }
        }
        if let failure { environment.report(.leaseFailed(failure)) }
        return .failed
    }

    /// Reads the lease where that is needed and writes it where it is free; returns when the write was sent, nil when
    /// somebody else holds the lease.
    private func claim(until end: Duration) async throws(APIError) -> Duration? {
        if state.withLock(\.needsRead) {
            let read = try await read(until: end)
            // It may have been renewed until the very moment of the reply.
            let seenAt = clock.uptime
            state.withLock { $0.leaseRead(read, uptime: seenAt) }
        }
        let (now, requestedAt) = (clock.now, clock.uptime)
        let written: Lease
        switch state.withLock({ $0.decide(now: now, uptime: requestedAt) }) {
        case .wait: return nil
        case .create(let lease): written = try await send(lease, isNew: true, until: end)
        case .replace(let lease): written = try await send(lease, isNew: false, until: end)
        }
        guard written.spec?.holderIdentity == options.identity else {
            throw APIError(.malformedResponse, operation: "PUT leases", message: "the reply names another holder")
        }
        state.withLock { $0.leaseWritten(written, requestedAt: requestedAt) }
        return requestedAt
    }

    /// Opens the gate for one renew deadline from when the request was sent; false when that has passed already.
    private func extendGate(from requestedAt: Duration) -> Bool {
        let deadline = requestedAt + options.renewDeadline
        guard clock.uptime < deadline else { return false }
        gate.open(until: deadline)
        return true
    }

    private func read(until end: Duration) async throws(APIError) -> Lease? {
        var request = KubernetesRequest.get(
            Lease.resourceType, namespace: options.namespace, name: options.leaseName)
        request.timeout = timeout(until: end)
        do throws(APIError) {
            return try await environment.client.send(request).object(operation: request.operation)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    private func send(_ lease: Lease, isNew: Bool, until end: Duration) async throws(APIError) -> Lease {
        let manager = environment.client.fieldManager
        let body: JSONValue
        do throws(JSONError) {
            body = try JSONValue(encoding: lease)
        } catch {
            throw APIError(.invalid, operation: "PUT leases", message: error.message)
        }
        var request: KubernetesRequest =
            isNew
            ? .create(Lease.resourceType, body, fieldManager: manager)
            : .replace(Lease.resourceType, body, fieldManager: manager)
        request.timeout = timeout(until: end)
        return try await environment.client.send(request).object(operation: request.operation)
    }

    private func timeout(until end: Duration) -> Duration {
        max(.milliseconds(1), min(requestTimeout, end - clock.uptime))
    }

    private func pause(_ duration: Duration) async -> Bool {
        (try? await clock.sleep(for: duration)) != nil  // An error only means: cancelled.
    }
}
