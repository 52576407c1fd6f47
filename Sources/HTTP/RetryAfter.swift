public import Encoding

extension HTTPHeaders {
    /// `Retry-After`, in seconds or as a date; nil when absent or neither. At least zero.
    ///
    /// A date counts from the reply's own `Date`, so that a clock that is wrong here does no harm.
    ///
    /// - Parameter now: stands in for a missing `Date`.
    public func retryAfter(now: Timestamp) -> Duration? {
        guard let text = self["Retry-After"] else { return nil }
        if let seconds = Int64(text) { return .seconds(min(max(seconds, 0), HTTPHeaders.longestSeconds)) }
        guard let moment = Timestamp(httpDate: text) else { return nil }
        let base = self["Date"].flatMap { Timestamp(httpDate: $0) } ?? now
        return min(max(moment - base, .zero), .seconds(HTTPHeaders.longestSeconds))
    }

    private static let longestSeconds: Int64 = 365 * 86400
}

extension Timestamp {
    /// Reads RFC 9110's `Sun, 06 Nov 1994 08:49:37 GMT`; nil for anything else, the two obsolete forms included.
    public init?(httpDate text: String) {
        let parts = text.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard parts.count == 6, parts[0].hasSuffix(","), parts[1].utf8.count == 2, parts[5] == "GMT",
            let month = months.firstIndex(of: String(parts[2]))
        else { return nil }
        let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
        self.init("\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
    }
}
