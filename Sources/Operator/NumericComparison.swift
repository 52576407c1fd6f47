/// A bound on a number, in the words of our kinds.
public enum NumericComparison: String, Codable, Sendable, Hashable, CaseIterable {
    case greaterThan = "GreaterThan"
    case greaterThanOrEqual = "GreaterThanOrEqual"
    case lessThan = "LessThan"
    case lessThanOrEqual = "LessThanOrEqual"
    case equal = "Equal"

    func holds(_ left: Double, _ right: Double) -> Bool {
        switch self {
        case .greaterThan: left > right
        case .greaterThanOrEqual: left >= right
        case .lessThan: left < right
        case .lessThanOrEqual: left <= right
        case .equal: left == right
        }
    }

    /// `at least`
    var words: String {
        switch self {
        case .greaterThan: "above"
        case .greaterThanOrEqual: "at least"
        case .lessThan: "below"
        case .lessThanOrEqual: "at most"
        case .equal: "equal to"
        }
    }

    /// `>=`
    var symbol: String {
        switch self {
        case .greaterThan: ">"
        case .greaterThanOrEqual: ">="
        case .lessThan: "<"
        case .lessThanOrEqual: "<="
        case .equal: "="
        }
    }
}
