/// What of a bucket's settings is more than a word, and who keeps them.
extension GCSArtifact {
    /// Who makes the bucket, and who changes its settings.
    public enum ManagementPolicy: String, Codable, Sendable, Hashable, CaseIterable {
        /// Created, and kept as described.
        case full = "Full"
        /// Created as described; its settings are not looked at again.
        case createOnly = "CreateOnly"
        /// Somebody else's: used as it is.
        case observe = "Observe"
    }
}

extension GCSArtifact.Bucket {
    /// Cloud Storage moves objects between classes by itself.
    public struct Autoclass: Codable, Sendable, Hashable {
        public var enabled: Bool
        public var terminalStorageClass: GCSArtifact.StorageClass?
    }

    /// For how long objects can be neither deleted nor overwritten.
    public struct Retention: Codable, Sendable, Hashable {
        public var retentionSeconds: Int64
        /// For ever: nobody can undo it.
        public var locked: Bool = false
    }

    /// Whether this object makes the bucket.
    public var isManaged: Bool { managementPolicy != .observe }
}
