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
            if case .held(let requestedAt) = await attempt(), extendGate(from: requestedAt) {
                environment.report(.leadershipGained(identity: options.identity))
                return true
            }
            // Up to a fifth longer, so that waiting replicas do not move in step.
            guard await pause(options.retryPeriod * (1 + 0.2 * environment.random())) else { return false }
        }
        return false
    }

    /// Renews until the lease is lost (true; the gate is closed then) or the task is cancelled.
    public func keep() async -> Bool {
        while await pause(options.retryPeriod) {
            let deadline = state.withLock(\.deadline) ?? .zero
            let attempt = await attempt()
            let isInTime = clock.uptime < deadline
            switch attempt {
            // A renewal that came back after the deadline is no proof: another may have led in between.
            case .held(let requestedAt) where isInTime && extendGate(from: requestedAt): continue
            case .failed where isInTime: continue
            case .held, .failed, .heldByOther: break
            }
            if Task.isCancelled { break }
            gate.close()
            environment.report(.leadershipLost(identity: options.identity))
            return true
        }
        return false
    }

    /// Gives the lease back on a clean stop. Closes the gate first: nothing may be changed afterwards.
    public func release() async {
        gate.close()
        let now = clock.now
        guard let lease = state.withLock({ $0.released(now: now) }) else { return }
        do throws(APIError) {
            _ = try await send(lease, isNew: false)
        } catch {
            environment.report(.leaseFailed(error))  // It expires by itself.
        }
    }

    private enum Attempt {
        /// Ours; the request that made it so was sent then.
        case held(requestedAt: Duration)
        case heldByOther
        case failed
    }

    /// One try to take or renew the lease; after a conflict it reads and decides once more.
    private func attempt() async -> Attempt {
        var failure: APIError?
        for _ in 0..<2 {
            let start = clock.uptime
            do throws(APIError) {
                guard let written = try await claim(at: start) else { return .heldByOther }
                state.withLock { $0.leaseWritten(written, requestedAt: start) }
                return .held(requestedAt: start)
            } catch {
                failure = error
                guard [.conflict, .alreadyExists, .notFound].contains(error.code) else { break }
                state.withLock { $0.writeConflicted() }
            }
        }
        if let failure { environment.report(.leaseFailed(failure)) }
        return .failed
    }

    /// Reads the lease where that is needed and writes it where it is free; nil when somebody else holds it.
    private func claim(at start: Duration) async throws(APIError) -> Lease? {
        if state.withLock(\.needsRead) {
            let read = try await read()
            state.withLock { $0.leaseRead(read, uptime: start) }
        }
        let now = clock.now
        switch state.withLock({ $0.decide(now: now, uptime: start) }) {
        case .wait: return nil
        case .create(let lease): return try await send(lease, isNew: true)
        case .replace(let lease): return try await send(lease, isNew: false)
        }
    }

    /// Opens the gate for one renew deadline from when the request was sent; false when that has passed already.
    private func extendGate(from requestedAt: Duration) -> Bool {
        let deadline = requestedAt + options.renewDeadline
        guard clock.uptime < deadline else { return false }
        gate.open(until: deadline)
        return true
    }

    private func read() async throws(APIError) -> Lease? {
        var request = KubernetesRequest.get(
            Lease.resourceType, namespace: options.namespace, name: options.leaseName)
        request.timeout = requestTimeout
        do throws(APIError) {
            return try await environment.client.send(request).object(operation: request.operation)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    private func send(_ lease: Lease, isNew: Bool) async throws(APIError) -> Lease {
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
        request.timeout = requestTimeout
        return try await environment.client.send(request).object(operation: request.operation)
    }

    private func pause(_ duration: Duration) async -> Bool {
        (try? await clock.sleep(for: duration)) != nil  // An error only means: cancelled.
    }
}
