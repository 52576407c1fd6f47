public import Telemetry

/// What is counted of limits.
public struct CallMetrics: Sendable {
    let waits: Histogram
    let throttled: Counter
    let breakerOpen: Gauge
    let breakerOpened: Counter

    /// Where a call was held back.
    enum Limit: String, CaseIterable {
        case rate
        case cluster
        case breaker
        /// 429 and its like.
        case service
    }

    public init(_ registry: MetricsRegistry) {
        let api = MetricLabel("api", HTTPClientMetrics.API.allCases.map(\.rawValue))
        let limit = MetricLabel("limit", Limit.allCases.map(\.rawValue))
        let verb = MetricLabel("verb", CallKind.Verb.allCases.map(\.rawValue))
        waits = registry.histogram(
            "trainyard_google_call_wait_seconds",
            help: "Time that calls to Google's APIs waited before they were sent, for their rate or their cluster.",
            labels: [api, verb, limit])
        throttled = registry.counter(
            "trainyard_google_calls_throttled_total",
            help: "Calls to Google's APIs that were refused because there were too many, by who refused them.",
            labels: [api, verb, limit])
        breakerOpen = registry.gauge(
            "trainyard_google_breaker_open",
            help: "1 while an API that did not answer is left alone, 0 while calls go through.", labels: [api])
        breakerOpened = registry.counter(
            "trainyard_google_breaker_opened_total",
            help: "How often an API that did not answer began to be left alone.", labels: [api])
    }
}
