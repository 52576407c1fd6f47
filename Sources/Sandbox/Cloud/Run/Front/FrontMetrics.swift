internal import Encoding

/// Counts requests for `run.googleapis.com/request_count` and `…/request_latencies`, as Cloud Monitoring has them.
struct FrontMetrics: Sendable {
    private struct Key: Sendable, Hashable {
        /// `projects/P/locations/R/services/S`.
        var service: String
        var revision: String
        var status: Int
        /// The bucket of time.
        var start: Timestamp
    }

    private struct Bucket: Sendable {
        var count: Int64 = 0
        var latencies = [Int64](repeating: 0, count: FrontMetrics.bounds.count + 1)
    }

    /// Milliseconds.
    private static let bounds: [Double] = [
        1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000, 10_000,
        20_000, 30_000, 60_000, 120_000, 300_000,
    ]

    /// Of a point.
    let sampling: Duration
    private var buckets: [Key: Bucket] = [:]

    init(sampling: Duration) { self.sampling = max(sampling, .milliseconds(100)) }

    mutating func add(service: String, revision: String, status: Int, latency: Duration, now: Timestamp) {
        let key = Key(service: service, revision: revision, status: status, start: start(of: now))
        let place = Self.bounds.firstIndex { latency / .milliseconds(1) <= $0 } ?? Self.bounds.count
        buckets[key, default: Bucket()].count += 1
        buckets[key, default: Bucket()].latencies[place] += 1
    }

    private func start(of moment: Timestamp) -> Timestamp {
        let epoch = Timestamp(seconds: 0)
        let periods = ((moment - epoch) / sampling).rounded(.down)
        return epoch + sampling * Int(periods)
    }

    /// The points whose time is over.
    mutating func take(now: Timestamp) -> [SimulatedTimeSeries] {
        let ended = buckets.filter { $0.key.start + sampling <= now }
            .sorted { ($0.key.start, $0.key.revision, $0.key.status) < ($1.key.start, $1.key.revision, $1.key.status) }
        for (key, _) in ended { buckets[key] = nil }
        return ended.flatMap { series($0.key, $0.value) }
    }

    private func series(_ key: Key, _ bucket: Bucket) -> [SimulatedTimeSeries] {
        let parts = key.service.split(separator: "/").map(String.init)
        let values: [(String, SimulatedTimeSeries.Value)] = [
            ("request_count", .int64(bucket.count)),
            ("request_latencies", .distribution(bounds: Self.bounds, counts: bucket.latencies)),
        ]
        return values.map { name, value in
            SimulatedTimeSeries(
                metric: "run.googleapis.com/\(name)",
                metricLabels: [
                    "response_code": String(key.status), "response_code_class": "\(key.status / 100)xx",
                ],
                resource: "cloud_run_revision",
                resourceLabels: [
                    "project_id": parts.count > 1 ? parts[1] : "", "location": parts.count > 3 ? parts[3] : "",
                    "service_name": parts.last ?? "", "configuration_name": parts.last ?? "",
                    "revision_name": key.revision,
                ], kind: .delta,
                points: [.init(start: key.start, end: key.start + sampling, value: value)])
        }
    }
}
