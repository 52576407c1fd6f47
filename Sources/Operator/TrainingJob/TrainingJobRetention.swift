import ControllerRuntime
import Encoding

/// Node pools that outlive their run for somebody who looks for what went wrong (`cleanup.compute: Retain`).
enum TrainingJobRetention {
    typealias Decision = TrainingJobDecision

    /// Rule `retaining`: the run has a result, and its machines stay for a while. A new run, a suspension, a deletion, a
    /// budget that does not pay for it and the object's own time limit end that.
    static func keep(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.status.run, run.result != nil, !observation.spec.suspend,
            let end = end(run, observation), observation.now < end, hasNodes(observation), isPaidFor(observation),
            !(TrainingJobRun.isChanged(run, observation) && observation.spec.onSpecChange == .newRun)
        else { return nil }
        let stop = TrainingJobPodEnd.stop(observation)
        guard stop.isDone else {
            return Decision(
                steps: stop.steps, status: stop.status, situation: .retaining("waiting for the pods to stop"),
                next: .after(observation.configuration.pollInterval))
        }
        let names = observation.status.resources.map(\.name).joined(separator: ", ")
        return Decision(
            status: observation.status,
            situation: .retaining(
                "node pool \(names) is retained until \(end), as cleanup.compute says, and billed; suspend the object to "
                    + "let it go now"),
            next: .after(max(.seconds(1), min(TrainingJobPlan.slowRecheck, end - observation.now))))
    }

    /// When the pools go; nil where they go at once.
    private static func end(_ run: TrainingJob.Run, _ observation: TrainingJobObservation) -> Timestamp? {
        guard let cleanup = observation.spec.cleanup, cleanup.compute == .retain, let seconds = cleanup.retainSeconds,
            let completion = run.completionTime,
            // Set back since: nobody knows how long the pools have waited.
            completion <= observation.now
        else { return nil }
        return completion + .seconds(seconds)
    }

    /// There is something to look at.
    private static func hasNodes(_ observation: TrainingJobObservation) -> Bool {
        observation.status.resources.contains { !observation.nodes(of: $0.name).isEmpty }
    }

    /// Retained machines count in the budget like training ones.
    private static func isPaidFor(_ observation: TrainingJobObservation) -> Bool {
        guard let budget = observation.spec.budget, budget.onExceeded != .warn,
            let limit = Money(decimal: budget.maxCost)
        else { return true }
        let rate = TrainingJobCost.hourlyRate(observation.status, observation)
        let release = rate.accrued(over: .seconds(TrainingJobBudget.releaseSeconds))
        let cost = observation.status.cost
        return TrainingJobCost.accrued(cost, until: observation.moment, observation.clockJumps) + release < limit
    }
}
