/// Numbers, sizes and times as text for people.
enum Format {
    /// With exactly `digits` decimals, rounded half away from zero: `0.30`, `-1.5`. Not a number: `?`.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e12, (0...6).contains(digits) else { return "?" }
        var scale: Int64 = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int64((abs(value) * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        if digits == 0 { return sign + String(scaled) }
        let fraction = String(scaled % scale)
        return sign + String(scaled / scale) + "." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// Thousands separated by commas: `60,000`.
    static func count(_ value: Int) -> String {
        let digits = String(value.magnitude)
        var groups = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { groups.append(",") }
            groups.append(digit)
        }
        return (value < 0 ? "-" : "") + groups
    }

    /// Binary units: `312 B`, `4.6 MiB`.
    static func bytes(_ value: Int64) -> String {
        if value < 1024 { return "\(value) B" }
        var amount = Double(value)
        for unit in ["KiB", "MiB", "GiB"] {
            amount /= 1024
            if amount < 1023.95 || unit == "GiB" { return "\(decimal(amount, 1)) \(unit)" }
        }
        return "\(value) B"
    }

    /// `01:05`, `1:02:03`: whole seconds, rounded down.
    static func clock(_ duration: Duration) -> String {
        let seconds = max(0, duration.components.seconds)
        let tail = "\(twoDigits(seconds / 60 % 60)):\(twoDigits(seconds % 60))"
        return seconds >= 3600 ? "\(seconds / 3600):\(tail)" : tail
    }

    /// `42 s`, `2 min 5 s`, `1 h 2 min`.
    static func span(seconds: Int) -> String {
        let seconds = max(0, seconds)
        if seconds < 60 { return "\(seconds) s" }
        if seconds < 3600 {
            return seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds / 60) min \(seconds % 60) s"
        }
        return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }

    /// One line of at most `limit` characters, control characters as spaces: what servers say goes to a terminal.
    static func line(_ text: String, limit: Int = 300) -> String {
        let cleaned = String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
        return cleaned.count > limit ? String(cleaned.prefix(limit - 1)) + "…" : cleaned
    }

    /// Padded with spaces on the right, or the left, to `width` characters.
    static func padded(_ text: String, _ width: Int, onLeft: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return onLeft ? space + text : text + space
    }

    /// `1 pod`, `2 pods`.
    static func plural(_ count: Int, _ noun: String) -> String {
        "\(self.count(count)) \(noun)\(count == 1 ? "" : "s")"
    }

    private static func twoDigits(_ value: Int64) -> String { value < 10 ? "0\(value)" : String(value) }
}
