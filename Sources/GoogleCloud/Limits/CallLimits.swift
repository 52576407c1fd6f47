internal import Encoding
internal import HTTP
internal import Synchronization
public import Telemetry

/// What every call passes before it is sent: the circuit breaker of its API, the rate of its API and project, and, for
/// changes of a GKE cluster, the cluster's queue. One for a process; all its clients share it.
///
/// Waits are bounded, end on cancellation, and are measured by uptime. Nothing is retried here.
public final class CallLimits: Sendable {
    private struct RateKey: Hashable {
        var project: String
        var api: String
        var verb: CallKind.Verb
    }

    private struct Cluster {
        var queue: ClusterQueueState
        var tickets: [Int: Ticket<Bool>] = [:]
    }

    private struct State {
        var breakers: [String: BreakerState] = [:]
        var buckets: [RateKey: TokenBucket] = [:]
        var clusters: [String: Cluster] = [:]
        var lastID = 0
    }

    /// One call on its way; it is given to `finished`, once.
    struct Permit: Sendable {
        fileprivate let kind: CallKind
        fileprivate let isProbe: Bool
    }

    /// Projects × APIs × verbs that are remembered; one that has rested is forgotten without a loss.
    private static let maximumBuckets = 4096

    private let settings: LimitSettings
    private let clock: any WallClock
    private let metrics: CallMetrics?
    private let random: @Sendable () -> Double
    private let state = Mutex(State())

    /// - Parameter random: from 0 to 1; spreads the next tries of calls that are refused together.
    public init(
        _ settings: LimitSettings = LimitSettings(), clock: any WallClock, metrics: CallMetrics? = nil,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
    ) {
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.random = random
    }

    /// Waits until the call may go.
    ///
    /// - Throws: `.unavailable` at once while its API is left alone, `.rateLimited` when it would wait too long or too
    ///   many wait already (both with `retryAfter`), `.cancelled`.
    func admit(_ call: GoogleCall) async throws(APIError) -> Permit {
        let kind = CallKind(call)
        try refuseWhileOpen(kind, call.operation)
        try await waitForRate(kind, call.operation)
        if let cluster = kind.cluster { try await waitForTurn(cluster, kind, call.operation) }
        do throws(APIError) {
            // Last, so that a probe is sent at once and one that waits does not stand for the API.
            return Permit(kind: kind, isProbe: try passBreaker(kind, call.operation))
        } catch {
            leaveCluster(kind, isOccupied: false)
            throw error
        }
    }

    /// The call's end.
    func finished(_ permit: Permit, _ result: CallResult) {
        leaveCluster(permit.kind, isOccupied: result == .occupied)
        if result == .throttled || result == .occupied { countThrottled(permit.kind, .service) }
        let (now, time) = (clock.uptime, clock.now)
        let api = permit.kind.api
        state.withLock { state in
            var breaker = state.breakers[api] ?? BreakerState(settings.breaker)
            switch result {
            case .answered, .throttled, .occupied:
                if breaker.succeeded() { metrics?.breakerOpen.set(0, api) }
            case .failed(let what):
                if breaker.failed(what, isProbe: permit.isProbe, now: now, at: time) {
                    metrics?.breakerOpen.set(1, api)
                    metrics?.breakerOpened.increment(api)
                }
            case .unknown:
                if permit.isProbe { breaker.probeAbandoned(now: now) }
            }
            state.breakers[api] = breaker
        }
    }

    // MARK: Breaker

    /// - Returns: whether the call is a probe.
    private func passBreaker(_ kind: CallKind, _ operation: String) throws(APIError) -> Bool {
        let now = clock.uptime
        let (answer, breaker) = state.withLock { state in
            var breaker = state.breakers[kind.api] ?? BreakerState(settings.breaker)
            let answer = breaker.ask(now: now)
            state.breakers[kind.api] = breaker
            return (answer, breaker)
        }
        switch answer {
        case .go(let isProbe): return isProbe
        case .refuse(let pause): throw refusal(breaker, pause, kind, operation)
        }
    }

    /// So that nothing waits only to be refused.
    private func refuseWhileOpen(_ kind: CallKind, _ operation: String) throws(APIError) {
        guard var breaker = state.withLock({ $0.breakers[kind.api] }) else { return }
        if case .refuse(let pause) = breaker.ask(now: clock.uptime) {
            throw refusal(breaker, pause, kind, operation)
        }
    }

    private func refusal(
        _ breaker: BreakerState, _ pause: Duration, _ kind: CallKind, _ operation: String
    ) -> APIError {
        countThrottled(kind, .breaker)
        let since = breaker.failingSince.map { " since \($0.wholeSeconds)" } ?? ""
        return APIError(
            .unavailable, operation: operation,
            message: "Google's \(kind.api) API has not answered\(since) (\(breaker.lastFailure)): it is left alone, "
                + "and tried again from time to time",
            reason: "CircuitBreakerOpen", retryAfter: spread(pause))
    }

    // MARK: Rate

