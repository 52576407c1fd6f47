import ControllerRuntime
import Encoding
import Kubernetes

extension TrainingJob {
    /// The most that a run may cost.
    public struct Budget: Codable, Sendable, Hashable {
        public enum OnExceeded: String, Codable, Sendable, Hashable {
            case checkpointAndSuspend = "CheckpointAndSuspend"
            case fail = "Fail"
            case warn = "Warn"
        }

        public var currencyCode: String
        public var maxCost: String
        public var onExceeded: OnExceeded
    }
}

/// The budget: work stops, after a checkpoint, before the money is gone.
///
/// That a run was stopped is a fact in `status.cost.limitReached`, the `maxCost` of that moment: only a higher one lets it
/// go on, so that prices that differ from candidate to candidate cannot make it start and stop without end.
enum TrainingJobBudget {
    typealias Decision = TrainingJobDecision

    /// From the pods' end until the cloud counts no machine any more, in seconds; paid for like training.
    static let releaseSeconds = 300

    /// Rule `overBudget`: stops a run that spends, keeps a stopped one stopped, and buys nothing that cannot be paid.
    static func over(_ observation: TrainingJobObservation) -> Decision? {
        guard !observation.spec.suspend, let run = observation.activeRun, observation.succeededAttempt == nil,
            let budget = observation.spec.budget, budget.onExceeded != .warn,
            let limit = Money(decimal: budget.maxCost)
        else { return nil }
        if isStopped(observation.status, limit) { return stop(run, budget, limit, observation) }
        let isHolding = observation.activeAttempt != nil || !observation.status.resources.isEmpty
        guard isHolding else { return refusal(run, budget, limit, observation) }
        let rate = TrainingJobCost.hourlyRate(observation.status, observation)
        let reserve = reserve(rate, observation.runSpec)
        guard spent(observation.status, observation) + reserve >= limit else { return nil }
        return stop(run, budget, limit, observation)
    }

    /// Whether the run was stopped at this budget or a higher one.
    private static func isStopped(_ status: TrainingJob.Status, _ limit: Money) -> Bool {
        guard let reached = status.cost?.limitReached.flatMap({ Money(decimal: $0) }) else { return false }
        return limit <= reached
    }

    private static func spent(_ status: TrainingJob.Status, _ observation: TrainingJobObservation) -> Money {
        TrainingJobCost.accrued(status.cost, until: observation.moment, observation.clockJumps)
    }

    /// What stopping may still cost.
    private static func reserve(_ rate: Money, _ spec: RunSpec?) -> Money {
        rate.accrued(over: .seconds((spec?.gracePeriodSeconds ?? 600) + releaseSeconds))
    }

    // MARK: Before money is spent

    /// Why no machine is bought: the budget does not pay for one, or nobody knows what it would cost.
    private static func refusal(
        _ run: TrainingJob.Run, _ budget: TrainingJob.Budget, _ limit: Money, _ observation: TrainingJobObservation
    ) -> Decision? {
        guard let spec = observation.recordedSpec,
            let options = try? TrainingJobNodePool.options(for: run, spec, observation).get()
        else { return nil }  // `invalidSpec` says why.
        if let message = unpayable(budget, options, spec, observation) {
            return Decision(
                status: observation.status, situation: .actionRequired(.priceUnknown, message),
                next: .after(TrainingJobPlan.slowRecheck))
        }
        guard let reserve = smallestReserve(options, spec),
            spent(observation.status, observation) + reserve >= limit
        else { return nil }
        guard budget.onExceeded != .fail else { return stop(run, budget, limit, observation) }
        return Decision(status: observation.status, situation: .stoppedByBudget(why(budget, observation)))
    }

    /// What stopping would cost on the cheapest machines.
    private static func smallestReserve(_ options: [CapacityOption], _ spec: RunSpec) -> Money? {
        let prices = options.compactMap(\.hourlyPrice)
        return prices.min().map { reserve($0, spec) }
    }

    /// Why a budget does not pay for anything, as a sentence; nil when it does.
    static func tooSmall(_ budget: TrainingJob.Budget, _ options: [CapacityOption], _ spec: RunSpec) -> String? {
        guard let limit = Money(decimal: budget.maxCost), let reserve = smallestReserve(options, spec),
            reserve >= limit
        else { return nil }
        return "budget.maxCost \(budget.maxCost) does not pay for more than stopping: grace period and release take "
            + "\(reserve.display) of it"
    }

