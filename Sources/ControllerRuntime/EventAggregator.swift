import Encoding
import Kubernetes

/// Turns what happened into event objects, the same thing again into a series: a value.
struct EventAggregator: Sendable {
    /// What to send.
    enum Command: Sendable, Equatable {
        case create(EventObject)
        /// The event, and its series as it now is.
        case updateSeries(EventObject)
    }

    /// A repetition after a longer silence is a new event, as in client-go.
    static let seriesTimeout: Duration = .seconds(360)
    /// A series is written at its first repetition, then at most this often.
    static let seriesInterval: Duration = .seconds(30)
    static let maximumEntries = 1024

    private struct Identity: Hashable {
        let uid: String
        let event: Event
    }

    private struct Entry {
        var object: EventObject
        var count: Int
        var lastObserved: Timestamp
        var lastSent: Timestamp
    }

    private let reportingController: String
    private let reportingInstance: String
    private var entries: [Identity: Entry] = [:]

    init(reportingController: String, reportingInstance: String) {
        self.reportingController = reportingController
        self.reportingInstance = reportingInstance
    }

    /// Something happened to an object; nil when nothing needs to be sent for it now.
    mutating func record(_ event: Event, regarding: EventObject.Reference, now: Timestamp) -> Command? {
        let identity = Identity(uid: regarding.uid ?? "", event: event)
        guard var entry = entries[identity], now - entry.lastObserved <= Self.seriesTimeout else {
            let object = newObject(event, regarding: regarding, now: now)
            makeRoom()
            entries[identity] = Entry(object: object, count: 1, lastObserved: now, lastSent: now)
            return .create(object)
        }
        entry.count += 1
        entry.lastObserved = now
        let isDue = entry.count == 2 || now - entry.lastSent >= Self.seriesInterval
        if isDue {
            entry.lastSent = now
            entry.object.series = EventObject.Series(count: entry.count, lastObservedTime: MicroTime(now))
        }
        entries[identity] = entry
        return isDue ? .updateSeries(entry.object) : nil
    }

    private mutating func makeRoom() {
        guard entries.count >= Self.maximumEntries else { return }
        let oldest = entries.sorted { $0.value.lastObserved < $1.value.lastObserved }
        for (identity, _) in oldest.prefix(Self.maximumEntries / 4) { entries[identity] = nil }
    }

    private func newObject(_ event: Event, regarding: EventObject.Reference, now: Timestamp) -> EventObject {
        let owner = String((regarding.name ?? "object").prefix(200))
        let text = [regarding.uid ?? "", event.reason, event.action, event.message, now.description]
        return EventObject(
            metadata: ObjectMeta(
                name: "\(owner).\(fingerprint(text))", namespace: regarding.namespace ?? "default"),
            eventTime: MicroTime(now), reportingController: reportingController,
            reportingInstance: reportingInstance, action: event.action, reason: event.reason, regarding: regarding,
            note: Conditions.cut(event.message), type: event.kind.rawValue)
    }

    /// 64-bit FNV-1a in hexadecimal: a name that is the same for the same event, so that a lost reply makes no second.
    private func fingerprint(_ parts: [String]) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in parts.joined(separator: "\u{0}").utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
