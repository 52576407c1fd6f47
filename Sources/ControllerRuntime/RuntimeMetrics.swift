import HTTP
import Kubernetes
public import Telemetry

/// The runtime's metrics, with controller-runtime's and client-go's names and bounds where they have them, so that
/// existing dashboards work.
public struct RuntimeMetrics: Sendable {
    private let rounds: RoundMetrics
    private let queues: QueueMetrics
    private let isLeader: Gauge
    private let watchFailures: Counter
    private let undecodable: Counter
    private let undecodableNow: Gauge
    private let objects: Gauge
    private let silence: Gauge
    private let eventsLost: Counter
    private let eventsDropped: Counter
    private let leaseFailures: Counter
    private let leaseName: String

    /// - Parameters:
    ///   - controllers: the plurals of the controllers' kinds.
    ///   - resources: the watched kinds, as `ResourceType.name` says them.
    public init(
        _ registry: MetricsRegistry, controllers: [String], resources: [String],
        leaseName: String = "trainyard-operator"
    ) {
        let resource = MetricLabel("resource", resources)
        let code = MetricLabel("code", APIError.Code.allCases.map(\.rawValue))
        self.leaseName = leaseName
        rounds = RoundMetrics(registry, controllers: controllers)
        queues = QueueMetrics(registry, controllers: controllers)
        isLeader = registry.gauge(
            "leader_election_master_status", help: "1 while this replica holds the lease.",
            labels: [MetricLabel("name", [leaseName])])
        watchFailures = registry.counter(
            "trainyard_watch_failures_total", help: "Lists and watches that failed and were tried again.",
            labels: [resource, code])
        undecodable = registry.counter(
            "trainyard_undecodable_objects_total", help: "Objects that could not be read and were left alone.",
            labels: [resource])
        undecodableNow = registry.gauge(
            "trainyard_undecodable_objects", help: "Objects that are there and cannot be read.", labels: [resource])
        objects = registry.gauge("trainyard_objects", help: "Objects that the operator knows.", labels: [resource])
        silence = registry.gauge(
            "trainyard_watch_staleness_seconds",
            help: "Time since the API server was last heard about a kind; servers send a bookmark every minute.",
            labels: [resource])
        eventsLost = registry.counter(
            "trainyard_events_lost_total", help: "Events that could not be sent.", labels: [code])
        eventsDropped = registry.counter(
            "trainyard_events_dropped_total", help: "Events that were not tried: too many of an object, or at all.",
            labels: [MetricLabel("reason", EventDrop.allCases.map(\.rawValue))])
        leaseFailures = registry.counter(
            "trainyard_lease_failures_total", help: "Tries to get or keep the lease that failed.", labels: [code])
        isLeader.set(0, leaseName)
        for reason in EventDrop.allCases { eventsDropped.raise(to: 0, reason.rawValue) }
        for resource in resources { undecodable.raise(to: 0, resource) }
    }

    /// Counts what happened.
    public func record(_ report: RuntimeReport) {
        switch report {
        case .listed, .watching, .heard: return
        case .watchFailed(let type, let error): watchFailures.increment(type.name, error.code.rawValue)
        case .undecodable(let type, _, _): undecodable.increment(type.name)
        case .reconciled(let round):
            rounds.record(round)
            queues.record(round)
        case .eventLost(let error): eventsLost.increment(error.code.rawValue)
        case .eventsDropped(let why, let count): eventsDropped.increment(by: Double(count), why.rawValue)
        case .leadershipGained: isLeader.set(1, leaseName)
        case .leadershipLost: isLeader.set(0, leaseName)
        case .leaseFailed(let error): leaseFailures.increment(error.code.rawValue)
        }
    }

    /// Takes what is not counted but looked up, before a page is written.
    public func take(_ statistics: RuntimeStatistics) {
        for controller in statistics.controllers {
            rounds.maximumWorkers.set(Double(controller.concurrency), controller.name)
            rounds.activeWorkers.set(Double(controller.queue.activeCount), controller.name)
            queues.take(controller.queue, of: controller.name)
        }
        for kind in statistics.kinds {
            objects.set(Double(kind.objectCount), kind.resource)
            undecodableNow.set(Double(kind.undecodableCount), kind.resource)
            if let time = kind.silence { silence.set(time / .seconds(1), kind.resource) }
        }
    }
}

/// What is measured of rounds.
private struct RoundMetrics: Sendable {
    private let reconciles: Counter
    private let errors: Counter
    private let terminalErrors: Counter
    private let seconds: Histogram
    let activeWorkers: Gauge
    let maximumWorkers: Gauge

