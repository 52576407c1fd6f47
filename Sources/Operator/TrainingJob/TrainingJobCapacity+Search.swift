import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP

/// What is known of one pool.
struct PoolState {
    let pool: NodePool?
    /// An operation on this pool is under way.
    let isBusy: Bool
    /// An operation on anything of the cluster is under way: GKE takes one at a time.
    let clusterIsBusy: Bool
    /// A resize since the pool was created is under way or has succeeded.
    let wasSized: Bool
    /// The latest operation's failure.
    let failure: APIError?
    /// The operation under way.
    let operationName: String?
    private let create: ContainerOperation?

    init(_ name: String, _ observation: TrainingJobObservation) {
        pool = observation.pool(name)
        let cluster = observation.configuration.cluster
        let own = observation.operations.filter { $0.targets(nodePool: name) }
            .sorted { PoolState.start($0) < PoolState.start($1) }
        isBusy = own.contains { !$0.isDone }
        operationName = own.last { !$0.isDone }?.name
        clusterIsBusy = observation.operations.contains { operation in
            !operation.isDone && operation.targetLink?.contains("/clusters/\(cluster.cluster)") == true
        }
        // A pool of the same name may have lived before: only what came after the last create counts.
        let start = own.lastIndex { $0.operationType == "CREATE_NODE_POOL" } ?? 0
        let present = own.dropFirst(start)
        wasSized = present.contains { $0.operationType == "SET_NODE_POOL_SIZE" && $0.failure == nil }
        let last = present.last { $0.operationType != "DELETE_NODE_POOL" }
        failure = last?.failure
        create = own.last { $0.operationType == "CREATE_NODE_POOL" }
    }

    private static func start(_ operation: ContainerOperation) -> Timestamp {
        operation.startTime.flatMap { Timestamp($0) } ?? .distantPast
    }

    /// Why the latest create failed, if it began with the present intent. Google's clock and ours may differ by seconds;
    /// the same pool is not tried again within a minute.
    func failedCreate(since intent: Timestamp?) -> APIError? {
        guard let create, let intent, let begun = create.startTime.flatMap({ Timestamp($0) }),
            begun > intent + .seconds(-10)
        else { return nil }
        return create.failure
    }
}

/// Why an option gave no machines.
struct CapacityFailure: Sendable, Hashable {
    var reason: Reason
    /// Google's word.
    var code: String?
    var message: String
}

extension TrainingJobCapacity {
    enum NextOption: Equatable {
        case option(CapacityOption)
        case waitUntil(Timestamp)
    }

    /// The first option that did not fail in this search, else the one that failed longest ago, after a pause.
    static func next(
        of options: [CapacityOption], _ capacity: TrainingJob.CapacityStatus, since start: Timestamp?,
        _ observation: TrainingJobObservation
    ) -> NextOption {
        func lastFailure(_ option: CapacityOption) -> Timestamp? {
            capacity.attempts.filter { attempt in
                attempt.candidate == option.candidate.name && attempt.zone == option.zone
                    && attempt.result != Reason.acquired.rawValue
            }.compactMap(\.lastTime).filter { start == nil || $0 >= start ?? $0 }.max()
        }
        let failures = options.map { (option: $0, time: lastFailure($0)) }
        if let fresh = failures.first(where: { $0.time == nil }) { return .option(fresh.option) }
        guard let oldest = failures.min(by: { ($0.time ?? .distantPast) < ($1.time ?? .distantPast) }),
            let time = oldest.time
        else { return .waitUntil(observation.moment + observation.configuration.capacityRetryInterval) }
        let due = time + observation.configuration.capacityRetryInterval
        // A time in the future: the clock was set back.
        return observation.now >= due || observation.now < time ? .option(oldest.option) : .waitUntil(due)
    }

    /// When the present search began: at the last attempt's end, else with the run.
    static func searchStart(_ observation: TrainingJobObservation) -> Timestamp? {
        observation.status.attempts.last?.endTime ?? observation.status.run?.startTime
    }

    /// Evidence that this option gives no machines: one of its pools was refused, failed or vanished, or was waited for
    /// too long.
    static func failure(
        _ option: CapacityOption, _ name: String, _ state: PoolState, _ observation: TrainingJobObservation
    ) -> CapacityFailure? {
        let entry = observation.status.resources.first { $0.name == name }
        guard let pool = state.pool else {
            if let refusal = observation.refusals[name] { return classify(refusal, option) }
            if let failed = state.failedCreate(since: entry?.intentTime) { return classify(failed, option) }
            if let entry, entry.state != CloudResource.intent, !state.isBusy {
                return CapacityFailure(
                    reason: .capacityUnavailable, code: vanishedCode, message: "the node pool vanished")
            }
            return nil
        }
        guard observation.isOurs(pool), !state.isBusy else { return timeout(option, observation) }
        if let error = pool.failure ?? state.failure { return classify(error, option) }
        return timeout(option, observation)
    }

    private static func timeout(
        _ option: CapacityOption, _ observation: TrainingJobObservation
    ) -> CapacityFailure? {
        let limit = option.candidate.maxWaitSeconds ?? longestWaitSeconds(option)
        guard let start = observation.status.capacity?.startTime, observation.now - start > .seconds(limit),
            // Machines that are there were not waited for in vain.
            option.pools.reduce(0, { $0 + observation.nodes(of: $1).count(where: \.isReady) }) < option.shape.nodeCount
        else { return nil }
        return CapacityFailure(reason: .timedOut, code: nil, message: "no machines within \(limit) s")
    }

    /// GKE itself gives up after about 35 minutes, and takes some for each pool; nothing is waited for without end.
    private static func longestWaitSeconds(_ option: CapacityOption) -> Int { 3600 + 900 * option.pools.count }

