/// The rule for years to come, as POSIX writes it in the variable TZ.
struct ZoneRule: Sendable, Hashable {
    private enum Day: Sendable, Hashable {
        /// 1 ... 365; the 29th of February is never counted.
        case julian(Int)
        /// 0 ... 365.
        case ofYear(Int)
        /// The n-th such day of a month; 5 is the last.
        case weekday(month: Int, week: Int, weekday: Int)
    }

    private struct Change: Sendable, Hashable {
        var day: Day
        /// Seconds since midnight on the clocks as they are before.
        var time: Int64
    }

    private struct Summer: Sendable, Hashable {
        var offset: Int64
        var start: Change
        var end: Change
    }

    let standardOffset: Int64
    private let summer: Summer?

    init?(_ text: String) {
        var reader = Reader(text)
        guard reader.name(), let west = reader.time() else { return nil }
        standardOffset = -west
        guard !reader.isAtEnd else {
            summer = nil
            return
        }
        guard reader.name() else { return nil }
        var offset = standardOffset + 3600
        if let next = reader.peek, next != "," {
            guard let west = reader.time() else { return nil }
            offset = -west
        }
        guard reader.skip(","), let start = Self.change(&reader), reader.skip(","), let end = Self.change(&reader),
            reader.isAtEnd
        else { return nil }
        summer = Summer(offset: offset, start: start, end: end)
    }

    private static func change(_ reader: inout Reader) -> Change? {
        let day: Day
        if reader.skip("M") {
            guard let month = reader.number(), (1...12).contains(month), reader.skip("."),
                let week = reader.number(), (1...5).contains(week), reader.skip("."),
                let weekday = reader.number(), (0...6).contains(weekday)
            else { return nil }
            day = .weekday(month: Int(month), week: Int(week), weekday: Int(weekday))
        } else if reader.skip("J") {
            guard let number = reader.number(), (1...365).contains(number) else { return nil }
            day = .julian(Int(number))
        } else {
            guard let number = reader.number(), (0...365).contains(number) else { return nil }
            day = .ofYear(Int(number))
        }
        guard reader.skip("/") else { return Change(day: day, time: 7200) }
        guard let time = reader.time() else { return nil }
        return Change(day: day, time: time)
    }

    func offset(at seconds: Int64) -> Int64 {
        guard summer != nil else { return standardOffset }
        let year = Int64(366) * 86400
        // There are two changes a year.
        return changes(from: seconds - 2 * year, to: seconds).last?.offset ?? standardOffset
    }

    /// Ascending.
    func changes(from: Int64, to: Int64) -> [ZoneRules.Transition] {
        guard let summer, from <= to else { return [] }
        let years = (CivilDate(containing: from).year - 1)...(CivilDate(containing: to).year + 1)
        let all = years.flatMap { year in
            [
                ZoneRules.Transition(at: Self.local(summer.start, year) - standardOffset, offset: summer.offset),
                ZoneRules.Transition(at: Self.local(summer.end, year) - summer.offset, offset: standardOffset),
            ]
        }
        return all.filter { (from...to).contains($0.at) }.sorted { $0.at < $1.at }
    }

    private static func local(_ change: Change, _ year: Int64) -> Int64 { days(change.day, year) * 86400 + change.time }

    private static func days(_ day: Day, _ year: Int64) -> Int64 {
        let newYear = CivilDate(year: year, month: 1, day: 1).days
        switch day {
        case .ofYear(let number): return newYear + Int64(number)
        case .julian(let number):
            let march = CivilDate(year: year, month: 3, day: 1).days
            return number < 60 ? newYear + Int64(number - 1) : march + Int64(number - 60)
        case .weekday(let month, let week, let weekday):
            let first = CivilDate(year: year, month: month, day: 1).days
            let next = CivilDate(year: year, month: month + 1, day: 1).days
            var day = first + Int64((weekday - CivilDate.weekday(first) + 7) % 7) + Int64(week - 1) * 7
            while day >= next { day -= 7 }
            return day
        }
    }

    /// Goes through the text.
    private struct Reader {
        private var rest: Substring

        init(_ text: String) { rest = text[...] }

        var isAtEnd: Bool { rest.isEmpty }
        var peek: Character? { rest.first }

        mutating func skip(_ character: Character) -> Bool {
            guard rest.first == character else { return false }
            rest.removeFirst()
            return true
        }

        /// `CET`, `<+03>`.
        mutating func name() -> Bool {
            if skip("<") {
                guard let end = rest.firstIndex(of: ">") else { return false }
                rest = rest[rest.index(after: end)...]
                return true
            }
            let letters = rest.prefix { $0.isLetter && $0.isASCII }
            rest = rest.dropFirst(letters.count)
            return letters.count >= 3
        }

        mutating func number() -> Int64? {
            let digits = rest.prefix { $0.isNumber && $0.isASCII }
            guard (1...3).contains(digits.count) else { return nil }
            rest = rest.dropFirst(digits.count)
            return Int64(digits)
        }

        /// `[+-]h[:m[:s]]`, in seconds.
        mutating func time() -> Int64? {
            let isNegative = skip("-")
            if !isNegative { _ = skip("+") }
            guard let hours = number(), hours <= 167 else { return nil }
            var seconds = hours * 3600
            for unit in [Int64(60), 1] {
                guard skip(":") else { break }
                guard let part = number(), part < 60 else { return nil }
                seconds += part * unit
            }
            return isNegative ? -seconds : seconds
        }
    }
}
