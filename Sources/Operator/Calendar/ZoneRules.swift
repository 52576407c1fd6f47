import Encoding

/// What a time zone's clocks show: from a TZif file (RFC 8536), as the system has one for each zone.
public struct ZoneRules: Sendable, Hashable {
    /// From this moment on, clocks show so many seconds more than UTC.
    struct Transition: Sendable, Hashable {
        var at: Int64
        var offset: Int64
    }

    public static let utc = ZoneRules(initialOffset: 0, transitions: [], rule: nil)

    private let initialOffset: Int64
    /// Ascending.
    private let transitions: [Transition]
    /// What holds after the last transition.
    private let rule: ZoneRule?

    private init(initialOffset: Int64, transitions: [Transition], rule: ZoneRule?) {
        self.initialOffset = initialOffset
        self.transitions = transitions
        self.rule = rule
    }

    /// From the text of a zone's rule alone, e.g. `CET-1CEST,M3.5.0,M10.5.0/3`.
    init?(rule text: String) {
        guard let rule = ZoneRule(text) else { return nil }
        self.init(initialOffset: rule.standardOffset, transitions: [], rule: rule)
    }

    // MARK: Reading

    /// The head of one of the file's two blocks.
    private struct Header {
        static let length = 44
        var version: UInt8
        var isUTCount: Int
        var isStandardCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var nameCount: Int

        init?(_ bytes: [UInt8], at start: Int) {
            guard start + Self.length <= bytes.count, Array(bytes[start..<(start + 4)]) == Array("TZif".utf8) else {
                return nil
            }
            version = bytes[start + 4]
            var counts: [Int] = []
            for index in 0..<6 {
                let count = Int(ZoneRules.integer(bytes, at: start + 20 + index * 4, width: 4))
                // No zone has more than some hundreds; the sum below must not overflow.
                guard (0...100_000).contains(count) else { return nil }
                counts.append(count)
            }
            (isUTCount, isStandardCount, leapCount) = (counts[0], counts[1], counts[2])
            (timeCount, typeCount, nameCount) = (counts[3], counts[4], counts[5])
        }

        func bodyLength(timeWidth: Int) -> Int {
            timeCount * (timeWidth + 1) + typeCount * 6 + nameCount + leapCount * (timeWidth + 4) + isStandardCount
                + isUTCount
        }
    }

    /// Reads the contents of a file; nil for what is none, or is of the first version.
    public init?(file bytes: [UInt8]) {
        guard let old = Header(bytes, at: 0), old.version >= 0x32 else { return nil }
        let start = Header.length + old.bodyLength(timeWidth: 4)
        guard let header = Header(bytes, at: start), header.typeCount > 0 else { return nil }
        let times = start + Header.length
        let end = times + header.bodyLength(timeWidth: 8)
        guard end + 1 < bytes.count, bytes[end] == 0x0A, bytes.last == 0x0A else { return nil }
        let kinds = times + header.timeCount * 8
        let types = kinds + header.timeCount
        func offset(_ type: Int) -> Int64? {
            guard type < header.typeCount else { return nil }
            return Self.integer(bytes, at: types + type * 6, width: 4)
        }
        var transitions: [Transition] = []
        for index in 0..<header.timeCount {
            let at = Self.integer(bytes, at: times + index * 8, width: 8)
            guard let offset = offset(Int(bytes[kinds + index])), transitions.last.map({ $0.at < at }) ?? true else {
                return nil
            }
            transitions.append(Transition(at: at, offset: offset))
        }
        let text =
            end + 1 < bytes.count - 1 ? String(decoding: bytes[(end + 1)..<(bytes.count - 1)], as: UTF8.self) : ""
        var rule: ZoneRule?
        if !text.isEmpty {
            guard let read = ZoneRule(text) else { return nil }
            rule = read
        }
        guard let first = offset(0) else { return nil }
        self.init(initialOffset: first, transitions: transitions, rule: rule)
    }

    /// A signed number in network byte order.
    private static func integer(_ bytes: [UInt8], at start: Int, width: Int) -> Int64 {
        let value = bytes[start..<(start + width)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return width == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
    }

    // MARK: Asking

    /// How many seconds more than UTC the clocks show.
    func offset(at seconds: Int64) -> Int64 {
        guard let last = transitions.last else { return rule?.offset(at: seconds) ?? initialOffset }
        if seconds >= last.at { return rule?.offset(at: seconds) ?? last.offset }
        // The last transition that is not after it.
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle].at <= seconds { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? initialOffset : transitions[low - 1].offset
    }

    /// The first moment at which the clocks show a time or a later one, given as seconds since 1970-01-01T00:00 on them.
    func moment(local: Int64) -> Timestamp {
        // No clock is a day away from UTC, and none was ever put forward by more than a day.
        let window = 2 * Int64(86400)
        let changes = changes(from: local - window, to: local + window)
        let offsets = [offset(at: local - window)] + changes.map(\.offset)
        let exact = Set(offsets).map { local - $0 }.filter { $0 + offset(at: $0) == local }.min()
        if let exact { return Timestamp(seconds: exact) }
        // The clocks skip it.
        let skipped = changes.first { $0.at + $0.offset > local && $0.at - 1 + offset(at: $0.at - 1) < local }
        return Timestamp(seconds: skipped?.at ?? local - offset(at: local))
    }

    private func changes(from: Int64, to: Int64) -> [Transition] {
        let listed = transitions.filter { (from...to).contains($0.at) }
        let last = transitions.last?.at ?? .min
        let ruled = (rule?.changes(from: from, to: to) ?? []).filter { $0.at > last }
        return listed + ruled
    }
}
