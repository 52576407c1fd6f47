public import Encoding

/// What a version must be, and what the place may hold.
extension GCSArtifact {
    /// What is checked beside sizes, CRC32Cs and generations.
    public struct Verification: Codable, Sendable, Hashable {
        public var requiredFiles: [String]?
    }

    /// Told of, nothing is deleted for it.
    public struct Budget: Codable, Sendable, Hashable {
        public var maxSizeGiB: Int64?
        public var maxMonthlyCost: String?
    }
}

extension GCSArtifact.Status {
    /// What lies there, noncurrent versions included.
    public struct Storage: Codable, Sendable, Hashable {
        public struct ClassUsage: Codable, Sendable, Hashable {
            public var storageClass: String
            public var sizeBytes: Int64?
        }

        public var objectCount: Int64?
        public var sizeBytes: Int64?
        /// For the column.
        public var size: String?
        @OrEmpty public var byClass: [ClassUsage]
        /// US dollars.
        public var monthlyCost: String?
        /// There is more than was counted.
        public var atLeast: Bool?
        /// When these numbers were first seen.
        public var time: Timestamp?

        public init() { byClass = [] }
    }
}
