import Encoding

/// A published figure: its key in the JSON line, what it says to people, and its target.
enum Figure: String, CaseIterable, Sendable {
    case coldStartSeconds
    case emptyResidentMB
    case bytesPerObject
    case relistPeakRatio
    case noopReconcilesPerSecond
    case eventToReconcileP99Milliseconds
    case firstActionP99Seconds
    case idleWrites
    case idleRequestsPerSecond
    case failoverStopSeconds
    case failoverTermSeconds
    case decodeMBPerSecond
    case decodeAllocationsPerObject
    case artifactsPerSecond
    case orphans
    case duplicates
    case foreignTouched
    case requestsChecked
    case requestsRefused

    var meaning: String {
        switch self {
        case .coldStartSeconds: "start of the operator to synced, 10,000 TrainingJobs"
        case .emptyResidentMB: "resident memory without objects"
        case .bytesPerObject: "resident memory per TrainingJob of 4 KB, above empty"
        case .relistPeakRatio: "peak during a new reading of everything ÷ steady"
        case .noopReconcilesPerSecond: "rounds with nothing to do, one core"
        case .eventToReconcileP99Milliseconds: "watch event → round starts, 1,000 events a second, p99"
        case .firstActionP99Seconds: "new object → first action while 10,000 re-checks are due, p99"
        case .idleWrites: "writes in 10 idle minutes, 10,000 objects (lease renewals aside)"
        case .idleRequestsPerSecond: "requests in 10 idle minutes, lease renewals and watches included"
        case .failoverStopSeconds: "failover after SIGSTOP: last change of the old → first of the new"
        case .failoverTermSeconds: "failover after SIGTERM"
        case .decodeMBPerSecond: "decoding a 10 MB list into TrainingJobs, one core"
        case .decodeAllocationsPerObject: "allocations per TrainingJob of that list"
        case .artifactsPerSecond: "prefix-mode GCSArtifacts created to Ready, 200 ms a call to the cloud, 64 in flight"
        case .orphans: "buckets and objects left by deleted artifacts, the operator killed at half of each step"
        case .duplicates: "requests to create a bucket that was there already, after a kill or otherwise"
        case .foreignTouched: "changes of what is not ours: decoy buckets and objects beside the prefixes"
        case .requestsChecked: "requests to Google's APIs that were compared with its discovery documents"
        case .requestsRefused: "of those, the ones that do not agree"
        }
    }

    enum Target: Sendable {
        case below(Double)
        case atMost(Double)
        case atLeast(Double)
        case published
    }

    var target: Target {
        switch self {
        case .coldStartSeconds: .below(5)
        case .emptyResidentMB: .below(40)
        case .bytesPerObject: .atMost(10_000)
        case .relistPeakRatio: .atMost(1.5)
        case .noopReconcilesPerSecond: .atLeast(5_000)
        case .eventToReconcileP99Milliseconds: .below(20)
        case .firstActionP99Seconds: .below(1)
        case .idleWrites: .atMost(0)
        case .idleRequestsPerSecond: .atMost(0.5)
        case .failoverStopSeconds: .atMost(15)
        case .failoverTermSeconds: .atMost(2)
        case .decodeMBPerSecond, .decodeAllocationsPerObject: .published
        case .artifactsPerSecond: .atLeast(200)
        case .orphans, .duplicates, .foreignTouched, .requestsRefused: .atMost(0)
        case .requestsChecked: .atLeast(1)
        }
    }
}

extension Figure.Target {
    var text: String {
        switch self {
        case .below(let limit): "< \(Text.number(limit))"
        case .atMost(let limit): "≤ \(Text.number(limit))"
        case .atLeast(let limit): "≥ \(Text.number(limit))"
        case .published: "published"
        }
    }

    /// nil when there is nothing to meet.
    func isMet(by value: Double) -> Bool? {
        switch self {
        case .below(let limit): value < limit
        case .atMost(let limit): value <= limit
        case .atLeast(let limit): value >= limit
        case .published: nil
        }
    }
}

/// What was measured.
struct Results: Sendable {
    private(set) var values: [Figure: Double] = [:]
    /// Sentences for people below the table.
    private(set) var remarks: [String] = []

    mutating func set(_ figure: Figure, _ value: Double) { values[figure] = value }
    mutating func remark(_ text: String) { remarks.append(text) }

    /// One line, sorted keys; what was not measured is absent.
    var json: String {
        let members = values.map { ($0.key.rawValue, JSONValue.number(Text.rounded($0.value))) }
        return JSONValue.object(Dictionary(members) { $1 }).serializedText()
    }

    var table: String {
        let rows = Figure.allCases.compactMap { figure -> [String]? in
            guard let value = values[figure] else { return nil }
            let verdict =
                switch figure.target.isMet(by: value) {
                case true?: "met"
                case false?: "MISSED"
                case nil: ""
                }
            return [figure.rawValue, Text.number(value), figure.target.text, verdict, figure.meaning]
        }
        return Text.columns([["figure", "value", "target", "", "what"]] + rows)
            + remarks.map { "\n\($0)" }.joined()
    }
}

enum Text {
    /// Three significant digits are all that a measurement on a shared machine says.
    static func rounded(_ value: Double) -> Double {
        guard value.isFinite, value != 0 else { return value }
        var scale = 1.0
        while abs(value) * scale < 100 { scale *= 10 }
        return (value * scale).rounded() / scale
    }

    static func number(_ value: Double) -> String {
        let rounded = rounded(value)
        return Int64(exactly: rounded).map(String.init) ?? String(rounded)
    }

    static func columns(_ rows: [[String]]) -> String {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                cell + String(repeating: " ", count: widths[index] - cell.count)
            }
            return cells.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    /// The value below which 99 of 100 lie.
    static func percentile99(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard let last = sorted.last else { return .nan }
        let index = Int((Double(sorted.count) * 0.99).rounded(.up)) - 1
        return sorted.indices.contains(index) ? sorted[index] : last
    }
}
