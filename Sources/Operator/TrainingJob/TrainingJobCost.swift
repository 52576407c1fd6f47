import Encoding

/// The estimate of what a run costs: list price of the machine times the time that its nodes were observed.
enum TrainingJobCost {
    /// Brings the cost up to now: the rate so far over the time since the last update, then the present rate.
    static func update(_ status: inout TrainingJob.Status, _ observation: TrainingJobObservation) {
        guard status.cost != nil || !status.resources.isEmpty else { return }
        let previous = status.cost
        let accrued = accrued(previous, until: observation.moment, observation.clockJumps)
        let isPriced = status.resources.allSatisfy { $0.hourlyCost != nil }
        var cost = TrainingJob.Cost()
        cost.currencyCode = observation.configuration.prices.currencyCode
        cost.accrued = accrued.statusText
        cost.limitReached = previous?.limitReached
        // Absent while nothing is paid for.
        let rate = hourlyRate(status, observation)
        cost.hourlyRate = rate == .zero ? nil : rate.statusText
        cost.projected = projected(accrued, rate, status)?.statusText
        cost.basis = isPriced ? observation.configuration.prices.basis : "no list price"
        cost.display = isPriced ? display(accrued, isSpending: rate > .zero) : "unknown"
        // No nodes, and none before: the time of the update is no news.
        let hasNodes = status.resources.contains { !observation.nodes(of: $0.name).isEmpty }
        let isIdle = previous != nil && !hasNodes && previous?.hourlyRate == cost.hourlyRate
        cost.updateTime = isIdle ? previous?.updateTime : observation.moment
        status.cost = cost
        charge(accrued.subtracting(money(previous?.accrued)), to: &status)
    }

    /// Nothing but money that was not spent is "$0.00".
    private static func display(_ accrued: Money, isSpending: Bool) -> String {
        accrued == .zero && isSpending ? "<$0.01" : accrued.display
    }

    /// What the run will have cost at its end, by the trainer's own estimate; nil without one.
    private static func projected(_ accrued: Money, _ rate: Money, _ status: TrainingJob.Status) -> Money? {
        guard status.run?.result == nil, rate > .zero,
            let remaining = status.trainerStatus?.estimatedRemainingSeconds
        else { return nil }
        return accrued + rate.accrued(over: .seconds(remaining))
    }

    /// What was spent since the last update belongs to the latest attempt: its own time, and that of the machines after it.
    private static func charge(_ amount: Money, to status: inout TrainingJob.Status) {
        guard amount > .zero, let last = status.attempts.indices.last else { return }
        status.attempts[last].cost = (money(status.attempts[last].cost) + amount).statusText
    }

    private static func money(_ text: String?) -> Money { text.flatMap { Money(decimal: $0) } ?? .zero }

    /// What a cost amounts to at a later moment: its rate goes on until the next update. A clock that was put forward costs
    /// nothing.
    static func accrued(_ cost: TrainingJob.Cost?, until now: Timestamp, _ jumps: [ClockJump] = []) -> Money {
        let accrued = money(cost?.accrued)
        guard let rate = cost?.hourlyRate.flatMap({ Money(decimal: $0) }), let since = cost?.updateTime else {
            return accrued
        }
        return accrued + rate.accrued(over: jumps.elapsed(since: since, until: now))
    }

    /// What the observed nodes cost an hour, as far as their price is known.
    static func hourlyRate(_ status: TrainingJob.Status, _ observation: TrainingJobObservation) -> Money {
        status.resources.reduce(.zero) { sum, entry in
            sum + money(entry.hourlyCost) * observation.nodes(of: entry.name).count
        }
    }
}

extension Money {
    /// The largest amount that a status has room for: 16 characters.
    private static let largest = Money(microdollars: 999_999_999_999_999)

    /// As `decimal`, in at most 16 characters.
    var statusText: String { min(self, Money.largest).decimal }

    /// The difference, saturated.
    func subtracting(_ other: Money) -> Money {
        let (difference, overflow) = microdollars.subtractingReportingOverflow(other.microdollars)
        return Money(microdollars: overflow ? (microdollars < 0 ? .min : .max) : difference)
    }
}
