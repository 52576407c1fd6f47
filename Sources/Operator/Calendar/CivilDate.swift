/// A day of the Gregorian calendar, without a time zone.
struct CivilDate: Sendable, Hashable {
    var year: Int64
    /// 1 ... 12.
    var month: Int
    /// 1 ... 31.
    var day: Int

    init(year: Int64, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// The day that begins so many days after 1970-01-01; Howard Hinnant's `civil_from_days` (public domain algorithm).
    init(days: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * monthIndex + 2) / 5 + 1)
        month = Int(monthIndex < 10 ? monthIndex + 3 : monthIndex - 9)
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// The day in which a moment lies, in UTC.
    init(containing seconds: Int64) { self.init(days: seconds.floorDivided(by: 86400)) }

    /// Days since 1970-01-01; the inverse of `init(days:)`. Months count on beyond 12.
    var days: Int64 {
        let beyond = Int64(month - 1).floorDivided(by: 12)
        let month = Int64(month) - 12 * beyond
        let shifted = month <= 2 ? year + beyond - 1 : year + beyond
        let era = shifted.floorDivided(by: 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + Int64(day) - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// 0 is Sunday, 6 is Saturday.
    var weekday: Int { Self.weekday(days) }

    static func weekday(_ days: Int64) -> Int {
        let rest = (days + 4) % 7
        return Int(rest < 0 ? rest + 7 : rest)
    }
}

extension Int64 {
    /// Rounds towards minus infinity.
    func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
