import Encoding

/// When something begins, as crontab(5) says it: minute, hour, day of the month, month, day of the week, in local time.
///
/// Numbers, `*`, ranges, steps (`*/15`, `8-18/2`), lists, and the names of months and week days; 7 is Sunday too. Where
/// both days are restricted, either will do. A time that the clocks skip begins when they have been put forward; one that
/// comes twice begins the first time.
struct CronSchedule: Sendable, Hashable {
    /// A schedule that is none: a sentence.
    struct Problem: Error, Hashable {
        var message: String
    }

    private struct Field: Sendable, Hashable {
        /// Bit n is set where n matches.
        var values: UInt64 = 0
        /// It does not begin with `*`.
        var isRestricted = false

        func matches(_ value: Int) -> Bool { values >> UInt64(value) & 1 == 1 }
    }

    /// How far ahead a next start is looked for: the 29th of February may be eight years away.
    private static let horizonDays: Int64 = 8 * 366 + 2
    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    private let daysOfMonth: Field
    private let monthField: Field
    private let daysOfWeek: Field
    /// Minutes since midnight, ascending.
    private let times: [Int]

    init(_ text: String) throws(Problem) {
        let parts = text.split(separator: " ").map(String.init)
        guard parts.count == 5 else {
            throw Problem(
                message: "\"\(text)\" does not have five fields: minute, hour, day of month, month, day of week")
        }
        let minutes = try Self.field(parts[0], "minute", 0...59)
        let hours = try Self.field(parts[1], "hour", 0...23)
        daysOfMonth = try Self.field(parts[2], "day of month", 1...31)
        monthField = try Self.field(parts[3], "month", 1...12, names: Self.months, firstName: 1)
        var week = try Self.field(parts[4], "day of week", 0...7, names: Self.weekdays, firstName: 0)
        if week.matches(7) { week.values |= 1 }
        daysOfWeek = week
        times = (0..<24).filter(hours.matches).flatMap { hour in
            (0..<60).filter(minutes.matches).map { hour * 60 + $0 }
        }
    }

    // MARK: Reading

    private static func field(
        _ text: String, _ name: String, _ range: ClosedRange<Int>, names: [String] = [], firstName: Int = 0
    ) throws(Problem) -> Field {
        var field = Field(isRestricted: !text.hasPrefix("*"))
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
            let step = pieces.count == 2 ? Int(pieces[1]) : 1
            guard pieces.count <= 2, let step, step > 0,
                let values = span(pieces[0], range, isStepped: pieces.count == 2, names, firstName)
            else {
                throw Problem(message: "\(name) \"\(text)\" is not one of \(range.lowerBound) to \(range.upperBound)")
            }
            for value in stride(from: values.lowerBound, through: values.upperBound, by: step) {
                field.values |= 1 << UInt64(value)
            }
        }
        return field
    }

    /// `*`, `5`, `5-9`; with a step, `5` is all from 5 on.
    private static func span(
        _ text: Substring, _ range: ClosedRange<Int>, isStepped: Bool, _ names: [String], _ firstName: Int
    ) -> ClosedRange<Int>? {
        if text == "*" { return range }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        func number(_ text: Substring) -> Int? {
            if let index = names.firstIndex(of: text.lowercased()) { return index + firstName }
            guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text),
                range.contains(value)
            else { return nil }
            return value
        }
        guard (1...2).contains(ends.count), let first = number(ends[0]) else { return nil }
        if ends.count == 1 { return first...(isStepped ? range.upperBound : first) }
        guard let last = number(ends[1]), first <= last else { return nil }
        return first...last
    }

    // MARK: Asking

    private func matches(_ days: Int64) -> Bool {
        let date = CivilDate(days: days)
        guard monthField.matches(date.month) else { return false }
        let isDay = daysOfMonth.matches(date.day)
        let isWeekday = daysOfWeek.matches(CivilDate.weekday(days))
        return daysOfMonth.isRestricted && daysOfWeek.isRestricted ? isDay || isWeekday : isDay && isWeekday
    }

    /// The latest start that is not after a moment and less than `span` before it; nil when there is none.
    func lastStart(until now: Timestamp, within span: Duration, in zone: ZoneRules) -> Timestamp? {
        let oldest = now - span
        // Local dates differ from those of UTC by a day at most.
        let last = now.seconds.floorDivided(by: 86400) + 1
        let first = oldest.seconds.floorDivided(by: 86400) - 1
        for day in stride(from: last, through: first, by: -1) where matches(day) {
            for minute in times.reversed() {
                let start = zone.moment(local: day * 86400 + Int64(minute * 60))
                if start <= now { return start > oldest ? start : nil }
            }
        }
        return nil
    }

    /// The first start after a moment; nil when none comes within eight years.
    func nextStart(after now: Timestamp, in zone: ZoneRules) -> Timestamp? {
        let first = now.seconds.floorDivided(by: 86400) - 1
        for day in first...(first + Self.horizonDays) where matches(day) {
            for minute in times {
                let start = zone.moment(local: day * 86400 + Int64(minute * 60))
                if start > now { return start }
            }
        }
        return nil
    }
}

extension Timestamp {
    /// The moment `duration` earlier.
    static func - (moment: Timestamp, duration: Duration) -> Timestamp { moment + (.zero - duration) }
}
