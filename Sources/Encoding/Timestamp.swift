/// A moment of wall-clock time, with nanoseconds, on the wire as RFC 3339 in UTC ("2026-11-21T10:00:00Z").
///
/// Kubernetes writes whole seconds (`MicroTime` six digits); Google writes up to nine. Reads all of them.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Seconds since 1970-01-01T00:00:00Z.
    public var seconds: Int64
    /// 0 ..< 1,000,000,000.
    public var nanoseconds: Int32

    public init(seconds: Int64, nanoseconds: Int32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// The moment `duration` later (earlier when negative).
    public static func + (moment: Timestamp, duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        var total = Int64(moment.nanoseconds) + attoseconds / 1_000_000_000
        var carry = total / 1_000_000_000
        total -= carry * 1_000_000_000
        if total < 0 {
            total += 1_000_000_000
            carry -= 1
        }
        return Timestamp(seconds: moment.seconds + seconds + carry, nanoseconds: Int32(total))
    }

    /// The time from `right` to `left`.
    public static func - (left: Timestamp, right: Timestamp) -> Duration {
        .seconds(left.seconds - right.seconds) + .nanoseconds(Int64(left.nanoseconds) - Int64(right.nanoseconds))
    }

    /// The same moment without its fraction: what Kubernetes stores in a `Time` field.
    public var wholeSeconds: Timestamp { Timestamp(seconds: seconds) }
}

extension Timestamp: LosslessStringConvertible {
    /// RFC 3339 in UTC; without a fraction when there is none, else with six digits, or nine where six lose something.
    public var description: String {
        let base = Timestamp.dateAndTime(seconds)
        if nanoseconds == 0 { return base + "Z" }
        let micro = nanoseconds % 1000 == 0
        let digits = String(micro ? nanoseconds / 1000 : nanoseconds)
        return base + "." + String(repeating: "0", count: (micro ? 6 : 9) - digits.count) + digits + "Z"
    }

    /// RFC 3339 with exactly six digits: Kubernetes' `MicroTime` (Lease, Event).
    public var microTime: String {
        let digits = String(nanoseconds / 1000)
        return Timestamp.dateAndTime(seconds) + "." + String(repeating: "0", count: 6 - digits.count) + digits + "Z"
    }

    /// Reads RFC 3339 ("Z" or an offset, any number of fraction digits); nil for anything else.
    public init?(_ text: String) {
        var text = text
        guard let value = text.withUTF8({ Timestamp(utf8: $0) }) else { return nil }
        self = value
    }

    /// As `init(_:)`, from the bytes of the text.
    init?(utf8 bytes: UnsafeBufferPointer<UInt8>) {
        guard bytes.count >= 20, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54 || bytes[10] == 0x74,
            bytes[13] == 0x3A, bytes[16] == 0x3A,
            let year = Timestamp.digits(bytes, 0, 4), let month = Timestamp.digits(bytes, 5, 2),
            let day = Timestamp.digits(bytes, 8, 2), let hour = Timestamp.digits(bytes, 11, 2),
            let minute = Timestamp.digits(bytes, 14, 2), let second = Timestamp.digits(bytes, 17, 2),
            (1...12).contains(month), (1...Timestamp.days(inMonth: month, of: year)).contains(day), hour < 24,
            minute < 60, second < 61
        else { return nil }
        var position = 19
        var nanoseconds: Int32 = 0
        if bytes[position] == 0x2E {
            position += 1
            let start = position
            while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
                if position - start < 9 { nanoseconds = nanoseconds * 10 + Int32(bytes[position] - 0x30) }
                position += 1
            }
            guard position > start else { return nil }
            for _ in min(position - start, 9)..<9 { nanoseconds *= 10 }
        }
        guard let offset = Timestamp.offsetSeconds(bytes, position) else { return nil }
        let days = Timestamp.daysSinceEpoch(year: Int64(year), month: Int64(month), day: Int64(day))
        self.init(
            seconds: days * 86400 + Int64(hour * 3600 + minute * 60 + second) - offset, nanoseconds: nanoseconds)
    }

    private static func offsetSeconds(_ bytes: UnsafeBufferPointer<UInt8>, _ position: Int) -> Int64? {
        guard position < bytes.count else { return nil }
        if bytes[position] == 0x5A || bytes[position] == 0x7A { return position + 1 == bytes.count ? 0 : nil }
        guard bytes[position] == 0x2B || bytes[position] == 0x2D, position + 6 == bytes.count,
            bytes[position + 3] == 0x3A, let hours = digits(bytes, position + 1, 2),
            let minutes = digits(bytes, position + 4, 2), hours < 24, minutes < 60
        else { return nil }
        let offset = Int64(hours * 3600 + minutes * 60)
        return bytes[position] == 0x2B ? offset : -offset
    }

    private static func digits(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ count: Int) -> Int? {
        guard start + count <= bytes.count else { return nil }
        var value = 0
        for byte in bytes[start..<(start + count)] {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from the civil date; Howard Hinnant's `days_from_civil` (public domain algorithm).
    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func dateAndTime(_ seconds: Int64) -> String {
        let days = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400
        let rest = seconds - days * 86400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        return "\(date)T\(padded(rest / 3600, 2)):\(padded(rest / 60 % 60, 2)):\(padded(rest % 60, 2))"
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}

extension Timestamp: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Timestamp(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 time")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
