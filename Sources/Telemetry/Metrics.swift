import Synchronization

/// A label and all the values that it can have, so that the number of series is bounded. Another value counts as
/// "other".
public struct MetricLabel: Sendable, Hashable {
    public let name: String
    public let values: Set<String>

    public init(_ name: String, _ values: some Sequence<String>) {
        self.name = name
        self.values = Set(values)
    }
}

/// A number that only grows. Names end in `_total`.
public final class Counter: Sendable {
    fileprivate let series: MetricSeries<Double>

    fileprivate init(_ description: MetricDescription) { series = MetricSeries(description) }

    /// - Parameter labels: one value for each label, in the order of the declaration.
    public func increment(by amount: Double = 1, _ labels: String...) {
        if amount > 0 { series.update(labels) { $0 = ($0 ?? 0) + amount } }
    }

    /// Takes a total that is counted elsewhere; one that is less than what was taken before changes nothing.
    public func raise(to total: Double, _ labels: String...) {
        series.update(labels) { $0 = total > ($0 ?? 0) ? total : $0 ?? 0 }
    }

    /// For tests.
    public func value(_ labels: String...) -> Double { series.value(labels) ?? 0 }
}

/// A number that goes up and down.
public final class Gauge: Sendable {
    fileprivate let series: MetricSeries<Double>

    fileprivate init(_ description: MetricDescription) { series = MetricSeries(description) }

    public func set(_ value: Double, _ labels: String...) { series.update(labels) { $0 = value } }

    public func add(_ amount: Double, _ labels: String...) { series.update(labels) { $0 = ($0 ?? 0) + amount } }

    /// For tests.
    public func value(_ labels: String...) -> Double { series.value(labels) ?? 0 }
}

/// Counts of observations by size.
public final class Histogram: Sendable {
    fileprivate struct Observations: Sendable {
        var counts: [Int]
        var sum = 0.0
        var count = 0
    }

    fileprivate let series: MetricSeries<Observations>
    fileprivate let bounds: [Double]

    fileprivate init(_ description: MetricDescription, bounds: [Double]) {
        series = MetricSeries(description)
        self.bounds = bounds
    }

    public func observe(_ value: Double, _ labels: String...) {
        record(value, labels)
    }

    /// Observes seconds.
    public func observe(_ duration: Duration, _ labels: String...) { record(duration / .seconds(1), labels) }

    /// Shows a series before its first observation.
    public func declare(_ labels: String...) {
        series.update(labels) { $0 = $0 ?? Observations(counts: Array(repeating: 0, count: bounds.count)) }
    }

    /// How many observations there were; for tests.
    public func count(_ labels: String...) -> Int { series.value(labels)?.count ?? 0 }

    private func record(_ value: Double, _ labels: [String]) {
        if value.isNaN { return }
        let index = bounds.firstIndex { value <= $0 }
        series.update(labels) { observations in
            if observations == nil { observations = Observations(counts: Array(repeating: 0, count: bounds.count)) }
            if let index { observations?.counts[index] += 1 }
            observations?.sum += value
            observations?.count += 1
        }
    }
}

struct MetricDescription: Sendable {
    let name: String
    let help: String
    let labels: [MetricLabel]
}

/// The values of one metric by label values.
final class MetricSeries<Value: Sendable>: Sendable {
    let description: MetricDescription
    private let values = Mutex<[[String]: Value]>([:])

    init(_ description: MetricDescription) { self.description = description }

    func update(_ labels: [String], _ body: (inout Value?) -> Void) {
        let key = key(labels)
        values.withLock { body(&$0[key]) }
    }

    func value(_ labels: [String]) -> Value? { values.withLock { $0[key(labels)] } }

    var all: [(labels: [String], value: Value)] {
        values.withLock { values in values.map { ($0.key, $0.value) } }.sorted { $0.0.lexicographicallyPrecedes($1.0) }
    }

    /// Missing and foreign values count as "other".
    private func key(_ labels: [String]) -> [String] {
        description.labels.enumerated().map { index, label in
            index < labels.count && label.values.contains(labels[index]) ? labels[index] : "other"
        }
    }
}

/// All metrics of a process, written as Prometheus' text format.
public final class MetricsRegistry: Sendable {
    private enum Metric: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    private let metrics = Mutex<[String: Metric]>([:])
    private let collectors = Mutex<[@Sendable () -> Void]>([])

    public init() {}

