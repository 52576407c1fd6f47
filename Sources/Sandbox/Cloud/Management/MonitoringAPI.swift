internal import Encoding
internal import HTTP

/// monitoring v3: reading the series that were planted or recorded. Of MQL `timeSeries.query` knows
/// `fetch RESOURCE::METRIC | filter a.b == 'x' | within 5m`; everything else it refuses.
struct MonitoringAPI: CloudAPI {
    static let routes = [
        Route(.get, "v3/projects/{project}/timeSeries", "monitoring.timeSeries.list"),
        Route(.post, "v3/projects/{project}/timeSeries:query", "monitoring.timeSeries.query"),
    ]

    /// More points of one series are forgotten, the oldest first.
    private static let pointLimit = 4096

    var series: [SimulatedTimeSeries] = []

    /// Adds points to the series of the same metric, resource and labels.
    mutating func append(_ new: SimulatedTimeSeries) {
        let known = series.firstIndex { each in
            each.metric == new.metric && each.metricLabels == new.metricLabels && each.resource == new.resource
                && each.resourceLabels == new.resourceLabels && each.kind == new.kind
        }
        guard let known else {
            series.append(new)
            return
        }
        series[known].points += new.points
        let extra = series[known].points.count - Self.pointLimit
        if extra > 0 { series[known].points.removeFirst(extra) }
    }

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        .json(call.method == "monitoring.timeSeries.list" ? try list(call) : try query(call, in: world))
    }

    // MARK: List

    private func list(_ call: APICall) throws(CloudError) -> JSONValue {
        guard let filter = call.query("filter"), !filter.isEmpty else {
            throw .invalidField("filter", "Field filter had an invalid value of \"\": must not be empty.")
        }
        guard let end = call.query("interval.endTime").flatMap({ Timestamp($0) }) else {
            throw .invalidField("interval.end_time", "Field interval.end_time must be set to a time.")
        }
        // Without a start the interval is one moment.
        guard let start = call.query("interval.startTime").map({ Timestamp($0) }) ?? end, start <= end else {
            throw .invalidField(
                "interval.start_time", "Field interval.start_time must be a time that is not after the end time.")
        }
        let view = call.query("view") ?? "FULL"
        guard ["FULL", "HEADERS"].contains(view) else {
            throw .invalidField("view", "Field view must be FULL or HEADERS.")
        }
        let wanted = try SeriesFilter(filter)
        let found = try SeriesAlignment(call, start: start, end: end).apply(series.filter(wanted.matches))
        return try call.page("timeSeries", found.map { json($0, isFull: view == "FULL") }, limit: 100_000)
    }

    private func json(_ series: SimulatedTimeSeries, isFull: Bool) -> JSONValue {
        var value: JSONValue = [
            "metric": labelled(series.metric, series.metricLabels),
            "resource": labelled(series.resource, series.resourceLabels), "metricKind": .string(series.kind.rawValue),
            "valueType": .string(series.points.first?.value.type ?? "DOUBLE"),
        ]
        if isFull {
            value["points"] = .array(series.points.map { ["interval": interval($0), "value": $0.value.json] })
        }
        return value
    }

    private func labelled(_ type: String, _ labels: [String: String]) -> JSONValue {
        var value: JSONValue = ["type": .string(type)]
        value.setUnlessDefault("labels", .object(labels.mapValues(JSONValue.string)))
        return value
    }

    private func interval(_ point: SimulatedTimeSeries.Point) -> JSONValue {
        ["startTime": .string(point.start.description), "endTime": .string(point.end.description)]
    }

    // MARK: Query

    private func query(_ call: APICall, in world: CloudWorld) throws(CloudError) -> JSONValue {
        guard let text = try call.body()["query"]?.stringValue, !text.isEmpty else {
            throw .invalidField("query", "query must be set.")
        }
        var found: [SimulatedTimeSeries] = []
        var from = world.now + .seconds(-3600)
        for (index, stage) in text.split(separator: "|").enumerated() {
            let words = stage.split(separator: " ").map(String.init)
            switch (index, words.first ?? "", words.count) {
            case (0, "fetch", 2):
                let names = words[1].split(separator: ":", omittingEmptySubsequences: true).map {
                    String($0).trimmingQuotes
                }
                guard names.count == 2 else { throw Self.unparsed(stage) }
                found = series.filter { $0.resource == names[0] && $0.metric == names[1] }
            case (1..., "filter", 4) where words[2] == "==":
                let selector = words[1]
                guard SeriesFilter.isSelector("\(selector.split(separator: ".")[0]).labels.x") else {
                    throw Self.unparsed(stage)
                }
                let value = words[3].trimmingQuotes
                found = found.filter { SeriesFilter.value(Self.label(selector), of: $0) == value }
            case (1..., "within", 2):
                guard let minutes = Self.duration(words[1]) else { throw Self.unparsed(stage) }
                from = world.now + (.zero - minutes)
            default: throw Self.unparsed(stage)
            }
        }
        return try reply(found, from: from, call, in: world)
    }

    /// `metric.response_code_class` → `metric.labels.response_code_class`.
    private static func label(_ selector: String) -> String {
        let parts = selector.split(separator: ".", maxSplits: 1)
        return parts.count == 2 ? "\(parts[0]).labels.\(parts[1])" : selector
    }

    private static func unparsed(_ stage: Substring) -> CloudError {
        .invalidField("query", "The query could not be parsed, or the sandbox does not know this operation: \(stage)")
    }

    private static func duration(_ text: String) -> Duration? {
        guard let number = Int64(text.dropLast()), number > 0 else { return nil }
        return switch text.last {
        case "s": .seconds(number)
        case "m": .seconds(number * 60)
        case "h": .seconds(number * 3600)
        case "d": .seconds(number * 86400)
        default: nil
        }
    }

    private func reply(
        _ found: [SimulatedTimeSeries], from: Timestamp, _ call: APICall, in world: CloudWorld
    ) throws(CloudError) -> JSONValue {
        let metricLabels = Set(found.flatMap(\.metricLabels.keys)).sorted()
        let resourceLabels = Set(found.flatMap(\.resourceLabels.keys)).sorted()
        let data: [JSONValue] = found.compactMap { series in
            let points = series.points.filter { $0.end > from && $0.end <= world.now }.sorted { $0.end > $1.end }
            guard !points.isEmpty else { return nil }
            let values = resourceLabels.map { series.resourceLabels[$0] } + metricLabels.map { series.metricLabels[$0] }
            return [
                "labelValues": .array(values.map { ["stringValue": .string($0 ?? "")] }),
                "pointData": .array(points.map { ["timeInterval": interval($0), "values": [$0.value.json]] }),
            ]
        }
        var reply = try call.page("timeSeriesData", data, limit: 100_000)
        guard let first = found.first else { return reply }
        let keys = resourceLabels.map { "resource.\($0)" } + metricLabels.map { "metric.\($0)" }
        reply["timeSeriesDescriptor"] = [
            "labelDescriptors": .array(keys.map { ["key": .string($0)] }),
            "pointDescriptors": [
                [
                    "key": .string("value.\(first.metric.split(separator: "/").last ?? "")"),
                    "valueType": .string(first.points.first?.value.type ?? "DOUBLE"),
                    "metricKind": .string(first.kind.rawValue),
                ]
            ],
        ]
        return reply
    }
}

extension String {
    fileprivate var trimmingQuotes: String { filter { $0 != "'" && $0 != "\"" } }
}
