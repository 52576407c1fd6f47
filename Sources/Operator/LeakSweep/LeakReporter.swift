import HTTP
public import Telemetry

/// Says what sweeps found, in log lines and metrics.
public struct LeakReporter: Sendable {
    private let log: Log
    private let leaked: Gauge
    private let hourlyCost: Gauge
    private let deletions: Counter
    private let sweeps: Counter

    public init(_ registry: MetricsRegistry, log: Log) {
        self.log = log
        leaked = registry.gauge(
            "trainyard_leaked_resources",
            help: "Node pools and Cloud Run services with our labels that belong to no object, at the last sweep.")
        hourlyCost = registry.gauge(
            "trainyard_leaked_hourly_cost_dollars",
            help: "What the machines of leaked node pools cost an hour by list price, as far as it is known.")
        deletions = registry.counter(
            "trainyard_leak_deletions_total", help: "Deletions of leaked node pools and services that were asked for.",
            labels: [MetricLabel("result", ["success", "error"])])
        sweeps = registry.counter(
            "trainyard_leak_sweeps_total",
            help: "Sweeps for leaks; an incomplete one judges nothing of what it could not list.",
            labels: [MetricLabel("result", ["complete", "incomplete"])])
    }

    public func record(_ report: LeakSweeper.Report) {
        switch report {
        case .complete(let count, let cost, let postponed):
            sweeps.increment("complete")
            leaked.set(Double(count))
            hourlyCost.set(Double(cost.microdollars) / 1e6)
            if postponed > 0 { log.warning("leaks wait for the hourly limit", [.count: .integer(postponed)]) }
        case .incomplete(let error):
            sweeps.increment("incomplete")
            log.warning("leak sweep incomplete", [.errorMessage: .string(error.description)])
        case .found(let name): log.warning("leak found", [.name: .string(name)])
        case .deleted(let name):
            deletions.increment("success")
            log.warning("leak deleted", [.name: .string(name)])
        case .deletionFailed(let name, let error):
            deletions.increment("error")
            log.error(
                "leak not deleted", [.name: .string(name), .errorMessage: .string(error.description)])
        }
    }
}
