/// Worst-case cost in CEL's units (about 50 ns each); sums and products stop at the largest number.
struct CELCost: Sendable, Hashable, Comparable {
    let units: UInt64

    init(_ units: UInt64) { self.units = units }

    static let zero = CELCost(0)
    static let one = CELCost(1)
    /// Of a list literal, beside its elements.
    static let list = CELCost(10)

    /// Per character of a text that is read once.
    static let textFactor = 0.1
    /// Per character of a pattern.
    static let patternFactor = 0.25

    static func < (left: CELCost, right: CELCost) -> Bool { left.units < right.units }

    static func + (left: CELCost, right: CELCost) -> CELCost {
        let (sum, overflow) = left.units.addingReportingOverflow(right.units)
        return CELCost(overflow ? .max : sum)
    }

    static func * (left: CELCost, right: CELCost) -> CELCost {
        let (product, overflow) = left.units.multipliedReportingOverflow(by: right.units)
        return CELCost(overflow ? .max : product)
    }

    /// A size times a factor, rounded up.
    static func of(_ size: UInt64, factor: Double) -> CELCost {
        let product = (Double(size) * factor).rounded(.up)
        return CELCost(product >= 0x1p64 ? .max : UInt64(product))
    }
}