    private static func classify(_ error: APIError, _ option: CapacityOption) -> CapacityFailure {
        let isReservation =
            option.candidate.reservation != nil && error.code != .quotaExceeded
            && (error.message.contains("eservation") || error.message.contains("RESERVATION"))
        if isReservation {
            return CapacityFailure(reason: .reservationUnavailable, code: error.reason, message: error.message)
        }
        let reason: Reason =
            switch error.code {
            case .stockedOut: .stockedOut
            case .quotaExceeded: .quotaExceeded
            case .forbidden, .unauthorized: .permissionDenied
            case .invalid, .notFound, .alreadyExists, .conflict, .preconditionFailed, .expired, .rateLimited,
                .unavailable, .timeout, .cancelled, .tooLarge, .malformedResponse, .insecure:
                .capacityUnavailable
            }
        return CapacityFailure(reason: reason, code: error.reason, message: error.message)
    }

    /// Counts a try in the ledger, which keeps the 24 with the latest `lastTime`.
    static func add(
        _ result: Reason, _ option: CapacityOption, code: String?, message: String,
        to status: inout TrainingJob.Status, at now: Timestamp
    ) {
        var capacity = status.capacity ?? TrainingJob.CapacityStatus()
        let index = capacity.attempts.firstIndex { attempt in
            attempt.candidate == option.candidate.name && attempt.zone == option.zone
                && attempt.result == result.rawValue
        }
        var attempt =
            index.map { capacity.attempts.remove(at: $0) }
            ?? TrainingJob.CapacityStatus.Attempt(
                candidate: option.candidate.name, zone: option.zone, result: result.rawValue, count: 0, firstTime: now)
        attempt.count += 1
        attempt.lastTime = now
        attempt.code = code
        attempt.message = message.isEmpty ? nil : Conditions.cut(CapacityWords.essence(of: message), to: 128)
        capacity.attempts = Array((capacity.attempts + [attempt]).suffix(24))
        status.capacity = capacity
    }

    /// Why the last option gave nothing, for the headline while the next is prepared.
    static func lastReason(_ observation: TrainingJobObservation) -> Reason {
        let last = observation.status.capacity?.attempts.last
        guard let reason = last.flatMap({ Reason(rawValue: $0.result) }), reason != .acquired else {
            return .provisioning
        }
        return reason
    }

    /// How long the next attempt still waits, five minutes at most: after a failure that counts 5 s, doubled each time;
    /// after machines that were lost within two minutes, twice or more in a row, 10 s, doubled each time, so that whoever
    /// takes them away does not make us buy without end.
    static func restartDelay(_ observation: TrainingJobObservation) -> Duration? {
        guard let last = observation.status.attempts.last, let end = last.endTime,
            let cause = last.cause.flatMap(Reason.init)
        else { return nil }
        let pause: Int
        if cause.losesMachines {
            let lostCount = observation.status.attempts.reversed().prefix(while: wasLostAtOnce).count
            guard lostCount >= 2 else { return nil }
            pause = 10 << min(lostCount - 2, 5)
        } else {
            // Failures that the limit ignores make the pauses longer all the same.
            let ignoring = TrainingJob.FailurePolicy.Action.restartIgnoringLimit.rawValue
            let ignoredCount = observation.status.attempts.reversed().prefix { $0.action == ignoring }.count
            let count = max(observation.status.restartsCountTowardsMax ?? 0, ignoredCount)
            guard count > 0 else { return nil }
            pause = 5 << min(count - 1, 6)
        }
        let whole = Duration.seconds(min(300, pause))
        // Never more than the whole of it, also when the clock was set back.
        let left = min(whole, end + whole - observation.now)
        return left > .zero ? left : nil
    }

    // MARK: The recreate budget

    /// So many machines in a row may be taken away as soon as they are there; then one try an hour is left.
    static let recreateBudget = 6
    private static let recreatePause: Duration = .seconds(3600)
    /// Of a pool that somebody deleted before its nodes were ready, in the ledger.
    static let vanishedCode = "POOL_VANISHED"

    /// When machines may be bought again after too many were taken away at once; nil while they may.
    ///
    /// Losses count from the last attempt that kept its machines, or that a suspension ended.
    static func recreateBudgetEnd(_ observation: TrainingJobObservation) -> (lostCount: Int, end: Timestamp)? {
        let attempts = observation.status.attempts
        let lost = attempts.reversed().prefix(while: wasLostAtOnce)
        let since = attempts.dropLast(lost.count).last?.endTime
        let vanished = (observation.status.capacity?.attempts ?? []).filter { attempt in
            guard attempt.code == vanishedCode, let time = attempt.lastTime else { return false }
            return since.map { time > $0 } ?? true
        }
        let lostCount = lost.count + vanished.reduce(0) { $0 + $1.count }
        let times = vanished.compactMap(\.lastTime) + [lost.first?.endTime].compactMap { $0 }
        guard lostCount >= recreateBudget, let last = times.max() else { return nil }
        let end = last + recreatePause
        // A last time in the future: the clock was set back.
        return (last...end).contains(observation.moment) && observation.moment < end ? (lostCount, end) : nil
    }

    private static func wasLostAtOnce(_ attempt: TrainingJob.Attempt) -> Bool {
        guard let start = attempt.startTime, let end = attempt.endTime,
            let cause = attempt.cause.flatMap(Reason.init)
        else { return false }
        return cause.losesMachines && cause != .suspended && cause != .budgetExceeded && end - start < .seconds(120)
    }
}

extension Timestamp {
    /// Before everything that a status holds.
    static let distantPast = Timestamp(seconds: .min / 2)
}
