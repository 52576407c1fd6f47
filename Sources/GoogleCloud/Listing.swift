public import HTTP

/// A list, read to its end. Where parts of the service did not answer it says so, so that a gap is not taken for an end.
public struct Listing<Element: Sendable>: Sendable {
    public var items: [Element]
    /// What did not answer: zones, locations or resource names, else the service's own words.
    public var unreachable: [String]

    public init(items: [Element] = [], unreachable: [String] = []) {
        self.items = items
        self.unreachable = unreachable
    }

    /// Whether something that is not in `items` does not exist.
    public var isComplete: Bool { unreachable.isEmpty }

    /// The items of a complete list.
    ///
    /// - Throws: `.unavailable` when the list is not complete.
    public func complete(operation: String) throws(APIError) -> [Element] {
        guard isComplete else {
            let names = unreachable.prefix(5).joined(separator: ", ")
            throw APIError(
                .unavailable, operation: operation,
                message: "the list is incomplete; no answer from \(names)\(unreachable.count > 5 ? " …" : "")")
        }
        return items
    }
}

extension Listing: Equatable where Element: Equatable {}
extension Listing: Hashable where Element: Hashable {}
