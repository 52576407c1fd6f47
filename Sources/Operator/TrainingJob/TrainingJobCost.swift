import Encoding

/// The estimate of what a run costs: list price of the machine times the time that its nodes were observed.
enum TrainingJobCost {
    /// Brings the cost up to now: the rate so far over the time since the last update, then the present rate.
    static func update(_ status: inout TrainingJob.Status, _ observation: TrainingJobObservation) {
        guard status.cost != nil || !status.resources.isEmpty else { return }
        let previous = status.cost
        let accrued = accrued(previous, until: observation.moment)
        let isPriced = status.resources.allSatisfy { $0.hourlyCost != nil }
        var cost = TrainingJob.Cost()
        cost.currencyCode = "USD"
        cost.accrued = accrued.decimal
        // Absent while nothing is paid for.
        let rate = hourlyRate(status, observation)
        cost.hourlyRate = rate == .zero ? nil : rate.decimal
        cost.basis = isPriced ? observation.configuration.prices.basis : "no list price"
        cost.display = isPriced ? accrued.display : "unknown"
        // No nodes, and none before: the time of the update is no news.
        let hasNodes = status.resources.contains { !observation.nodes(of: $0.name).isEmpty }
        let isIdle = previous != nil && !hasNodes && previous?.hourlyRate == cost.hourlyRate
        cost.updateTime = isIdle ? previous?.updateTime : observation.moment
        status.cost = cost
    }

    private static func accrued(_ cost: TrainingJob.Cost?, until now: Timestamp) -> Money {
        let accrued = cost?.accrued.flatMap { Money(decimal: $0) } ?? .zero
        guard let rate = cost?.hourlyRate.flatMap({ Money(decimal: $0) }), let since = cost?.updateTime else {
            return accrued
        }
        return accrued + rate.accrued(over: now - since)
    }

    /// What the observed nodes cost an hour, as far as their price is known.
    private static func hourlyRate(_ status: TrainingJob.Status, _ observation: TrainingJobObservation) -> Money {
        status.resources.reduce(.zero) { sum, entry in
            let price = entry.hourlyCost.flatMap { Money(decimal: $0) } ?? .zero
            return sum + price * observation.nodes(of: entry.name).count
        }
    }
}
