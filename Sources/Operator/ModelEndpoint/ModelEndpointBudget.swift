import ControllerRuntime
import Encoding
import Kubernetes

/// What Cloud Monitoring says of the time that instances were paid for in this month.
public enum BillingObservation: Sendable, Hashable {
    case notAsked
    /// Of all instances together.
    case measured(Duration)
    /// Why nothing is known.
    case unknown(String)
}

/// What an endpoint costs in this month (UTC), and the budget that stops it.
///
/// The estimate is the larger of two: the instances that run also without requests, by list price and time; and, where
/// there is a budget, the time that Cloud Monitoring counts for all instances, by list price. That a budget stopped the
/// endpoint is a fact in `status.cost.limitReached`, the limit of that moment: a higher one, or a new month, lets it go on.
enum ModelEndpointBudget {
    typealias Observation = ModelEndpointObservation
    typealias Decision = ModelEndpointDecision
    typealias Cost = ModelEndpoint.Status.Cost

    /// Shortest time between two status writes that carry nothing but money.
    static let interval: Duration = .seconds(900)

    // MARK: Months

    /// `2026-11`
    static func month(_ moment: Timestamp) -> String { String(moment.wholeSeconds.description.prefix(7)) }

    static func monthStart(_ moment: Timestamp) -> Timestamp { monthStart(moment, later: 0) }

    private static func monthStart(_ moment: Timestamp, later months: Int) -> Timestamp {
        var date = CivilDate(containing: moment.seconds)
        date.month += months
        date.day = 1
        return Timestamp(seconds: date.days * 86400)
    }

    /// Whether a cost is of this month; of a later one where the clock was set back.
    private static func isCurrent(_ cost: Cost?, _ observation: Observation) -> Bool {
        (cost?.month).map { $0 >= month(observation.now) } ?? false
    }

    // MARK: Money

    private static func money(_ text: String?) -> Money { text.flatMap { Money(decimal: $0) } ?? .zero }

    private static func limit(_ observation: Observation) -> Money? {
        observation.spec.budget.flatMap { Money(decimal: $0.maxMonthlyCost) }
    }

    /// In this month, up to now.
    static func spent(_ observation: Observation) -> Money {
        let cost = observation.status.cost
        var accrued = isCurrent(cost, observation) ? money(cost?.monthToDate) : .zero
        if let rate = cost?.hourlyRate, let since = cost?.updateTime {
            accrued = accrued + money(rate).accrued(over: observation.now - max(since, monthStart(observation.now)))
        }
        guard case .measured(let time) = observation.billing,
            let hourly = ModelEndpointCost.hourly(observation.predictor)
        else { return accrued }
        return max(accrued, hourly.accrued(over: time))
    }

    /// Whether the budget stopped the endpoint, and still does.
    static func isStopped(_ cost: Cost?, _ observation: Observation) -> Bool {
        guard observation.spec.budget?.onExceeded == .suspend, let limit = limit(observation),
            let reached = cost?.limitReached.flatMap({ Money(decimal: $0) }), isCurrent(cost, observation)
        else { return false }
        return limit <= reached
    }

    // MARK: Stopping

    /// Rule `overBudget`: writes down that the limit is reached; settings then stop all instances.
    static func over(_ observation: Observation) -> Decision? {
        guard let budget = observation.spec.budget, budget.onExceeded == .suspend, !observation.spec.suspend,
            let limit = limit(observation), !isStopped(observation.status.cost, observation),
            spent(observation) >= limit
        else { return nil }
        var status = observation.status
        var cost = status.cost ?? Cost()
        cost.limitReached = budget.maxMonthlyCost
        cost.month = month(observation.now)
        status.cost = cost
        return .record(status, .waiting(.suspending, exceeded(observation)))
    }

    static func stopped(_ observation: Observation) -> ModelEndpointSituation {
        .actionRequired(.budgetExceeded, exceeded(observation))
    }

    private static func exceeded(_ observation: Observation) -> String {
        let budget = observation.spec.budget
        let end = monthStart(observation.now, later: 1)
        let effect = budget?.onExceeded == .suspend ? "no instance runs until \(end)" : "it goes on, as onExceeded says"
        return
            "budget.maxMonthlyCost \(budget?.maxMonthlyCost ?? "") is used up in \(month(observation.now)): \(effect)"
    }

    // MARK: What is told