    private func waitForRate(_ kind: CallKind, _ operation: String) async throws(APIError) {
        let now = clock.uptime
        let rates = settings.rates[kind.api] ?? settings.otherRates
        let key = RateKey(project: kind.project, api: kind.api, verb: kind.verb)
        let (wait, next) = state.withLock { state in
            if state.buckets.count >= Self.maximumBuckets, state.buckets[key] == nil {
                state.buckets = state.buckets.filter { pair in
                    var bucket = pair.value
                    return !bucket.isFull(now: now)
                }
            }
            var bucket = state.buckets[key] ?? TokenBucket(kind.verb == .read ? rates.read : rates.mutate)
            let wait = bucket.reserve(now: now, longestWait: settings.longestRateWait)
            state.buckets[key] = bucket
            return (wait, bucket.wait())
        }
        guard let wait else {
            countThrottled(kind, .rate)
            throw APIError(
                .rateLimited, operation: operation,
                message: "too many calls to Google's \(kind.api) API wait already", reason: "ClientRateLimit",
                retryAfter: spread(next))
        }
        metrics?.waits.observe(wait, kind.api, kind.verb.rawValue, CallMetrics.Limit.rate.rawValue)
        if wait == .zero { return }
        do throws(CancellationError) {
            try await clock.sleep(for: wait)
        } catch {
            state.withLock { $0.buckets[key]?.giveBack() }
            throw cancelled(operation)
        }
    }

    // MARK: Cluster

    private func waitForTurn(_ cluster: String, _ kind: CallKind, _ operation: String) async throws(APIError) {
        let begun = clock.uptime
        let ticket = Ticket<Bool>()
        let (id, first) = state.withLock { state in
            state.lastID += 1
            var entry = state.clusters[cluster] ?? Cluster(queue: ClusterQueueState(settings.cluster))
            let answer = entry.queue.enter(state.lastID, owner: CallOwner.current, now: begun)
            entry.tickets[state.lastID] = ticket
            if answer == .refuse || answer == .go { entry.tickets[state.lastID] = nil }
            state.clusters[cluster] = entry
            return (state.lastID, answer)
        }
        var answer = first
        var current = ticket
        while case .wait(let limit) = answer {
            let isAlive = await current.value(within: limit, clock: clock, late: true) != nil && !Task.isCancelled
            let fresh = Ticket<Bool>()
            let now = clock.uptime
            answer = state.withLock { state in
                guard isAlive else {
                    state.clusters[cluster]?.queue.leave(id)
                    state.clusters[cluster]?.tickets[id] = nil
                    wake(cluster, &state)
                    return .refuse
                }
                let answer = state.clusters[cluster]?.queue.look(id, now: now) ?? .refuse
                if case .wait = answer {
                    state.clusters[cluster]?.tickets[id] = fresh
                } else {
                    state.clusters[cluster]?.tickets[id] = nil
                    if answer == .refuse { wake(cluster, &state) }
                }
                return answer
            }
            guard isAlive else { throw cancelled(operation) }
            current = fresh
        }
        metrics?.waits.observe(
            clock.uptime - begun, kind.api, kind.verb.rawValue, CallMetrics.Limit.cluster.rawValue)
        guard answer == .go else {
            countThrottled(kind, .cluster)
            throw APIError(
                .rateLimited, operation: operation,
                message: "other changes of \(cluster) go first: GKE makes one at a time", reason: "ClusterBusy",
                retryAfter: spread(GoogleCloudErrors.operationRunningRetry))
        }
    }

    private func leaveCluster(_ kind: CallKind, isOccupied: Bool) {
        guard let cluster = kind.cluster else { return }
        let now = clock.uptime
        state.withLock { state in
            state.clusters[cluster]?.queue.finished(isOccupied: isOccupied, now: now)
            wake(cluster, &state)
            state.clusters = state.clusters.filter { !$0.value.queue.isIdle(now: now) }
        }
    }

    /// Everybody looks again whose turn it is; there are few.
    private func wake(_ cluster: String, _ state: inout State) {
        state.clusters[cluster]?.tickets.values.forEach { $0.resolve(true) }
    }

    // MARK: Common

    private func countThrottled(_ kind: CallKind, _ limit: CallMetrics.Limit) {
        metrics?.throttled.increment(kind.api, kind.verb.rawValue, limit.rawValue)
    }

    /// Up to half as long again: those that are refused together do not come back together.
    private func spread(_ pause: Duration) -> Duration {
        let pause = max(pause, .seconds(1))
        return pause + pause * (random() / 2)
    }

    private func cancelled(_ operation: String) -> APIError {
        APIError(.cancelled, operation: operation, message: "cancelled while it waited to be sent")
    }
}

/// What a call's end says about the API.
enum CallResult: Sendable, Hashable {
    /// Whatever the answer was.
    case answered
    /// 429 and the like.
    case throttled
    /// The cluster is busy with another operation.
    case occupied
    /// No answer, or one of a front end that has none.
    case failed(String)
    /// Cancelled, or not sent.
    case unknown

    init(_ error: APIError) {
        switch error.code {
        case .unavailable, .timeout: self = .failed(error.message)
        default: self = .unknown
        }
    }

    /// - Parameter error: of a reply that is no success, classified.
    init(status: Int, error: @autoclosure () -> APIError?) {
        if (200..<400).contains(status) {
            self = .answered
            return
        }
        if [408, 500, 502, 503, 504].contains(status) {
            self = .failed("HTTP \(status)")
            return
        }
        guard let error = error(), error.code == .rateLimited else {
            self = .answered
            return
        }
        self = error.retryAfter == GoogleCloudErrors.operationRunningRetry ? .occupied : .throttled
    }
}
