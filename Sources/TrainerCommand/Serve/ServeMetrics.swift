import HTTP
import Telemetry

/// What the server counts.
final class ServeMetrics: Sendable {
    private let registry = MetricsRegistry()
    private let requests: Counter
    private let latency: Histogram
    private let batches: Histogram
    private let depth: Gauge

    init() {
        let route = MetricLabel("route", Route.labels)
        requests = registry.counter(
            "trainyard_serve_requests_total", help: "Requests answered, by route and the class of their status.",
            labels: [route, MetricLabel("code", ["2xx", "3xx", "4xx", "5xx"])])
        latency = registry.histogram(
            "trainyard_serve_request_duration_seconds",
            help: "From the last byte of a request to its reply, by route.",
            labels: [route],
            bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
        batches = registry.histogram(
            "trainyard_serve_batch_images", help: "Images of the batches that were computed.",
            bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256])
        depth = registry.gauge("trainyard_serve_queue_images", help: "Images that wait to be predicted.")
    }

    func answered(_ route: String, status: Int, in time: Duration) {
        requests.increment(route, "\(status / 100)xx")
        latency.observe(time, route)
    }

    func batch(images: Int) { batches.observe(Double(images)) }

    func page(queueDepth: Int) -> HTTPReply {
        depth.set(Double(queueDepth))
        return HTTPReply(
            status: 200, headers: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8"],
            body: Array(registry.text.utf8))
    }
}
