import Encoding
import FoundationEssentials
import Glibc
import HTTP
import Kubernetes
import Testing

@testable import ControllerRuntime
@testable import Telemetry

private let promtool: String? = {
    let named = ProcessInfo.processInfo.environment["TRAINYARD_PROMTOOL"]
    return [named ?? "/usr/bin/promtool", "/usr/local/bin/promtool"].first { access($0, X_OK) == 0 }
}()

@Suite struct MetricsPageTests {
    /// A page with something of everything.
    private func page() -> String {
        let registry = MetricsRegistry()
        let metrics = RuntimeMetrics(
            registry, controllers: ["widgets"], resources: ["widgets.example.com", "pods"])
        let error = APIError(.unavailable, operation: "GET widgets", message: "not now")
        let denied = APIError(.forbidden, operation: "POST events", message: "no")
        let outcomes: [ReconcileOutcome] = [
            .settled, .again(after: .seconds(5)), .again(after: .zero), .done, .failed(error, retry: .backoff),
            .failed(denied, retry: .slowly),
        ]
        for (index, outcome) in outcomes.enumerated() {
            metrics.record(
                .reconciled(
                    ReconcileReport(
                        controller: "widgets", key: ObjectKey(namespace: "ns", name: "w"), uid: "u", generation: 1,
                        waited: .milliseconds(index), duration: .milliseconds(40 * index), stepCount: 0,
                        wroteStatus: false, outcome: outcome)))
        }
        for report: RuntimeReport in [
            .watchFailed(Widget.resourceType, error), .eventLost(denied), .eventsDropped(.spam, count: 3),
            .leaseFailed(error), .leadershipGained(identity: "a"),
            .undecodable(Widget.resourceType, ObjectKey(namespace: "ns", name: "w"), message: "no"),
        ] { metrics.record(report) }
        metrics.take(
            RuntimeStatistics(
                controllers: [
                    .init(
                        name: "widgets", concurrency: 16,
                        queue: WorkQueue.Statistics(
                            waitingChanges: 2, waitingRechecks: 30, activeCount: 4, addCount: 90, retryCount: 5,
                            unfinished: .milliseconds(1500), longestRunning: .seconds(1)))
                ],
                kinds: [
                    .init(
                        resource: "widgets.example.com", objectCount: 12, undecodableCount: 1,
                        silence: .seconds(3)), .init(resource: "pods", objectCount: 0, undecodableCount: 0),
                ]))
        let rest = RestClientMetrics(registry, host: "10.0.0.1:443")
        rest.record(.get, status: 200, elapsed: .milliseconds(30))
        rest.record(.put, status: 409, elapsed: .milliseconds(3))
        rest.record(.get, status: nil, elapsed: .seconds(30))
        return registry.text
    }

    @Test func `the page is as reviewed`() throws {
        let path = #filePath.split(separator: "/").dropLast().joined(separator: "/")
        let url = URL(filePath: "/\(path)/Golden/metrics.txt")
        let page = page()
        if ProcessInfo.processInfo.environment["RECORD"] == "1" {
            return try page.write(to: url, atomically: true, encoding: .utf8)
        }
        let reviewed = try String(contentsOf: url, encoding: .utf8)
        #expect(page == reviewed, "RECORD=1 rewrites it")
    }

    @Test(.enabled("promtool is not installed: Debian package prometheus") { promtool != nil })
    func `promtool has nothing to say`() throws {
        let registry = MetricsRegistry()
        _ = ProcessMetrics(registry, version: "1.2.3")
        let file = "/tmp/trainyard-metrics-\(getpid())"
        let text = page() + registry.text
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        defer { unlink(file) }
        let opened: UnsafeMutablePointer<FILE>? = popen("\(promtool ?? "") check metrics < \(file) 2>&1", "r")
        let pipe = try #require(opened)
        var bytes: [UInt8] = []
        while case let byte = fgetc(pipe), byte >= 0 { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        let status = pclose(pipe)
        #expect(String(decoding: bytes, as: UTF8.self) == "")
        #expect(status == 0)
    }

}
