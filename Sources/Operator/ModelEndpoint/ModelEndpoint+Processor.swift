extension ModelEndpoint {
    /// A service before or after the predictor.
    public struct Processor: Codable, Sendable, Hashable {
        public var image: String
        public var args: [String]?
        public var env: [Predictor.EnvironmentVariable]?
        public var resources: Predictor.Resources?
        public var googleServiceAccount: String?
    }
}
