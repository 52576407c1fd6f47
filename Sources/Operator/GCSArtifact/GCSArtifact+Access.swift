/// Who else may use the data.
extension GCSArtifact {
    public struct Access: Codable, Sendable, Hashable {
        public var bindings: [Binding]?
    }

    /// A role and who holds it, for this artifact's place only.
    public struct Binding: Codable, Sendable, Hashable {
        public var role: String
        public var members: [String]
    }
}
