/// How content arrives from outside. Runs of TrainingJobs need no source.
extension GCSArtifact {
    public struct Source: Codable, Sendable, Hashable {
        public enum Kind: String, Codable, Sendable, Hashable, CaseIterable {
            case upload = "Upload"
            case uri = "URI"
            case dvc = "DVC"
        }

        /// When a folder is whole.
        public struct Upload: Codable, Sendable, Hashable {
            public var markerFile: String?
            public var quietSeconds: Int?
        }

        /// What is copied.
        public struct Copied: Codable, Sendable, Hashable {
            /// `gs://bucket/folder/` or an object.
            public var uri: String
        }

        /// What DVC keeps, and where.
        public struct DVC: Codable, Sendable, Hashable {
            /// Of a `.dvc` file or a `dvc.lock`.
            public var uri: String
            /// `gs://bucket/folder/`.
            public var remote: String
            public var versionAware: Bool = false
        }

        public var type: Kind
        public var upload: Upload?
        public var uri: Copied?
        public var dvc: DVC?
    }
}

extension GCSArtifact.Status {
    /// How far the copy of the source is.
    public struct Transfer: Codable, Sendable, Hashable {
        public var phase: String?
        public var version: String?
        /// A hash of `spec.source`.
        public var source: String?
        public var objectsDone: Int64?
        public var objectsTotal: Int64?
        public var bytesDone: Int64?
        public var bytesTotal: Int64?
        /// The object under way.
        public var path: String?
        public var rewriteToken: String?

        public init() {}
    }
}
