internal import Encoding

/// The filters of `timeSeries.list` that the sandbox understands: comparisons with `=`, `!=` and `starts_with`, joined
/// by AND. Anything else is refused, never ignored.
struct SeriesFilter: Sendable {
    private struct Term: Sendable {
        var selector: String
        var isEqual: Bool
        var isPrefix: Bool
        var value: String
    }

    private var terms: [Term] = []

    /// - Throws: 400 for what is not understood and for a filter that names no metric.
    init(_ text: String) throws(CloudError) {
        var rest = Substring(text)
        while true {
            Self.skip(&rest)
            if rest.isEmpty { break }
            if !terms.isEmpty, rest.hasPrefix("AND") {
                rest.removeFirst(3)
                Self.skip(&rest)
            }
            terms.append(try Self.term(&rest))
        }
        guard terms.contains(where: { $0.selector == "metric.type" && $0.isEqual }) else {
            throw .invalidField(
                "filter",
                "The supplied filter does not specify a valid combination of metric and monitored resource descriptors."
            )
        }
    }

    func matches(_ series: SimulatedTimeSeries) -> Bool {
        terms.allSatisfy { term in
            let value = Self.value(term.selector, of: series) ?? ""
            return (term.isPrefix ? value.hasPrefix(term.value) : value == term.value) == term.isEqual
        }
    }

    /// `metric.type`, `resource.labels.service_name`, …; nil where a series has no such label.
    static func value(_ selector: String, of series: SimulatedTimeSeries) -> String? {
        let parts = selector.split(separator: ".", maxSplits: 2).map(String.init)
        switch (parts.first, parts.count > 1 ? parts[1] : "", parts.count) {
        case ("metric", "type", 2): return series.metric
        case ("resource", "type", 2): return series.resource
        case ("metric", "label", 3), ("metric", "labels", 3): return series.metricLabels[parts[2]]
        case ("resource", "label", 3), ("resource", "labels", 3): return series.resourceLabels[parts[2]]
        default: return nil
        }
    }

    /// Whether a selector may be used: `metric.type`, `metric.labels.x`, the same of the resource.
    static func isSelector(_ text: String) -> Bool {
        let parts = text.split(separator: ".", maxSplits: 2)
        guard parts.first == "metric" || parts.first == "resource", parts.count >= 2 else { return false }
        return parts.count == 2 ? parts[1] == "type" : parts[1] == "label" || parts[1] == "labels"
    }

    // MARK: Reading

    private static func skip(_ text: inout Substring) { text = text.drop { $0 == " " || $0 == "\n" } }

    private static func term(_ text: inout Substring) throws(CloudError) -> Term {
        let selector = normalised(text.prefix { $0 != "=" && $0 != "!" && $0 != " " && $0 != ":" })
        text = text.drop { $0 != "=" && $0 != "!" && $0 != " " && $0 != ":" }
        skip(&text)
        let isEqual = !text.hasPrefix("!")
        if !isEqual { text.removeFirst() }
        guard isSelector(selector), text.first == "=" else {
            throw .invalidField("filter", "Could not parse filter near \"\(selector)\".")
        }
        text.removeFirst()
        skip(&text)
        let isPrefix = text.hasPrefix("starts_with(")
        if isPrefix { text.removeFirst("starts_with(".count) }
        guard let quote = text.first, quote == "\"" || quote == "'" else {
            throw .invalidField("filter", "Could not parse filter: a quoted value must follow \"\(selector)\".")
        }
        text.removeFirst()
        let value = text.prefix { $0 != quote }
        text = text.dropFirst(value.count)
        guard text.first == quote, !isPrefix || text.dropFirst().first == ")" else {
            throw .invalidField("filter", "Could not parse filter: the value of \"\(selector)\" does not end.")
        }
        text.removeFirst(isPrefix ? 2 : 1)
        return Term(selector: selector, isEqual: isEqual, isPrefix: isPrefix, value: String(value))
    }

    /// `resource.label."pod_name"` → `resource.label.pod_name`.
    static func normalised(_ selector: some StringProtocol) -> String { String(selector.filter { $0 != "\"" }) }
}
