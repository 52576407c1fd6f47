import Encoding
import Kubernetes

/// Turns what happened into event objects, the same thing again into a series, many similar things into one, and too many
/// of one object into none; client-go's rules and numbers. A value, bounded.
struct EventAggregator: Sendable {
    /// What to send.
    enum Command: Sendable, Equatable {
        case create(EventObject)
        /// The event, and its series as it now is.
        case updateSeries(EventObject)
    }

    enum Answer: Sendable, Equatable {
        case send(Command)
        /// It is part of a series that is written later.
        case counted
        /// The object has had too many events.
        case spam
    }

    /// A repetition after a longer silence is a new event.
    static let seriesTimeout: Duration = .seconds(360)
    /// A series is written at its first repetition, then at most this often.
    static let seriesInterval: Duration = .seconds(30)
    /// So many wordings of one reason within `similarTimeout` of each other are events of their own, the others are one.
    static let maximumWordings = 10
    static let similarTimeout: Duration = .seconds(600)
    static let similarPrefix = "(combined from similar events): "
    /// An object may have so many events at once, and one more every so often.
    static let burst = 25.0
    static let refillInterval: Duration = .seconds(300)
    static let maximumEntries = 1024
    static let maximumObjects = 4096

    private struct Identity: Hashable {
        let uid: String
        let event: Event
    }

    private struct Similar: Hashable {
        let uid: String
        let kind: Event.Kind
        let reason: String
        let action: String
    }

    private struct Wordings {
        var messages: Set<String> = []
        var lastSeen: Duration
    }

    private struct Tokens {
        var count: Double
        var at: Duration
    }

    private struct Entry {
        var object: EventObject
        var count: Int
        var lastObserved: Duration
        var lastSent: Duration
    }

    private let reportingController: String
    private let reportingInstance: String
    private var wordings = RecentValues<Similar, Wordings>(limit: EventAggregator.maximumEntries)
    private var entries = RecentValues<Identity, Entry>(limit: EventAggregator.maximumEntries)
    private var tokens = RecentValues<String, Tokens>(limit: EventAggregator.maximumObjects)

    init(reportingController: String, reportingInstance: String) {
        self.reportingController = reportingController
        self.reportingInstance = reportingInstance
    }

    /// Something happened to an object.
    ///
    /// - Parameters:
    ///   - now: what the event shows.
    ///   - uptime: what series and limits are measured by.
    mutating func record(
        _ event: Event, regarding: EventObject.Reference, now: Timestamp, uptime: Duration
    ) -> Answer {
        let uid = regarding.uid ?? ""
        let isCombined = hasManyWordings(event, uid: uid, uptime: uptime)
        var kept = event
        if isCombined { kept.message = "" }
        let identity = Identity(uid: uid, event: kept)
        guard var entry = entries[identity], uptime - entry.lastObserved <= Self.seriesTimeout else {
            guard takeToken(of: uid, uptime: uptime) else { return .spam }
            var shown = event
            if isCombined { shown.message = Self.similarPrefix + event.message }
            let object = newObject(shown, regarding: regarding, now: now)
            entries.set(
                identity, Entry(object: object, count: 1, lastObserved: uptime, lastSent: uptime), at: uptime)
            return .send(.create(object))
        }
        entry.count += 1
        entry.lastObserved = uptime
        defer { entries.set(identity, entry, at: uptime) }
        guard entry.count == 2 || uptime - entry.lastSent >= Self.seriesInterval else { return .counted }
        guard takeToken(of: uid, uptime: uptime) else { return .spam }
        entry.lastSent = uptime
        entry.object.series = EventObject.Series(count: entry.count, lastObservedTime: MicroTime(now))
        return .send(.updateSeries(entry.object))
    }

    /// Counts the wording among those of its kind and reason; true when there are too many to tell apart.
    private mutating func hasManyWordings(_ event: Event, uid: String, uptime: Duration) -> Bool {
        let key = Similar(uid: uid, kind: event.kind, reason: event.reason, action: event.action)
        var known = wordings[key] ?? Wordings(lastSeen: uptime)
        if uptime - known.lastSeen > Self.similarTimeout { known.messages = [] }
        known.lastSeen = uptime
        defer { wordings.set(key, known, at: uptime) }
        if known.messages.contains(event.message) { return false }
        guard known.messages.count < Self.maximumWordings else { return true }
        known.messages.insert(event.message)
        return false
    }

    private mutating func takeToken(of uid: String, uptime: Duration) -> Bool {
        var bucket = tokens[uid] ?? Tokens(count: Self.burst, at: uptime)
        bucket.count = min(Self.burst, bucket.count + (uptime - bucket.at) / Self.refillInterval)
        bucket.at = uptime
        defer { tokens.set(uid, bucket, at: uptime) }
        guard bucket.count >= 1 else { return false }
        bucket.count -= 1
        return true
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
