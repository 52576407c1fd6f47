/// How content arrives from outside. Runs of TrainingJobs need no source.
extension GCSArtifact {
    public struct Source: Codable, Sendable, Hashable {
        public enum Kind: String, Codable, Sendable, Hashable, CaseIterable {
            case upload = "Upload"
        }

        /// When a folder is whole.
        public struct Upload: Codable, Sendable, Hashable {
            public var markerFile: String?
            public var quietSeconds: Int?
        }

        public var type: Kind
        public var upload: Upload?
    }
}
