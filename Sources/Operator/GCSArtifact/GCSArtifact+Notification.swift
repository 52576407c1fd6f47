/// Messages about objects.
extension GCSArtifact {
    public struct Notification: Codable, Sendable, Hashable {
        public enum Event: String, Codable, Sendable, Hashable, CaseIterable {
            case finalized = "ObjectFinalized"
            case deleted = "ObjectDeleted"
            case archived = "ObjectArchived"
            case metadataUpdated = "ObjectMetadataUpdated"

            /// As the Cloud Storage API writes it.
            var apiValue: String {
                switch self {
                case .finalized: "OBJECT_FINALIZE"
                case .deleted: "OBJECT_DELETE"
                case .archived: "OBJECT_ARCHIVE"
                case .metadataUpdated: "OBJECT_METADATA_UPDATE"
                }
            }
        }

        public var name: String
        public var event: Event
        /// Below the artifact's place.
        public var prefix: String?
        /// `projects/P/topics/T`.
        public var topic: String
    }
}
