import Encoding
import Operator

/// One screen for one object: what it does, why, what it costs, what comes next. Pure: from the object and its events.
struct StatusText {
    let object: Facts
    let events: [Facts]
    let now: Timestamp

    /// Of events, the newest.
    static let eventLimit = 5

    init(_ object: JSONValue, events: [JSONValue], now: Timestamp) {
        self.object = Facts(object)
        self.events = events.map(Facts.init)
        self.now = now
    }

    /// All lines, without a newline at the end.
    var text: String {
        let kind = object.text("kind") ?? ""
        let rows: [(String, String?)] =
            switch kind {
            case "TrainingJob": trainingJob
            case "GCSArtifact": artifact
            default: endpoint
            }
        var lines = [headline(kind)]
        for (label, value) in [("why", why)] + rows + [("next", next(kind))] {
            guard let value, !value.isEmpty else { continue }
            lines.append(Self.row(label, value))
        }
        for (index, event) in newestEvents.enumerated() { lines.append(Self.row(index == 0 ? "events" : "", event)) }
        return lines.joined(separator: "\n")
    }

    static func row(_ label: String, _ value: String) -> String {
        "  \(label)\(String(repeating: " ", count: max(2, 14 - label.count)))\(value)"
    }

    private func headline(_ kind: String) -> String {
        let name = "\(object.text("metadata", "namespace") ?? "default")/\(object.text("metadata", "name") ?? "")"
        let isDeleting = object.text("metadata", "deletionTimestamp") != nil
        let state = object.text("status", "state") ?? "not seen by an operator yet"
        let age = object.time("metadata", "creationTimestamp").map { ", \(span(since: $0)) old" } ?? ""
        return "\(kind) \(name): \(isDeleting && state != "Deleting" ? "being deleted, \(state)" : state)\(age)"
    }

    /// The worst condition's words: a stalled object says what is wrong, any other what it does.
    private var why: String? {
        let stalled = object.condition("Stalled").flatMap { $0.text("status") == "True" ? $0 : nil }
        guard let condition = stalled ?? object.condition("Ready"), let reason = condition.text("reason") else {
            return nil
        }
        let message = condition.text("message") ?? ""
        let since = condition.time("lastTransitionTime").map { " (for \(span(since: $0)))" } ?? ""
        return (message.isEmpty || message == reason ? reason : "\(reason): \(message)") + since
    }

    func span(since moment: Timestamp) -> String {
        Format.span(seconds: Int(max(0, (now - moment).components.seconds)))
    }

    private var newestEvents: [String] {
        let dated = events.map { event in
            (
                event.time("series", "lastObservedTime") ?? event.time("eventTime") ?? event.time(
                    "deprecatedLastTimestamp")
                    ?? event.time("metadata", "creationTimestamp") ?? Timestamp(seconds: 0), event
            )
        }
        return dated.sorted { $0.0 > $1.0 }.prefix(Self.eventLimit).map { moment, event in
            let count = event.number("series", "count").map { " (\($0) times)" } ?? ""
            return "\(span(since: moment)) ago  \(event.text("reason") ?? "")\(count): \(event.text("note") ?? "")"
        }
    }

    // MARK: What comes next

    private func next(_ kind: String) -> String? {
        if let stalled = object.condition("Stalled"), stalled.text("status") == "True" {
            let hint = stalled.text("reason").flatMap { Self.hint(kind, $0) }
            return hint ?? "nothing until somebody acts on what is said above"
        }
        if object.text("metadata", "deletionTimestamp") != nil { return "the object goes when nothing of it is left" }
        switch kind {
        case "TrainingJob": return nextOfJob
        case "ModelEndpoint":
            let isServing = object.condition("Ready")?.text("status") == "True"
            return isServing ? "nothing, until the alias or the spec changes" : nil
        default: return nil
        }
    }

    static func hint(_ kind: String, _ reason: String) -> String? {
        switch kind {
        case "TrainingJob": Reason(rawValue: reason)?.hint
        case "ModelEndpoint": ModelEndpointReason(rawValue: reason)?.hint
        default: nil
        }
    }

    private var nextOfJob: String? {
        if let moment = object.time("status", "capacity", "nextAttemptTime"), moment > now {
            let wait = Format.span(seconds: Int((moment - now).components.seconds))
            return "machines are looked for again in \(wait)"
        }
        switch object.text("status", "state") {
        case "Training": return "when the trainer exits its outputs are verified, and the machines go"
        case "Verifying": return "verified outputs complete the run, and the machines go"
        case "Suspended": return "the run goes on when spec.suspend is false (or its budget is raised)"
        case "Complete": return "nothing; another spec.rerunToken or a changed spec makes a new run"
        case "Planned": return "nothing is bought; set mode to Run (or remove it) to train"
        default: return nil
        }
    }
}
