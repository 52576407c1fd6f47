extension ModelEndpoint {
    /// What an endpoint may cost in a calendar month (UTC).
    public struct Budget: Codable, Sendable, Hashable {
        public enum OnExceeded: String, Codable, Sendable, Hashable, CaseIterable {
            case suspend = "Suspend"
            case warn = "Warn"
        }

        public var currencyCode: String
        public var maxMonthlyCost: String
        public var onExceeded: OnExceeded
    }

    /// A time in which more instances run also without requests.
    public struct WarmWindow: Codable, Sendable, Hashable {
        public var name: String
        /// As crontab(5): when it begins.
        public var schedule: String
        public var timeZone: String
        public var durationSeconds: Int
        public var minReplicas: Int
    }
}