    /// Brings `status.cost` up to now; what is no news stays as it was.
    static func describe(_ status: inout ModelEndpoint.Status, _ observation: Observation) {
        guard let hourly = ModelEndpointCost.hourly(observation) else {
            status.cost = nil
            return
        }
        let old = observation.status.cost
        var cost = status.cost ?? Cost()
        // Of the month that the limit was reached in: the next one begins anew.
        if !isStopped(cost, observation) { cost.limitReached = nil }
        cost.currencyCode = observation.configuration.prices.currencyCode
        cost.hourlyRate = (hourly * (status.replicas ?? 0)).statusText
        let most = observation.spec.scaling.maxReplicas
        cost.display =
            observation.isStopped
            ? "$0.00/h" : "\((hourly * (status.replicas ?? 0)).display) to \((hourly * most).display)/h"
        let spent = spent(observation)
        let isNews = cost.month != old?.month || cost.hourlyRate != old?.hourlyRate
        let age = old?.updateTime.map { observation.now - $0 }
        let isDue = age.map { $0 >= interval || $0 < .zero } ?? true
        if !isCurrent(old, observation) || isNews || cost.limitReached != old?.limitReached
            || isDue && spent != money(old?.monthToDate)
        {
            cost.month = max(month(observation.now), isCurrent(old, observation) ? old?.month ?? "" : "")
            cost.monthToDate = spent.statusText
            cost.updateTime = observation.moment
        }
        status.cost = cost
    }

    /// Condition `WithinBudget`; nil without a budget.
    static func condition(
        _ observation: Observation
    ) -> (status: Condition.Status, reason: ModelEndpointReason, message: String)? {
        guard let budget = observation.spec.budget, let limit = limit(observation) else { return nil }
        if isStopped(observation.status.cost, observation) || spent(observation) >= limit {
            return (.false, .budgetExceeded, exceeded(observation))
        }
        if case .unknown(let why) = observation.billing {
            return (
                .unknown, .costNotMeasured,
                "Cloud Monitoring does not say how long instances ran (\(why)): only scaling.minReplicas is counted"
            )
        }
        return (.true, .withinBudget, "less than budget.maxMonthlyCost \(budget.maxMonthlyCost) is spent this month")
    }

    /// When the budget is to be looked at again; nil: no need.
    static func nextLook(_ status: ModelEndpoint.Status, _ observation: Observation) -> Timestamp? {
        guard let limit = limit(observation) else { return nil }
        let spent = spent(observation)
        guard spent < limit, !isStopped(status.cost, observation) else {
            return monthStart(observation.now, later: 1)
        }
        guard status.active != nil, !observation.isStopped else { return nil }
        let rate = money(status.cost?.hourlyRate)
        guard rate > .zero else { return observation.now + interval }
        let left = Int128(limit.subtracting(spent).microdollars) * 3600 / Int128(rate.microdollars) + 1
        return observation.now + min(interval, .seconds(Int64(clamping: left)))
    }

    /// Why a budget in this form cannot be kept; nil when it can.
    static func problem(_ observation: Observation) -> String? {
        guard let budget = observation.spec.budget else { return nil }
        guard let limit = limit(observation), limit > .zero else { return "budget.maxMonthlyCost must be above 0" }
        let currency = observation.configuration.prices.currencyCode
        guard budget.currencyCode == currency else {
            return "budget.currencyCode is \(budget.currencyCode); this installation knows prices in \(currency)"
        }
        guard ModelEndpointCost.hourly(observation) != nil || budget.onExceeded == .warn else {
            return "there is no list price for this predictor, so budget.maxMonthlyCost cannot be kept: set "
                + "budget.onExceeded to Warn"
        }
        return nil
    }
}

/// The roll-out's own cost: new instances run beside those that serve.
enum ModelEndpointSurge {
    /// Why a roll-out may not begin; nil when it may.
    static func problem(_ observation: ModelEndpointObservation) -> String? {
        guard let text = observation.rollout.maxSurgeHourlyCost, let limit = Money(decimal: text),
            let target = observation.target, let active = observation.status.active,
            active.templateHash != target.hash, observation.status.candidate?.templateHash != target.hash
        else { return nil }
        guard let hourly = ModelEndpointCost.hourly(observation.predictor) else {
            return "there is no list price for this predictor, so rollout.maxSurgeHourlyCost \(text) cannot be kept"
        }
        let count = max(1, ModelEndpointWindows.minimum(observation))
        let surge = hourly * count
        guard surge > limit else { return nil }
        let instances = count == 1 ? "an instance" : "\(count) instances"
        return
            "version \(target.model.version) waits: \(instances) beside those that serve cost \(surge.display) an hour, "
            + "and rollout.maxSurgeHourlyCost is \(text)"
    }
}