    init(_ registry: MetricsRegistry, controllers: [String]) {
        let controller = MetricLabel("controller", controllers)
        let results = ["success", "error", "requeue", "requeue_after"]
        reconciles = registry.counter(
            "controller_runtime_reconcile_total", help: "Rounds by controller and result.",
            labels: [controller, MetricLabel("result", results)])
        errors = registry.counter(
            "controller_runtime_reconcile_errors_total", help: "Rounds that failed, by controller and code.",
            labels: [controller, MetricLabel("code", APIError.Code.allCases.map(\.rawValue))])
        terminalErrors = registry.counter(
            "controller_runtime_terminal_reconcile_errors_total",
            help: "Rounds that failed in a way that no retry helps against.", labels: [controller])
        seconds = registry.histogram(
            "controller_runtime_reconcile_time_seconds", help: "Time that a round took.", labels: [controller],
            bounds: MetricsRegistry.reconcileBounds)
        activeWorkers = registry.gauge(
            "controller_runtime_active_workers", help: "Rounds in progress.", labels: [controller])
        maximumWorkers = registry.gauge(
            "controller_runtime_max_concurrent_reconciles", help: "Rounds that may be in progress at a time.",
            labels: [controller])
        for controller in controllers {
            for result in results { reconciles.raise(to: 0, controller, result) }
            terminalErrors.raise(to: 0, controller)
            seconds.declare(controller)
            activeWorkers.set(0, controller)
        }
    }

    func record(_ round: ReconcileReport) {
        let result =
            switch round.outcome {
            case .done, .settled: "success"
            case .again(let delay): delay > .zero ? "requeue_after" : "requeue"
            case .failed: "error"
            }
        reconciles.increment(round.controller, result)
        seconds.observe(round.duration, round.controller)
        guard case .failed(let error, let retry) = round.outcome else { return }
        errors.increment(round.controller, error.code.rawValue)
        if retry == .whenChanged || retry == .slowly { terminalErrors.increment(round.controller) }
    }
}

/// What is measured of queues.
private struct QueueMetrics: Sendable {
    private let depth: Gauge
    private let adds: Counter
    private let retries: Counter
    private let waited: Histogram
    private let worked: Histogram
    private let unfinished: Gauge
    private let longest: Gauge

    init(_ registry: MetricsRegistry, controllers: [String]) {
        let labels = [MetricLabel("name", controllers), MetricLabel("controller", controllers)]
        depth = registry.gauge(
            "workqueue_depth", help: "Objects that wait for a round; priority 0 for changes, -100 for re-checks.",
            labels: labels + [MetricLabel("priority", ["0", "-100"])])
        adds = registry.counter(
            "workqueue_adds_total", help: "Objects that were put into the queue.", labels: labels)
        retries = registry.counter(
            "workqueue_retries_total", help: "Objects that were put back after a failure.", labels: labels)
        waited = registry.histogram(
            "workqueue_queue_duration_seconds", help: "Time that an object waited for its round.", labels: labels,
            bounds: MetricsRegistry.queueBounds)
        worked = registry.histogram(
            "workqueue_work_duration_seconds", help: "Time that an object's round took.", labels: labels,
            bounds: MetricsRegistry.queueBounds)
        unfinished = registry.gauge(
            "workqueue_unfinished_work_seconds",
            help: "Time that the rounds in progress have taken together; growing, it tells of stuck ones.",
            labels: labels)
        longest = registry.gauge(
            "workqueue_longest_running_processor_seconds",
            help: "Time that the longest round in progress has taken.", labels: labels)
        for name in controllers {
            take(WorkQueue.Statistics(), of: name)
            waited.declare(name, name)
            worked.declare(name, name)
        }
    }

    func record(_ round: ReconcileReport) {
        waited.observe(round.waited, round.controller, round.controller)
        worked.observe(round.duration, round.controller, round.controller)
    }

    func take(_ queue: WorkQueue.Statistics, of name: String) {
        depth.set(Double(queue.waitingChanges), name, name, "0")
        depth.set(Double(queue.waitingRechecks), name, name, "-100")
        adds.raise(to: Double(queue.addCount), name, name)
        retries.raise(to: Double(queue.retryCount), name, name)
        unfinished.set(queue.unfinished / .seconds(1), name, name)
        longest.set(queue.longestRunning / .seconds(1), name, name)
    }
}
