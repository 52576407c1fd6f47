/// What a location's GKE offers.
public struct ServerConfig: Decodable, Sendable, Hashable {
    /// A release channel's versions.
    public struct Channel: Decodable, Sendable, Hashable {
        /// `RAPID`, `REGULAR`, `STABLE`, `EXTENDED`.
        public var channel: String?
        public var defaultVersion: String?
        public var validVersions: [String]?
    }

    public var defaultClusterVersion: String?
    public var validNodeVersions: [String]?
    public var validImageTypes: [String]?
    public var channels: [Channel]?
}
