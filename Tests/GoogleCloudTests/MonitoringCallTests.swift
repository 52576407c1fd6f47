import Encoding
import GoogleCloud
import HTTP
import Testing

/// Metrics and prices: monitoring and cloudbilling.
@Suite struct MonitoringCallTests {
    static let series = "https://monitoring.googleapis.com/v3/projects/p1/timeSeries"

    @Test func `series with values of every kind`() async throws {
        let query = TimeSeriesQuery(
            filter: #"metric.type="run.googleapis.com/request_count""#, startTime: "2026-11-21T00:00:00Z",
            endTime: "2026-11-21T00:10:00Z", alignmentPeriodSeconds: 60, perSeriesAligner: "ALIGN_RATE",
            crossSeriesReducer: "REDUCE_SUM",
            groupByFields: ["resource.label.revision_name", "metric.label.response_code_class"])
        let url =
            "GET \(Self.series)?filter=metric.type%3D%22run.googleapis.com%2Frequest_count%22"
            + "&interval.startTime=2026-11-21T00%3A00%3A00Z&interval.endTime=2026-11-21T00%3A10%3A00Z"
            + "&aggregation.alignmentPeriod=60s&aggregation.perSeriesAligner=ALIGN_RATE"
            + "&aggregation.crossSeriesReducer=REDUCE_SUM&aggregation.groupByFields=resource.label.revision_name"
            + "&aggregation.groupByFields=metric.label.response_code_class&view=FULL"
        func point(_ value: JSONValue) -> JSONValue {
            ["interval": ["endTime": "2026-11-21T00:10:00Z"], "value": value]
        }
        let listing = try await expectCalls(
            [url, url + "&pageToken=2"],
            replies: [
                [
                    "timeSeries": [
                        [
                            "metric": ["type": "t", "labels": ["response_code_class": "5xx"]],
                            "resource": ["type": "cloud_run_revision"], "metricKind": "DELTA", "unit": "1",
                            "points": [
                                point(["doubleValue": 1.5]), point(["doubleValue": "NaN"]),
                                point(["doubleValue": "-Infinity"]), point(["int64Value": "7"]),
                                point(["boolValue": false]), point(["stringValue": "s"]),
                                point(["distributionValue": ["count": "4", "mean": 2.5]]),
                                point(["distributionValue": [:]]), point(["newValue": 1]), [:],
                            ],
                        ]
                    ], "nextPageToken": "2", "unreachable": ["projects/p1/locations/us-east1"],
                ], ["executionErrors": [["code": 4, "message": "too slow"]]],
            ]
        ) { google throws(APIError) in try await MonitoringClient(google).timeSeries(query, project: "p1") }
        let series = try #require(listing.items.first)
        #expect(series.metric?.labels == ["response_code_class": "5xx"])
        let values = try #require(series.points).map(\.value)
        #expect(values[1]?.number?.isNaN == true)
        #expect(
            values.enumerated().filter { $0.offset != 1 }.map(\.element) == [
                .double(1.5), .double(-.infinity), .integer(7), .bool(false), .string("s"),
                .distribution(count: 4, mean: 2.5), .distribution(count: 0, mean: 0), .other, nil,
            ])
        #expect(values.compactMap { $0?.number }.suffix(3) == [7, 2.5, 0])
        #expect(listing.unreachable == ["projects/p1/locations/us-east1", "too slow"])
    }

    @Test func `a query's table, its pages asked for in the body`() async throws {
        let row: JSONValue = [
            "labelValues": [["stringValue": "r1"], ["int64Value": "200"]],
            "pointData": [["values": [["doubleValue": 3]], "timeInterval": ["endTime": "2026-11-21T00:10:00Z"]]],
        ]
        let table = try await expectCalls(
            ["POST \(Self.series):query", "POST \(Self.series):query"], body: ["query": "fetch x"],
            replies: [
                ["timeSeriesData": [row], "nextPageToken": "2"],
                ["timeSeriesData": [row], "partialErrors": [["message": "m"]]],
            ]
        ) { google throws(APIError) in try await MonitoringClient(google).query("fetch x", project: "p1") }
        #expect(table.items.count == 2)
        #expect(table.items.first?.labelValues == [.string("r1"), .integer(200)])
        #expect(table.items.first?.pointData?.first?.values == [.double(3)])
        #expect(table.unreachable == ["m"])
        let transport = ScriptedTransport { number, _ in
            .reply(.json(number == 1 ? ["nextPageToken": "2"] : [:]))
        }
        _ = try await MonitoringClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock())
        ).query("fetch x", project: "p1")
        #expect(
            try transport.requests.map { try $0.json } == [
                ["query": "fetch x"], ["query": "fetch x", "pageToken": "2"],
            ])
    }

    @Test func `prices over many pages`() async throws {
        let root = "https://cloudbilling.googleapis.com/v1"
        let services = try await expectCall(
            "GET \(root)/services?pageSize=5000",
            reply: ["services": [["name": "s", "serviceId": "6F81-5844-456A", "displayName": "Compute Engine"]]]
        ) { google throws(APIError) in try await BillingClient(google).services() }
        #expect(services.items.map(\.serviceId) == ["6F81-5844-456A"])
        let url = "GET \(root)/services/6F81-5844-456A/skus?currencyCode=USD&pageSize=5000"
        let skus = try await expectCalls(
            [url, url + "&pageToken=2"],
            replies: [
                [
                    "skus": [
                        [
                            "skuId": "A", "description": "Nvidia L4 GPU running in Americas",
                            "category": ["resourceFamily": "Compute", "resourceGroup": "GPU", "usageType": "OnDemand"],
                            "serviceRegions": ["us-central1"],
                            "pricingInfo": [
                                [
                                    "pricingExpression": [
                                        "usageUnit": "h",
                                        "tieredRates": [
                                            ["unitPrice": ["currencyCode": "USD"]],
                                            [
                                                "startUsageAmount": 1,
                                                "unitPrice": [
                                                    "currencyCode": "USD", "units": "1", "nanos": 560_040_000,
                                                ],
                                            ],
                                        ],
                                    ]
                                ]
                            ],
                        ]
                    ], "nextPageToken": "2",
                ],
                ["skus": [["skuId": "B"]], "nextPageToken": ""],
            ]
        ) { google throws(APIError) in try await BillingClient(google).skus(of: "6F81-5844-456A") }
        #expect(skus.items.map(\.skuId) == ["A", "B"])
        #expect(skus.items.first?.category?.usageType == "OnDemand")
        #expect(skus.items.map { $0.unitPrice?.amount } == [1.56004, nil])
        let info = try await expectCall(
            "GET \(root)/projects/p1/billingInfo", reply: ["projectId": "p1", "billingEnabled": true]
        ) { google throws(APIError) in try await BillingClient(google).billingInfo(project: "p1") }
        #expect(info.billingEnabled == true)
    }
}
