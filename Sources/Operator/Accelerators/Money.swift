/// An amount in millionths of a US dollar: exact, and far from overflow (nine trillion dollars).
public struct Money: Sendable, Hashable, Comparable {
    public var microdollars: Int64

    public init(microdollars: Int64) { self.microdollars = microdollars }

    public static let zero = Money(microdollars: 0)

    public static func < (left: Money, right: Money) -> Bool { left.microdollars < right.microdollars }

    /// Saturates instead of overflowing: prices and times come from outside.
    public static func + (left: Money, right: Money) -> Money {
        let (sum, overflow) = left.microdollars.addingReportingOverflow(right.microdollars)
        return Money(microdollars: overflow ? (left.microdollars < 0 ? .min : .max) : sum)
    }

    public static func * (money: Money, count: Int) -> Money {
        let (product, overflow) = money.microdollars.multipliedReportingOverflow(by: Int64(count))
        return Money(microdollars: overflow ? ((money.microdollars < 0) != (count < 0) ? .min : .max) : product)
    }

    /// This hourly rate over a time, rounded to the nearest millionth; zero for a negative time.
    public func accrued(over time: Duration) -> Money {
        let (seconds, attoseconds) = time.components
        guard seconds >= 0, attoseconds >= 0 else { return .zero }
        let milliseconds = Int128(seconds) * 1000 + Int128(attoseconds / 1_000_000_000_000_000)
        let millisecondsPerHour: Int128 = 3_600_000
        let amount = (Int128(microdollars) * milliseconds + millisecondsPerHour / 2) / millisecondsPerHour
        return Money(microdollars: Int64(clamping: amount))
    }

    /// A decimal without trailing zeros beyond cents, e.g. "0.40", "0.397336".
    public var decimal: String {
        let magnitude = microdollars.magnitude
        var fraction = String(magnitude % 1_000_000)
        fraction = String(repeating: "0", count: 6 - fraction.count) + fraction
        while fraction.count > 2, fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(microdollars < 0 ? "-" : "")\(magnitude / 1_000_000).\(fraction)"
    }

    /// For people: cents from one dollar on, else the first two digits that are not zero ("$18.42", "$0.0031").
    public var display: String {
        guard microdollars.magnitude < 1_000_000 else {
            let cents = (microdollars.magnitude + 5_000) / 10_000
            return "\(microdollars < 0 ? "-" : "")$\(cents / 100).\(cents % 100 < 10 ? "0" : "")\(cents % 100)"
        }
        return "\(microdollars < 0 ? "-" : "")$\(Money(microdollars: Int64(microdollars.magnitude)).shortFraction)"
    }

    private var shortFraction: String {
        guard microdollars > 0 else { return "0.00" }
        var unit: Int64 = 10_000
        while unit > 1, microdollars / unit < 10 { unit /= 10 }
        return Money(microdollars: (microdollars + unit / 2) / unit * unit).decimal
    }

    /// Reads what `decimal` writes: digits, and up to six more after a point; nil for anything else.
    public init?(decimal text: some StringProtocol) {
        let isNegative = text.hasPrefix("-")
        let parts = (isNegative ? text.dropFirst() : text[...]).split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let first = parts.first, let whole = Money.digits(first, most: 12)
        else { return nil }
        var micros: Int64 = 0
        if parts.count == 2 {
            let text = String(parts[1])
            guard let value = Money.digits(text[...], most: 6) else { return nil }
            micros = (text.count..<6).reduce(value) { value, _ in value * 10 }
        }
        self.init(microdollars: (whole * 1_000_000 + micros) * (isNegative ? -1 : 1))
    }

    private static func digits(_ text: some StringProtocol, most: Int) -> Int64? {
        guard !text.isEmpty, text.count <= most, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }
}
