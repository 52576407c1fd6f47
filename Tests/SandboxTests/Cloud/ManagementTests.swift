import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct ManagementTests {
    private static let usage = "https://serviceusage.googleapis.com/v1/projects/p1/services"

    // MARK: Service usage

    @Test func `a disabled API answers 403 until some time after it was enabled`() async throws {
        let fixture = APIFixture()
        fixture.cloud.disableService("run.googleapis.com")
        let refused = try await fixture.call(.get, APIFixture.services)
        #expect(refused.status == 403)
        #expect(refused.detail == "SERVICE_DISABLED")
        let metadata = refused.json["error"]?["details"]?[0]?["metadata"]
        #expect(metadata?["service"] == "run.googleapis.com")
        #expect(metadata?["consumer"] == "projects/42")
        #expect(refused.message.hasPrefix("Cloud Run Admin API has not been used in project 42 before"))

        let enable = try await fixture.call(.post, "\(Self.usage)/run.googleapis.com:enable", [:])
        #expect(enable.json["done"] == nil)
        fixture.clock.advance(by: .seconds(2))
        let name = try #require(enable.json["name"]?.stringValue)
        let operation = try await fixture.call(.get, "https://serviceusage.googleapis.com/v1/\(name)").json
        #expect(operation["done"] == true)
        #expect(operation.value(at: ["response", "service", "state"]) == "ENABLED")
        #expect(try await fixture.call(.get, "\(Self.usage)/run.googleapis.com").json["state"] == "ENABLED")
        #expect(try await fixture.call(.get, APIFixture.services).detail == "SERVICE_DISABLED")
        fixture.clock.advance(by: .seconds(58))
        #expect(try await fixture.call(.get, APIFixture.services).status == 200)
        let again = try await fixture.call(.post, "\(Self.usage)/run.googleapis.com:enable", [:])
        #expect(again.json == ["name": "operations/noop.DONE_OPERATION", "done": true])
    }

    @Test func `GKE, Cloud Storage and Compute refuse in their own shapes`() async throws {
        let fixture = APIFixture()
        for name in ["container", "storage", "compute"] { fixture.cloud.disableService("\(name).googleapis.com") }
        let gke = try await fixture.call(.get, CloudFixture.cluster)
        #expect(gke.reason == "PERMISSION_DENIED")
        #expect(gke.detail == "SERVICE_DISABLED")
        let storage = try await fixture.call(.get, "\(CloudFixture.storage)/b?project=p1")
        #expect(storage.reason == "accessNotConfigured")
        let compute = try await fixture.call(.get, "https://compute.googleapis.com/compute/v1/projects/p1/zones")
        #expect(compute.reason == "accessNotConfigured")
        #expect(compute.detail == "SERVICE_DISABLED")
    }

    @Test func `services are listed, enabled in batches and disabled`() async throws {
        let fixture = APIFixture()
        fixture.cloud.disableService("tpu.googleapis.com")
        let off = try await fixture.call(.get, "\(Self.usage)?filter=state:DISABLED").json
        #expect(off["services"]?.arrayValue?.compactMap { $0["name"]?.lastSegment } == ["tpu.googleapis.com"])
        #expect(try await fixture.call(.get, "\(Self.usage)?filter=name:x").field == "filter")
        let batch: JSONValue = ["serviceIds": ["tpu.googleapis.com", "run.googleapis.com"]]
        #expect(try await fixture.call(.post, "\(Self.usage):batchEnable", batch).status == 200)
        #expect(try await fixture.call(.get, "\(Self.usage)/tpu.googleapis.com").json["state"] == "ENABLED")
        _ = try await fixture.call(.post, "\(Self.usage)/tpu.googleapis.com:disable", [:])
        #expect(try await fixture.call(.get, "\(Self.usage)/tpu.googleapis.com").json["state"] == "DISABLED")
        #expect(try await fixture.call(.post, "\(Self.usage):batchEnable", [:]).field == "service_ids")
        #expect(try await fixture.call(.get, "\(Self.usage)/nothing.googleapis.com").status == 403)
    }

    // MARK: Monitoring

    private static let series = "https://monitoring.googleapis.com/v3/projects/p1/timeSeries"

    private func planted() -> APIFixture {
        let fixture = APIFixture()
        let start = fixture.clock.now
        func series(_ revision: String, _ code: String, _ counts: [Int64]) -> SimulatedTimeSeries {
            SimulatedTimeSeries(
                metric: "run.googleapis.com/request_count", metricLabels: ["response_code_class": code],
                resource: "cloud_run_revision", resourceLabels: ["revision_name": revision], kind: .delta,
                points: counts.enumerated().map { index, count in
                    SimulatedTimeSeries.Point(
                        start: start + .seconds(60 * index), end: start + .seconds(60 * (index + 1)),
                        value: .int64(count))
                })
        }
        fixture.cloud.plant([
            series("r1", "2xx", [60, 120, 180]), series("r2", "2xx", [15, 30, 45]), series("r2", "5xx", [0, 15, 15]),
        ])
        fixture.clock.advance(by: .seconds(180))
        return fixture
    }

    private func list(_ fixture: APIFixture, _ filter: String, _ more: String = "") async throws -> CloudFixture.Reply {
        try await fixture.call(
            .get,
            "\(Self.series)?filter=\(HTTPURL.encoded(filter))&interval.startTime=2026-11-21T10:00:00Z"
                + "&interval.endTime=2026-11-21T10:03:00Z\(more.contains("view=") ? "" : "&view=FULL")\(more)")
    }

    private static let count = "metric.type=\"run.googleapis.com/request_count\""

    @Test func `points come newest first and filters choose the series`() async throws {
        let fixture = planted()
        let reply = try await list(
            fixture,
            "\(Self.count) AND resource.labels.revision_name=\"r2\" metric.label.response_code_class != \"2xx\"")
        let found = try #require(reply.json["timeSeries"]?.arrayValue)
        #expect(found.count == 1)
        #expect(
            found[0]["metric"]
                == [
                    "type": "run.googleapis.com/request_count", "labels": ["response_code_class": "5xx"],
                ])
        #expect(found[0]["metricKind"] == "DELTA")
        #expect(
            found[0]["points"]?.arrayValue?.compactMap { $0.value(at: ["value", "int64Value"]) } == ["15", "15", "0"])
        #expect(found[0]["points"]?[0]?.value(at: ["interval", "endTime"]) == "2026-11-21T10:03:00Z")
        let headers = try await list(fixture, Self.count, "&view=HEADERS").json
        #expect(headers["timeSeries"]?.arrayValue?.count == 3)
        #expect(headers["timeSeries"]?[0]?["points"] == nil)
        let prefix = "\(Self.count) resource.labels.revision_name = starts_with(\"r1\")"
        #expect(try await list(fixture, prefix).json["timeSeries"]?.arrayValue?.count == 1)
        #expect(try await list(fixture, "metric.type=\"other\"").json == [:])
    }

    @Test func `rates are aligned and summed in groups`() async throws {
        let aggregation =
            "&aggregation.alignmentPeriod=60s&aggregation.perSeriesAligner=ALIGN_RATE"
            + "&aggregation.crossSeriesReducer=REDUCE_SUM&aggregation.groupByFields=resource.labels.revision_name"
        let found = try #require(try await list(planted(), Self.count, aggregation).json["timeSeries"]?.arrayValue)
        #expect(found.map { $0["resource"]?["labels"] } == [["revision_name": "r1"], ["revision_name": "r2"]])
        #expect(found.map { $0["metric"]?["labels"] } == [nil, nil])
        func values(_ series: JSONValue) -> [Double?] {
            (series["points"]?.arrayValue ?? []).map { $0.value(at: ["value", "doubleValue"])?.doubleValue }
        }
        #expect(values(found[0]) == [3, 2, 1])
        #expect(values(found[1]) == [1, 0.75, 0.25])
    }

    @Test func `a percentile is read from the distributions`() async throws {
        let fixture = APIFixture()
        let now = fixture.clock.now
        fixture.cloud.plant([
            SimulatedTimeSeries(
                metric: "run.googleapis.com/request_latencies", resource: "cloud_run_revision", kind: .delta,
                points: [
                    SimulatedTimeSeries.Point(
                        start: now, end: now + .seconds(60),
                        value: .distribution(bounds: [10, 20, 40], counts: [50, 45, 4, 1]))
                ])
        ])
        let aggregation = "&aggregation.alignmentPeriod=180s&aggregation.perSeriesAligner="
        let filter = "metric.type = \"run.googleapis.com/request_latencies\""
        for (aligner, value) in [
            ("ALIGN_PERCENTILE_50", 10.0), ("ALIGN_PERCENTILE_95", 20), ("ALIGN_PERCENTILE_99", 40),
        ] {
            let reply = try await list(fixture, filter, aggregation + aligner)
            let point = reply.json["timeSeries"]?[0]?["points"]?[0]
            #expect(point?.value(at: ["value", "doubleValue"])?.doubleValue == value)
        }
        let raw = try await list(fixture, filter).json["timeSeries"]?[0]
        #expect(raw?["valueType"] == "DISTRIBUTION")
        #expect(raw?["points"]?[0]?.value(at: ["value", "distributionValue", "count"]) == "100")
    }

    @Test(arguments: [
        ("resource.type=\"x\"", "", "filter"), ("metric.type=x", "", "filter"), ("metric.kind=\"x\"", "", "filter"),
        ("metric.type=\"x\"", "&view=SOME", "view"),
        ("metric.type=\"x\"", "&aggregation.perSeriesAligner=ALIGN_MEAN", "aggregation.alignment_period"),
        ("metric.type=\"x\"", "&aggregation.crossSeriesReducer=REDUCE_SUM", "aggregation"),
        ("metric.type=\"x\"", "&aggregation.perSeriesAligner=ALIGN_STDDEV", "aggregation"),
        (
            "metric.type=\"x\"",
            "&aggregation.perSeriesAligner=ALIGN_MEAN&aggregation.alignmentPeriod=60s&aggregation.groupByFields=zone",
            "aggregation.group_by_fields"
        ),
    ])
    func `what is not understood is refused`(filter: String, more: String, field: String) async throws {
        let reply = try await list(APIFixture(isWrong: true), filter, more)
        #expect(reply.status == 400)
        #expect(reply.field == field)
    }

    @Test func `a query fetches, filters and looks back`() async throws {
        let fixture = planted()
        func query(_ text: String) async throws -> CloudFixture.Reply {
            try await fixture.call(.post, "\(Self.series):query", ["query": .string(text)])
        }
        let fetch = "fetch cloud_run_revision::run.googleapis.com/request_count"
        let reply = try await query("\(fetch) | filter resource.revision_name == 'r1' | within 2m")
        #expect(
            reply.json["timeSeriesData"]?[0]?["pointData"]?.arrayValue?.map { $0["values"]?[0]?["int64Value"] }
                == ["180", "120"])
        #expect(reply.json["timeSeriesData"]?[0]?["labelValues"]?[0] == ["stringValue": "r1"])
        #expect(
            reply.json.value(at: ["timeSeriesDescriptor", "labelDescriptors"])?[0] == ["key": "resource.revision_name"])
        for wrong in ["\(fetch) | align rate(1m)", "select x", "\(fetch) | within soon", ""] {
            #expect(try await query(wrong).field == "query")
        }
    }

    // MARK: Billing

    @Test func `prices are what was planted and come in pages`() async throws {
        let fixture = APIFixture()
        let skus = "https://cloudbilling.googleapis.com/v1/services/6F81-5844-456A/skus"
        fixture.cloud.setPrices([
            SimulatedSKU(
                id: "A", description: "Nvidia L4 GPU running in Americas", resourceGroup: "GPU", usageType: "OnDemand",
                regions: ["us-central1"], nanodollars: 560_004_000),
            SimulatedSKU(
                id: "B", description: "Nvidia B200", resourceGroup: "GPU", usageType: "Preemptible",
                regions: ["us-east5"], nanodollars: 12_000_000_001),
        ])
        let first = try await fixture.call(.get, "\(skus)?pageSize=1").json
        #expect(first["skus"]?[0]?["skuId"] == "A")
        let rate = first["skus"]?[0]?["pricingInfo"]?[0]?.value(at: ["pricingExpression", "tieredRates"])?[0]
        #expect(rate?["unitPrice"] == ["currencyCode": "USD", "units": "0", "nanos": 560_004_000])
        let token = try #require(first["nextPageToken"]?.stringValue)
        let second = try await fixture.call(.get, "\(skus)?pageSize=1&pageToken=\(token)&currencyCode=USD").json
        let dear = second["skus"]?[0]?["pricingInfo"]?[0]?.value(at: ["pricingExpression", "tieredRates"])?[0]
        #expect(dear?["unitPrice"] == ["currencyCode": "USD", "units": "12", "nanos": 1])
        #expect(try await fixture.call(.get, "\(skus)?currencyCode=EUR").field == "currency_code")
        #expect(try await fixture.call(.get, "https://cloudbilling.googleapis.com/v1/services/X/skus").status == 404)
        let info = try await fixture.call(.get, "https://cloudbilling.googleapis.com/v1/projects/p1/billingInfo")
        #expect(info.json["billingEnabled"] == true)
    }

    // MARK: Routing and faults

    @Test func `clients that name the emulator are routed by path`() async throws {
        let fixture = APIFixture(isWrong: true)
        for (path, status) in [
            ("/v2/projects/p1/locations/us-central1/services", 200),
            ("/v2/projects/p1/locations/us-east5-b/queuedResources", 200),
            ("/v2/projects/p1/locations/us-east5-b/operations/x", 404),
            ("/compute/v1/projects/p1/zones", 200), ("/v3/projects/p1", 200),
            ("/v1/projects/p1/serviceAccounts", 200), ("/v1/projects/p1/services", 200),
            ("/v1/projects/p1/locations/us-central1/clusters/c1", 200), ("/storage/v1/b?project=p1", 200),
            ("/unknown", 404),
        ] {
            #expect(try await fixture.call(.get, "http://127.0.0.1:9\(path)").status == status, "\(path)")
        }
        #expect(fixture.cloud.callCount("tpu.operations.get") == 1)
        #expect(
            try await fixture.call(
                .get, "https://us-central1-run.googleapis.com/v2/projects/p1/locations/us-central1/services"
            )
            .status == 200)
        #expect(try await fixture.call(.get, "https://pubsub.googleapis.com/v1/projects/p1/topics").status == 404)
    }

    @Test func `faults happen to requests of every API`() async throws {
        let fixture = APIFixture()
        var script = FaultScript()
        script.add(
            .fail(status: 503, reason: "UNAVAILABLE"), on: RequestMatch(verb: "create", resource: "services"),
            calls: 1...1)
        script.add(.loseReply(), on: RequestMatch(verb: "create", resource: "services"), calls: 2...2)
        fixture.faults.setScript(script)
        #expect(try await fixture.createService().reason == "UNAVAILABLE")
        await #expect(throws: APIError.self) { try await fixture.createService() }
        #expect(try await fixture.createService().reason == "ALREADY_EXISTS")
    }
}
