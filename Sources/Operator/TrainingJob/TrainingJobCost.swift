import Encoding

/// The estimate of what a run costs: list price of the machine times the time that its nodes were observed.
enum TrainingJobCost {
    /// Brings the cost up to now: the rate so far over the time since the last update, then the present rate.
    static func update(_ status: inout TrainingJob.Status, _ observation: TrainingJobObservation) {
        let rate = hourlyRate(status, observation)
        guard status.cost != nil || rate != nil else { return }
        let previous = status.cost
        let accrued = accrued(previous, until: observation.moment)
        var cost = TrainingJob.Cost()
        cost.currencyCode = "USD"
        cost.accrued = accrued.decimal
        cost.hourlyRate = (rate ?? .zero).decimal
        cost.basis = observation.configuration.prices.basis
        cost.display = accrued.display
        // Nothing runs and nothing ran since: the time of the update is no news.
        let isIdle = (rate ?? .zero) == .zero && previous?.hourlyRate == cost.hourlyRate
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

    /// What the observed nodes cost an hour; nil while there is no ledger entry with a price.
    private static func hourlyRate(_ status: TrainingJob.Status, _ observation: TrainingJobObservation) -> Money? {
        let rates = status.resources.compactMap { entry in
            entry.hourlyCost.flatMap { Money(decimal: $0) }.map { $0 * observation.nodes(of: entry.name).count }
        }
        return rates.isEmpty ? nil : rates.reduce(.zero, +)
    }
}