    /// Calls `body` before each page is written: for what is looked up rather than counted. Must return quickly.
    public func beforeEachPage(_ body: @escaping @Sendable () -> Void) {
        collectors.withLock { $0.append(body) }
    }

    /// Declares a counter; a second declaration of the name gives the first one.
    ///
    /// - Parameter help: a full sentence.
    public func counter(_ name: String, help: String, labels: [MetricLabel] = []) -> Counter {
        let made = Counter(MetricDescription(name: name, help: help, labels: labels))
        if case .counter(let known) = declare(name, .counter(made)) { return known }
        return made
    }

    /// Declares a gauge; a second declaration of the name gives the first one.
    public func gauge(_ name: String, help: String, labels: [MetricLabel] = []) -> Gauge {
        let made = Gauge(MetricDescription(name: name, help: help, labels: labels))
        if case .gauge(let known) = declare(name, .gauge(made)) { return known }
        return made
    }

    /// Declares a histogram; a second declaration of the name gives the first one.
    ///
    /// - Parameter bounds: upper bounds, rising; infinity is added.
    public func histogram(
        _ name: String, help: String, labels: [MetricLabel] = [], bounds: [Double] = MetricsRegistry.latencyBounds
    ) -> Histogram {
        let made = Histogram(MetricDescription(name: name, help: help, labels: labels), bounds: bounds)
        if case .histogram(let known) = declare(name, .histogram(made)) { return known }
        return made
    }

    /// Seconds, from 5 ms to a minute.
    public static let latencyBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

    /// client-go's for requests.
    public static let requestBounds = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]

    /// controller-runtime's for rounds.
    public static let reconcileBounds = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5,
        1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
    ]

    /// controller-runtime's for queues: powers of ten from 10 ns to 1,000 s.
    public static let queueBounds = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000]

    private func declare(_ name: String, _ metric: Metric) -> Metric {
        metrics.withLock { metrics in
            if let known = metrics[name] { return known }
            metrics[name] = metric
            return metric
        }
    }

    /// The text format 0.0.4, sorted, so that equal states give equal text.
    public var text: String {
        for collect in collectors.withLock({ $0 }) { collect() }
        var output = ""
        for (_, metric) in metrics.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            switch metric {
            case .counter(let counter): MetricsRegistry.write(counter.series, type: "counter", into: &output)
            case .gauge(let gauge): MetricsRegistry.write(gauge.series, type: "gauge", into: &output)
            case .histogram(let histogram): MetricsRegistry.write(histogram, into: &output)
            }
        }
        return output
    }

    private static func write(_ series: MetricSeries<Double>, type: String, into output: inout String) {
        header(series.description, type: type, into: &output)
        for (labels, value) in series.all {
            output += series.description.name + labelText(series.description, labels) + " \(number(value))\n"
        }
    }

    private static func write(_ histogram: Histogram, into output: inout String) {
        let description = histogram.series.description
        header(description, type: "histogram", into: &output)
        for (labels, observations) in histogram.series.all {
            var total = 0
            for (bound, count) in zip(histogram.bounds, observations.counts) {
                total += count
                output += "\(description.name)_bucket\(labelText(description, labels, bound: number(bound))) \(total)\n"
            }
            output +=
                "\(description.name)_bucket\(labelText(description, labels, bound: "+Inf")) \(observations.count)\n"
            output += "\(description.name)_sum\(labelText(description, labels)) \(number(observations.sum))\n"
            output += "\(description.name)_count\(labelText(description, labels)) \(observations.count)\n"
        }
    }

    private static func header(_ description: MetricDescription, type: String, into output: inout String) {
        output += "# HELP \(description.name) \(escaped(description.help, quotes: false))\n"
        output += "# TYPE \(description.name) \(type)\n"
    }

    private static func labelText(_ description: MetricDescription, _ values: [String], bound: String? = nil) -> String
    {
        var parts = zip(description.labels, values).map { "\($0.name)=\"\(escaped($1, quotes: true))\"" }
        if let bound { parts.append("le=\"\(bound)\"") }
        return parts.isEmpty ? "" : "{" + parts.joined(separator: ",") + "}"
    }

    private static func number(_ value: Double) -> String {
        if let integer = Int64(exactly: value) { return String(integer) }
        return value.isInfinite ? (value > 0 ? "+Inf" : "-Inf") : value.isNaN ? "NaN" : value.description
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var output = ""
        for character in text {
            switch character {
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\"" where quotes: output += "\\\""
            default: output.append(character)
            }
        }
        return output
    }
}
