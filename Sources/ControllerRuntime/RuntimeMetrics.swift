import HTTP
import Kubernetes
public import Telemetry

/// The runtime's metrics, with controller-runtime's names where it has them, so that existing dashboards work.
public struct RuntimeMetrics: Sendable {
    private let reconciles: Counter
    private let reconcileErrors: Counter
    private let reconcileSeconds: Histogram
    private let activeWorkers: Gauge
    private let maximumWorkers: Gauge
    private let queueDepth: Gauge
    private let queueRetries: Counter
    private let isLeader: Gauge
    private let watchFailures: Counter
    private let undecodable: Counter
    private let eventsLost: Counter
    private let leaseName: String

    /// - Parameters:
    ///   - controllers: the plurals of the controllers' kinds.
    ///   - resources: the watched kinds, as `ResourceType.name` says them.
    public init(
        _ registry: MetricsRegistry, controllers: [String], resources: [String],
        leaseName: String = "trainyard-operator"
    ) {
        let controller = MetricLabel("controller", controllers)
        let queue = MetricLabel("name", controllers)
        let resource = MetricLabel("resource", resources)
        let code = MetricLabel("code", APIError.Code.allCases.map(\.rawValue))
        self.leaseName = leaseName
        reconciles = registry.counter(
            "controller_runtime_reconcile_total", help: "Rounds by controller and result.",
            labels: [controller, MetricLabel("result", ["success", "error", "requeue", "requeue_after"])])
        reconcileErrors = registry.counter(
            "controller_runtime_reconcile_errors_total", help: "Rounds that failed, by controller and code.",
            labels: [controller, code])
        reconcileSeconds = registry.histogram(
            "controller_runtime_reconcile_time_seconds", help: "Time that a round took.", labels: [controller])
        activeWorkers = registry.gauge(
            "controller_runtime_active_workers", help: "Rounds in progress.", labels: [controller])
        maximumWorkers = registry.gauge(
            "controller_runtime_max_concurrent_reconciles", help: "Rounds that may be in progress at a time.",
            labels: [controller])
        queueDepth = registry.gauge("workqueue_depth", help: "Objects that wait for a round.", labels: [queue])
        queueRetries = registry.counter(
            "workqueue_retries_total", help: "Objects that were put back after a failure.", labels: [queue])
        isLeader = registry.gauge(
            "leader_election_master_status", help: "1 while this replica holds the lease.",
            labels: [MetricLabel("name", [leaseName])])
        watchFailures = registry.counter(
            "trainyard_watch_failures_total", help: "Lists and watches that failed and were tried again.",
            labels: [resource, code])
        undecodable = registry.counter(
            "trainyard_undecodable_objects_total", help: "Objects that could not be read and were left alone.",
            labels: [resource])
        eventsLost = registry.counter(
            "trainyard_events_lost_total", help: "Events that could not be sent.", labels: [code])
    }

    /// Declares how many rounds a controller may run at a time.
    public func setConcurrency(_ concurrency: Int, of controller: String) {
        maximumWorkers.set(Double(concurrency), controller)
        activeWorkers.set(0, controller)
        queueDepth.set(0, controller)
    }

    /// Counts what happened.
    public func record(_ report: RuntimeReport) {
        switch report {
        case .listed, .watching: return
        case .watchFailed(let type, let error): watchFailures.increment(type.name, error.code.rawValue)
        case .undecodable(let type, _, _): undecodable.increment(type.name)
        case .reconciled(let round): record(round)
        case .eventLost(let error): eventsLost.increment(error.code.rawValue)
        case .leadershipGained: isLeader.set(1, leaseName)
        case .leadershipLost: isLeader.set(0, leaseName)
        case .leaseFailed: return
        }
    }

    private func record(_ round: ReconcileReport) {
        let result =
            switch round.outcome {
            case .done, .settled: "success"
            case .again(let delay): delay > .zero ? "requeue_after" : "requeue"
            case .failed: "error"
            }
        reconciles.increment(round.controller, result)
        reconcileSeconds.observe(round.duration, round.controller)
        queueDepth.set(Double(round.queueDepth), round.controller)
        activeWorkers.set(Double(max(0, round.activeCount - 1)), round.controller)
        if case .failed(let error, _) = round.outcome {
            reconcileErrors.increment(round.controller, error.code.rawValue)
            queueRetries.increment(round.controller)
        }
    }
}