    /// Why a budget in this form cannot be kept, as a sentence; nil when it can.
    static func unpayable(
        _ budget: TrainingJob.Budget, _ options: [CapacityOption], _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> String? {
        let currency = observation.configuration.prices.currencyCode
        guard budget.currencyCode == currency else {
            return "budget.currencyCode is \(budget.currencyCode); this installation knows prices in \(currency)"
        }
        let policy = NodeSelection.policy(spec)
        guard policy == .createPerRun else {
            return
                "what nodes of nodePool.policy \(policy.rawValue) cost is not known, so budget.maxCost cannot be kept: "
                + "use policy CreatePerRun, or set budget.onExceeded to Warn"
        }
        guard let unpriced = options.first(where: { $0.nodePrice == nil }) else { return nil }
        return
            "candidate \(TrainingJobCapacity.describe(unpriced)) has no list price, so budget.maxCost cannot be kept: "
            + "remove the candidate, give the operator its price (--price-file), or set budget.onExceeded to Warn"
    }

    // MARK: Stopping

    private static func stop(
        _ run: TrainingJob.Run, _ budget: TrainingJob.Budget, _ limit: Money,
        _ observation: TrainingJobObservation
    ) -> Decision {
        if let recorded = recording(run, budget, limit, observation) { return recorded }
        let message = why(budget, observation)
        guard TrainingJobRelease.holdsSomething(observation) else {
            return Decision(status: observation.status, situation: .stoppedByBudget(message))
        }
        let progress = TrainingJobRelease.everything(observation)
        guard progress.isDone else {
            let pools = progress.status.resources.map(\.name).joined(separator: ", ")
            let wait = pools.isEmpty ? "waiting for the pods to stop" : "waiting until node pool \(pools) is gone"
            return Decision(
                steps: progress.steps, status: progress.status,
                situation: progress.blocked ?? .suspending("\(message); \(wait)"),
                next: .after(observation.configuration.pollInterval))
        }
        return .record(progress.status, .stoppedByBudget(message))
    }

    /// What is written before anything stops: that it was the budget, and the end of the attempt, or of the run.
    private static func recording(
        _ run: TrainingJob.Run, _ budget: TrainingJob.Budget, _ limit: Money,
        _ observation: TrainingJobObservation
    ) -> Decision? {
        var status = observation.status
        if budget.onExceeded != .fail, TrainingJobRun.isChanged(run, observation) {
            TrainingJobRun.end(
                &status, .superseded, .superseded, observation,
                message: "the spec changed while the budget had stopped the run")
            return .record(status, .suspending("the spec changed: this run ends"))
        }
        let isRecorded =
            isStopped(status, limit) && observation.activeAttempt == nil && status.capacity?.current == nil
        guard budget.onExceeded == .fail || !isRecorded else { return nil }
        // No amounts: they are in the cost, and a message that depends on the moment differs each time.
        let message = why(budget, observation)
        var cost = status.cost ?? TrainingJob.Cost()
        cost.limitReached = limit.decimal
        status.cost = cost
        if budget.onExceeded == .fail {
            TrainingJobRun.end(&status, .failed, .budgetExceeded, observation, message: message)
            return .record(status, .releasing(message))
        }
        TrainingJobRun.endAttempt(&status, .budgetExceeded, observation)
        status.capacity?.current = nil
        status.capacity?.zone = nil
        status.lastFailure = TrainingJob.Failure(
            class: Reason.budgetExceeded.failureClass?.rawValue, component: "TrainingJob",
            reason: Reason.budgetExceeded.rawValue, message: message, hint: Reason.budgetExceeded.hint,
            time: observation.moment)
        return .record(status, .suspending(message))
    }

    private static func why(_ budget: TrainingJob.Budget, _ observation: TrainingJobObservation) -> String {
        guard observation.status.cost?.accrued.flatMap({ Money(decimal: $0) }) ?? .zero == .zero else {
            return usedUp(budget)
        }
        return
            "budget.maxCost \(budget.maxCost) \(budget.currencyCode) does not pay for more than starting and stopping: "
            + "raise it"
    }

    private static func usedUp(_ budget: TrainingJob.Budget) -> String {
        let text = "budget.maxCost \(budget.maxCost) \(budget.currencyCode) is used up"
        return switch budget.onExceeded {
        case .checkpointAndSuspend: "\(text): raise it, and the run goes on from its last checkpoint"
        case .fail: text
        case .warn: "\(text); the run goes on, because onExceeded is Warn"
        }
    }

    // MARK: Conditions, pools

    /// `WithinBudget`, for objects with a budget and a run. Its message holds no amount that changes by itself.
    static func condition(_ status: TrainingJob.Status, _ observation: TrainingJobObservation) -> Condition? {
        guard let budget = observation.spec.budget, status.run != nil, let limit = Money(decimal: budget.maxCost)
        else { return nil }
        let isOver =
            budget.onExceeded == .warn ? spent(status, observation) >= limit : isStopped(status, limit)
        let reason = isOver ? Reason.budgetExceeded : .withinBudget
        let within = "budget.maxCost \(budget.maxCost) \(budget.currencyCode) is not used up"
        return Condition(
            type: conditionType, status: isOver ? .false : .true, reason: reason.rawValue,
            message: isOver ? usedUp(budget) : within, lastTransitionTime: observation.moment,
            observedGeneration: status.observedGeneration)
    }

    static let conditionType = "WithinBudget"

    /// After how many seconds Compute Engine ends a machine of this option by itself: when it would have used up the rest
    /// of the budget. Nil without a budget that stops, and without a price.
    static func maximumRunSeconds(_ option: CapacityOption, _ observation: TrainingJobObservation) -> Int64? {
        guard let budget = observation.spec.budget, budget.onExceeded != .warn,
            let limit = Money(decimal: budget.maxCost),
            let rate = option.hourlyPrice, rate > .zero
        else { return nil }
        let left = max(.zero, limit.subtracting(spent(observation.status, observation)))
        let seconds = Int128(left.microdollars) * 3600 / Int128(rate.microdollars)
        // Compute Engine takes between 30 seconds and 120 days; a machine needs minutes to be of any use.
        return Int64(min(max(seconds, 60), 120 * 86400))
    }
}
