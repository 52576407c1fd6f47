public import Encoding

/// Who else may use the data.
extension GCSArtifact {
    public struct Access: Codable, Sendable, Hashable {
        public var bindings: [Binding]?
        public var signedURLs: [SignedURL]?
    }

    /// A URL for one object, in a Secret.
    public struct SignedURL: Codable, Sendable, Hashable {
        public enum Method: String, Codable, Sendable, Hashable, CaseIterable {
            case get = "GET"
            case put = "PUT"
        }

        public var name: String
        /// Below the artifact's place.
        public var path: String
        public var method: Method = .get
        /// 60 to 604800.
        public var expiresInSeconds: Int
        public var secretName: String
    }

    /// A role and who holds it, for this artifact's place only.
    public struct Binding: Codable, Sendable, Hashable {
        public var role: String
        public var members: [String]
    }
}

extension GCSArtifact.Status {
    /// What a Secret holds; never the URL itself.
    public struct SignedURL: Codable, Sendable, Hashable {
        public var name: String
        public var secretName: String?
        public var expirationTime: Timestamp?
        /// A hash of what it was signed for.
        public var target: String?
    }
}
