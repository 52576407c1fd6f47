internal import Encoding
internal import HTTP

/// Alignment and reduction of time series, as `aggregation.*` asks for.
struct SeriesAlignment: Sendable {
    private let period: Duration
    private let aligner: String
    private let reducer: String
    private let groups: [String]
    private let start: Timestamp
    private let end: Timestamp

    private static let aligners: Set<String> = [
        "ALIGN_NONE", "ALIGN_DELTA", "ALIGN_RATE", "ALIGN_MIN", "ALIGN_MAX", "ALIGN_MEAN", "ALIGN_COUNT", "ALIGN_SUM",
        "ALIGN_NEXT_OLDER", "ALIGN_PERCENTILE_99", "ALIGN_PERCENTILE_95", "ALIGN_PERCENTILE_50",
        "ALIGN_PERCENTILE_05",
    ]
    private static let reducers: Set<String> = [
        "REDUCE_NONE", "REDUCE_MEAN", "REDUCE_MIN", "REDUCE_MAX", "REDUCE_SUM", "REDUCE_COUNT",
        "REDUCE_PERCENTILE_99", "REDUCE_PERCENTILE_95", "REDUCE_PERCENTILE_50", "REDUCE_PERCENTILE_05",
    ]

    /// - Throws: 400 for combinations that make no sense and for what the sandbox does not compute.
    init(_ call: APICall, start: Timestamp, end: Timestamp) throws(CloudError) {
        aligner = call.query("aggregation.perSeriesAligner") ?? "ALIGN_NONE"
        reducer = call.query("aggregation.crossSeriesReducer") ?? "REDUCE_NONE"
        groups = call.request.url.query.filter { $0.name == "aggregation.groupByFields" }
            .map { SeriesFilter.normalised($0.value) }
        self.start = start
        self.end = end
        guard Self.aligners.contains(aligner), Self.reducers.contains(reducer) else {
            throw .invalidField("aggregation", "The sandbox does not compute \(aligner) or \(reducer).")
        }
        if let field = groups.first(where: { !SeriesFilter.isSelector($0) }) {
            throw .invalidField("aggregation.group_by_fields", "Field \(field) is not valid.")
        }
        let given = call.query("aggregation.alignmentPeriod").map { JSONValue.string($0).duration }
        if aligner == "ALIGN_NONE" {
            guard reducer == "REDUCE_NONE" else {
                throw .invalidField("aggregation", "A reducer needs an aligner other than ALIGN_NONE.")
            }
            period = .zero
        } else {
            guard let given, let period = given, period >= .seconds(60) else {
                throw .invalidField("aggregation.alignment_period", "The alignment period must be at least 60s.")
            }
            self.period = period
        }
    }

    /// The series as the reply has them, points newest first.
    func apply(_ series: [SimulatedTimeSeries]) -> [SimulatedTimeSeries] {
        let inside = series.map { series in
            var series = series
            series.points = series.points.filter { $0.end > start && $0.end <= end }
            return series
        }.filter { !$0.points.isEmpty }
        let aligned = aligner == "ALIGN_NONE" ? inside : inside.map(align).filter { !$0.points.isEmpty }
        let reduced = reducer == "REDUCE_NONE" ? aligned : reduce(aligned)
        return reduced.map { series in
            var series = series
            series.points.sort { $0.end > $1.end }
            return series
        }
    }

    // MARK: One series

    /// Periods end at the interval's end and run backwards.
    private func align(_ series: SimulatedTimeSeries) -> SimulatedTimeSeries {
        var result = series
        result.kind = aligner == "ALIGN_DELTA" ? .delta : .gauge
        result.points = []
        var upper = end
        while upper > start {
            let lower = upper + (.zero - period)
            let points = series.points.filter { $0.end > lower && $0.end <= upper }
            if let value = value(points, kind: series.kind) {
                result.points.append(SimulatedTimeSeries.Point(start: upper, end: upper, value: value))
            }
            upper = lower
        }
        return result
    }

