/// Which versions are kept.
extension GCSArtifact {
    public struct VersionRetention: Codable, Sendable, Hashable {
        /// 1 to 1000.
        public var keepLast: Int
    }
}

extension GCSArtifact.Status {
    /// What became of the others.
    public struct Retention: Codable, Sendable, Hashable {
        public var removedCount: Int?
        public var removing: String?

        public init() {}
    }
}
