public import Encoding

extension GCSArtifact.Status {
    /// How far the deletion of the data is; of objects that ask for it only.
    public struct Deletion: Codable, Sendable, Hashable {
        public var phase: String?
        public var objectsDeleted: Int64?
        public var bytesDeleted: Int64?
        /// Of the next page.
        public var objectsLeft: Int64?
        public var bytesLeft: Int64?
        /// A `GCSArtifactReason`.
        public var waitsFor: String?
        public var time: Timestamp?

        public init() {}
    }
}
