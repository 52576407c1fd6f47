import Encoding
import HTTP
import Telemetry
import Testing

struct MetricsTests {
    @Test func `the page is Prometheus' text, sorted`() {
        let registry = MetricsRegistry()
        let results = registry.counter(
            "reconcile_total", help: "Reconciles by controller\nand result.",
            labels: [
                MetricLabel("controller", ["trainingjob", "gcsartifact"]), MetricLabel("result", ["ok", "a\"b\\"]),
            ])
        let depth = registry.gauge("queue_depth", help: "Keys waiting.")
        let seconds = registry.histogram("call_seconds", help: "Time of a call.", bounds: [0.1, 1])
        results.increment("trainingjob", "ok")
        results.increment(by: 2, "gcsartifact", "a\"b\\")
        results.increment("trainingjob", "ok")
        depth.set(3)
        depth.add(-0.5)
        for value in [0.05, 0.1, 0.5, 7] { seconds.observe(value) }
        seconds.observe(Duration.milliseconds(250))
        #expect(
            registry.text == #"""
                # HELP call_seconds Time of a call.
                # TYPE call_seconds histogram
                call_seconds_bucket{le="0.1"} 2
                call_seconds_bucket{le="1"} 4
                call_seconds_bucket{le="+Inf"} 5
                call_seconds_sum 7.9
                call_seconds_count 5
                # HELP queue_depth Keys waiting.
                # TYPE queue_depth gauge
                queue_depth 2.5
                # HELP reconcile_total Reconciles by controller\nand result.
                # TYPE reconcile_total counter
                reconcile_total{controller="gcsartifact",result="a\"b\\"} 2
                reconcile_total{controller="trainingjob",result="ok"} 2

                """#)
    }

    @Test func `values outside a label's set are counted together`() {
        let registry = MetricsRegistry()
        let counter = registry.counter("c_total", help: "C.", labels: [MetricLabel("code", ["200"])])
        counter.increment("200")
        for index in 0..<1000 { counter.increment("object-\(index)") }
        counter.increment()
        #expect(counter.value("200") == 1)
        #expect(counter.value("other") == 1001)
    }

    @Test func `a second declaration is the first one, and a counter never falls`() {
        let registry = MetricsRegistry()
        registry.counter("c_total", help: "C.").increment(by: 2)
        let same = registry.counter("c_total", help: "C.")
        same.increment(by: -1)
        same.increment(by: .nan)
        #expect(same.value() == 2)
    }

    @Test func `concurrent counting loses nothing`() async {
        let counter = MetricsRegistry().counter("c_total", help: "C.")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<1000 { counter.increment() } } }
        }
        #expect(counter.value() == 8000)
    }
}

struct HealthHandlerTests {
    private func get(_ handler: HealthHandler, _ path: String, _ method: HTTPMethod = .get) async throws -> (
        Int, String
    ) {
        let reply = try await HandlerTransport(handler).send(
            HTTPRequest(method, HTTPURL(origin: "http://localhost", path: path)))
        return (reply.status, String(decoding: reply.body, as: UTF8.self))
    }

    @Test func `each page answers from its checks`() async throws {
        let registry = MetricsRegistry()
        registry.gauge("up", help: "Up.").set(1)
        let handler = HealthHandler(
            metrics: registry, liveness: [HealthCheck("loop") { nil }],
            readiness: [HealthCheck("cache") { nil }, HealthCheck("leader") { "not elected yet" }])
        #expect(try await get(handler, "/healthz") == (200, "[+] loop\nok\n"))
        #expect(try await get(handler, "/readyz") == (503, "[+] cache\n[-] leader: not elected yet\nnot ok\n"))
        #expect(try await get(handler, "/metrics") == (200, registry.text))
        #expect(try await get(handler, "/other").0 == 404)
        #expect(try await get(handler, "/healthz", .post).0 == 405)
    }
}

struct InstrumentedTransportTests {
    private struct Answering: HTTPHandler {
        func respond(to request: HTTPRequest) async -> HTTPReply {
            request.url.path == "/cut" ? .disconnect : HTTPReply(status: request.method == .get ? 200 : 418)
        }
    }

    @Test func `calls are counted by API, verb and code, and logged without secrets`() async throws {
        let registry = MetricsRegistry()
        let metrics = HTTPClientMetrics(registry)
        let lines = Lines()
        let transport = InstrumentedTransport(HandlerTransport(Answering()), metrics: metrics, log: lines.log(.debug))
        let storage = HTTPURL(origin: "https://storage.googleapis.com", path: "/o", query: [.init("token", "canary")])
        _ = try await transport.send(
            HTTPRequest(.get, storage, headers: ["Authorization": "Bearer canary"], body: Array("canary".utf8)))
        _ = try await transport.send(
            HTTPRequest(.post, HTTPURL(origin: "https://us-central1-aiplatform.googleapis.com", path: "/")))
        let cut = HTTPRequest(.get, HTTPURL(origin: "https://example.com", path: "/cut"))
        await #expect(throws: APIError.self) { try await transport.open(cut) }
        #expect(metrics.requests.value("storage", "GET", "200") == 1)
        #expect(metrics.requests.value("aiplatform", "POST", "other") == 1)
        #expect(metrics.requests.value("other", "GET", "unavailable") == 1)
        #expect(lines.all.map(\.message) == ["http request", "http request", "http request failed"])
        let written = lines.all.map { $0.json.serializedText() }.joined()
        #expect(!written.contains("canary"))
    }
}
