internal import Encoding
public import HTTP

/// Metrics, read only: monitoring v3 at `https://monitoring.googleapis.com/`.
public struct MonitoringClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, _ method: HTTPMethod, project: String, _ path: [PathPart], verb: StaticString? = nil,
        query: [HTTPURL.QueryItem] = [], body: (any Encodable)? = nil
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "monitoring.\(operation)", method, origin: "https://monitoring.googleapis.com",
            path: ["v3", "projects", .checked(.project, project)] + path, verb: verb, query: query, body: body)
    }

    /// The series that a filter selects, points newest first. Maps to `GET v3/projects/P/timeSeries`.
    ///
    /// - Throws: `.invalid` for a filter or an aggregation that the service does not take.
    public func timeSeries(_ query: TimeSeriesQuery, project: String) async throws(APIError) -> Listing<TimeSeries> {
        let call = try call("timeSeries.list", .get, project: project, ["timeSeries"], query: query.items)
        return try await client.list(call, limit: query.limit) { page throws(JSONError) in
            Listing(
                items: try page.elements("timeSeries"), unreachable: page.unreachable + page.errors("executionErrors"))
        }
    }

    /// The table that a query in Monitoring Query Language makes. Maps to `POST v3/projects/P/timeSeries:query`.
    ///
    /// - Throws: `.invalid` for a query that is none.
    public func query(
        _ text: String, project: String, limit: Int = 10_000
    ) async throws(APIError) -> Listing<TimeSeriesRow> {
        let call = try call(
            "timeSeries.query", .post, project: project, ["timeSeries"], verb: "query", body: ["query": text])
        // The token goes into the body here.
        let turn = { (call: GoogleCall, token: String) in
            var next = call
            next.body = JSONValue.object(["query": .string(text), "pageToken": .string(token)]).serialized()
            return next
        }
        return try await client.list(call, limit: limit, turn: turn) { page throws(JSONError) in
            Listing(items: try page.elements("timeSeriesData"), unreachable: page.errors("partialErrors"))
        }
    }
}

extension JSONValue {
    /// The sentences of a list of google.rpc.Status.
    fileprivate func errors(_ key: String) -> [String] {
        (self[key]?.arrayValue ?? []).map { $0["message"]?.stringValue ?? "an error without a message" }
    }
}

/// Which series, and how they are made fewer.
public struct TimeSeriesQuery: Sendable, Hashable {
    /// `metric.type="run.googleapis.com/request_count" AND resource.labels.service_name="s"`.
    public var filter: String
    /// RFC 3339; nil is the last point before `endTime`.
    public var startTime: String?
    /// RFC 3339.
    public var endTime: String
    /// Seconds; at least 60 with an aligner.
    public var alignmentPeriodSeconds: Int?
    /// `ALIGN_RATE`, `ALIGN_PERCENTILE_95`, …
    public var perSeriesAligner: String?
    /// `REDUCE_SUM`, …
    public var crossSeriesReducer: String?
    /// `resource.label.revision_name`, …
    public var groupByFields: [String]
    /// More series than this are an error.
    public var limit: Int

    public init(
        filter: String, startTime: String? = nil, endTime: String, alignmentPeriodSeconds: Int? = nil,
        perSeriesAligner: String? = nil, crossSeriesReducer: String? = nil, groupByFields: [String] = [],
        limit: Int = 10_000
    ) {
        self.filter = filter
        self.startTime = startTime
        self.endTime = endTime
        self.alignmentPeriodSeconds = alignmentPeriodSeconds
        self.perSeriesAligner = perSeriesAligner
        self.crossSeriesReducer = crossSeriesReducer
        self.groupByFields = groupByFields
        self.limit = limit
    }

    fileprivate var items: [HTTPURL.QueryItem] {
        [HTTPURL.QueryItem("filter", filter)].adding("interval.startTime", startTime)
            .adding("interval.endTime", endTime)
            .adding("aggregation.alignmentPeriod", alignmentPeriodSeconds.map { "\($0)s" })
            .adding("aggregation.perSeriesAligner", perSeriesAligner)
            .adding("aggregation.crossSeriesReducer", crossSeriesReducer)
            + groupByFields.map { HTTPURL.QueryItem("aggregation.groupByFields", $0) }
            + [HTTPURL.QueryItem("view", "FULL")]
    }
}
