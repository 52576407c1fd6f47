import Encoding

/// Kubernetes quantities ("500m", "16Gi", "2", "1e3").
enum ResourceQuantity {
    private static let binary: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60]
    private static let decimal: [String: Double] = [
        "": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    ]

    /// The amount in thousandths, rounded up as Kubernetes does; nil when it is no quantity.
    static func thousandths(_ value: JSONValue) -> Int64? {
        if let integer = value.integerValue { return saturated(Double(integer) * 1000) }
        if let number = value.doubleValue { return saturated(number * 1000) }
        return value.stringValue.flatMap(thousandths)
    }

    static func thousandths(_ text: String) -> Int64? {
        let end = text.firstIndex { !($0.isASCII && ($0.isNumber || "+-.".contains($0))) } ?? text.endIndex
        guard let number = Double(text[..<end]) else { return nil }
        let suffix = text[end...]
        if suffix.count == 2, suffix.last == "i", let letter = suffix.first, let shift = binary[letter] {
            return saturated(number * Double(1 << shift) * 1000)
        }
        if let factor = decimal[String(suffix)] { return saturated(number * factor * 1000) }
        return Double(text).flatMap { saturated($0 * 1000) }  // An exponent: "1e3".
    }

    /// As node status writes it: whole units where it is one, else with "m".
    static func text(thousandths value: Int64) -> String {
        value % 1000 == 0 ? String(value / 1000) : "\(value)m"
    }

    private static func saturated(_ value: Double) -> Int64 {
        guard value.isFinite else { return .max }
        return Int64(exactly: value.rounded(.up)) ?? (value < 0 ? .min : .max)
    }
}