    private func value(
        _ points: [SimulatedTimeSeries.Point], kind: SimulatedTimeSeries.Kind
    ) -> SimulatedTimeSeries.Value? {
        guard let last = points.last, let first = points.first else { return nil }
        let numbers = points.map(\.value.number)
        let sum = numbers.reduce(0, +)
        let change = kind == .cumulative ? last.value.number - first.value.number : sum
        switch aligner {
        case "ALIGN_DELTA": return .double(change)
        case "ALIGN_RATE": return .double(change / Self.seconds(period))
        case "ALIGN_SUM": return .double(sum)
        case "ALIGN_MIN": return .double(numbers.min() ?? 0)
        case "ALIGN_MAX": return .double(numbers.max() ?? 0)
        case "ALIGN_MEAN": return .double(sum / Double(numbers.count))
        case "ALIGN_COUNT": return .int64(Int64(numbers.count))
        case "ALIGN_NEXT_OLDER": return last.value
        default: return .double(Self.percentile(points.map(\.value), rank: rank(aligner)))
        }
    }

    private func rank(_ word: String) -> Double { (Double(word.suffix(2)) ?? 50) / 100 }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    /// Of the values themselves, or within the distributions' buckets by linear interpolation.
    private static func percentile(_ values: [SimulatedTimeSeries.Value], rank: Double) -> Double {
        var bounds: [Double] = []
        var counts: [Int64] = []
        for case .distribution(let each, let more) in values {
            if bounds.isEmpty { (bounds, counts) = (each, Array(repeating: 0, count: each.count + 1)) }
            for (index, count) in more.enumerated() where index < counts.count { counts[index] += count }
        }
        let total = counts.reduce(0, +)
        guard total > 0 else {
            let sorted = values.map(\.number).sorted()
            let index = Int((rank * Double(sorted.count)).rounded(.up)) - 1
            return sorted.isEmpty ? 0 : sorted[max(0, min(sorted.count - 1, index))]
        }
        let wanted = rank * Double(total)
        var below = 0.0
        for (index, count) in counts.enumerated() where count > 0 {
            if below + Double(count) >= wanted {
                let lower = index == 0 ? 0 : bounds[index - 1]
                let upper = index < bounds.count ? bounds[index] : lower
                return lower + (upper - lower) * (wanted - below) / Double(count)
            }
            below += Double(count)
        }
        return bounds.last ?? 0
    }

    // MARK: Across series

    private func reduce(_ series: [SimulatedTimeSeries]) -> [SimulatedTimeSeries] {
        var order: [[String?]] = []
        var members: [[String?]: [SimulatedTimeSeries]] = [:]
        for each in series {
            let key = groups.map { SeriesFilter.value($0, of: each) }
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(each)
        }
        return order.compactMap { key in members[key].flatMap(reduceGroup) }
    }

    private func reduceGroup(_ group: [SimulatedTimeSeries]) -> SimulatedTimeSeries? {
        guard var result = group.first else { return nil }
        let kept = Set(groups.compactMap { $0.split(separator: ".").count == 3 ? $0 : nil })
        result.metricLabels = result.metricLabels.filter {
            kept.contains("metric.label.\($0.key)") || kept.contains("metric.labels.\($0.key)")
        }
        result.resourceLabels = result.resourceLabels.filter {
            kept.contains("resource.label.\($0.key)") || kept.contains("resource.labels.\($0.key)")
        }
        let moments = Set(group.flatMap { $0.points.map(\.end) })
        result.points = moments.sorted().map { moment in
            let values = group.flatMap { $0.points.filter { $0.end == moment }.map(\.value) }
            return SimulatedTimeSeries.Point(start: moment, end: moment, value: reduced(values))
        }
        return result
    }

    private func reduced(_ values: [SimulatedTimeSeries.Value]) -> SimulatedTimeSeries.Value {
        let numbers = values.map(\.number)
        switch reducer {
        case "REDUCE_SUM": return .double(numbers.reduce(0, +))
        case "REDUCE_MIN": return .double(numbers.min() ?? 0)
        case "REDUCE_MAX": return .double(numbers.max() ?? 0)
        case "REDUCE_MEAN": return .double(numbers.reduce(0, +) / Double(max(1, numbers.count)))
        case "REDUCE_COUNT": return .int64(Int64(numbers.count))
        default: return .double(Self.percentile(values, rank: rank(reducer)))
        }
    }
}
