public import Encoding
public import Kubernetes

/// A place in Cloud Storage and the versions in it. Mirrors `crds/gcsartifacts.yaml`: a property is non-optional
/// exactly when its field is required or has a default.
public struct GCSArtifact: CustomResource, Codable {
    public static let resourceType = ResourceType(
        group: "trainyard.dev", version: "v1alpha1", kind: "GCSArtifact", plural: "gcsartifacts")

    public var metadata: ObjectMeta
    public var spec: Spec
    public var status: Status?

    public init(metadata: ObjectMeta, spec: Spec, status: Status? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    /// What the user wants. See the CRD for what each field does.
    public struct Spec: Codable, Sendable, Hashable {
        public var artifactType: ArtifactType
        public var bucket: Bucket?
        public var bucketRef: Reference?
        public var prefix: String?
        public var layout: Layout
        public var source: Source?
        public var aliases: [Alias]?
        public var versionRetention: VersionRetention?
        public var verification: Verification?
        public var access: Access?
        public var notifications: [Notification]?
        public var budget: Budget?
        public var driftPolicy: DriftPolicy = .correct
        public var deletionPolicy: DeletionPolicy
    }

    public enum ArtifactType: String, Codable, Sendable, Hashable, CaseIterable {
        case dataset = "Dataset"
        case model = "Model"
        case checkpoint = "Checkpoint"
        case runOutput = "RunOutput"
        case generic = "Generic"
    }

    public enum Layout: String, Codable, Sendable, Hashable, CaseIterable {
        case versioned = "Versioned"
        case byRun = "ByRun"
        case flat = "Flat"
        case dvc = "DVC"
    }

    public enum DeletionPolicy: String, Codable, Sendable, Hashable, CaseIterable {
        case retain = "Retain"
        case deleteObjects = "DeleteObjects"
        case deleteBucket = "DeleteBucket"
    }

    public enum StorageClass: String, Codable, Sendable, Hashable, CaseIterable {
        case standard = "Standard"
        case nearline = "Nearline"
        case coldline = "Coldline"
        case archive = "Archive"

        /// As the Cloud Storage API writes it: `NEARLINE`.
        public var apiValue: String { rawValue.uppercased() }
    }

    /// Names a GCSArtifact in the same namespace.
    public struct Reference: Codable, Sendable, Hashable {
        public var name: String
    }

    /// The bucket itself.
    public struct Bucket: Codable, Sendable, Hashable {
        public struct Versioning: Codable, Sendable, Hashable {
            public var enabled: Bool
        }

        public struct SoftDelete: Codable, Sendable, Hashable {
            /// 0, or 604800 (7 days) to 7776000 (90 days).
            public var retentionSeconds: Int
        }

        public var name: String
        public var managementPolicy: ManagementPolicy = .full
        /// Nil only where the bucket is observed.
        public var location: String?
        public var storageClass: StorageClass?
        public var autoclass: Autoclass?
        public var versioning: Versioning?
        public var softDelete: SoftDelete?
        public var retention: Retention?
        public var kmsKeyName: String?
        public var lifecycleRules: [LifecycleRule]?
        public var labels: [String: String]?
    }

    /// What Cloud Storage does by itself with old objects.
    public struct LifecycleRule: Codable, Sendable, Hashable {
        public struct Action: Codable, Sendable, Hashable {
            public enum Kind: String, Codable, Sendable, Hashable, CaseIterable {
                case delete = "Delete"
                case setStorageClass = "SetStorageClass"
                case abortIncompleteMultipartUpload = "AbortIncompleteMultipartUpload"
            }

            public var type: Kind
            public var storageClass: StorageClass?
        }

        /// All that are given must hold; 0 is meaningful.
        public struct Condition: Codable, Sendable, Hashable {
            public var ageDays: Int?
            public var createdBefore: String?
            public var customTimeBefore: String?
            public var noncurrentTimeBefore: String?
            public var daysSinceCustomTime: Int?
            public var daysSinceNoncurrentTime: Int?
            public var isLive: Bool?
            public var numNewerVersions: Int?
            public var matchesPrefix: [String]?
            public var matchesSuffix: [String]?
            public var matchesStorageClass: [StorageClass]?
            public var matchesPattern: String?
            public var sizeAboveBytes: Int64?
            public var sizeBelowBytes: Int64?
        }

        public var action: Action
        public var condition: Condition
    }

    /// A name for a version: exactly one of `version` and `policy`.
    public struct Alias: Codable, Sendable, Hashable {
        public enum Policy: String, Codable, Sendable, Hashable, CaseIterable {
            case latestVerified = "LatestVerified"
        }

        public var name: String
        public var version: String?
        public var policy: Policy?
    }
}

extension GCSArtifact {
    /// What the operator observed.
    public struct Status: CustomResourceStatus, Hashable {
        public struct BucketStatus: Codable, Sendable, Hashable {
            public var externalRef: String?
            public var projectNumber: String?
            public var location: String?
            public var metageneration: String?
            public var owned: Bool?
            /// Of `spec.bucket` when the bucket was last as described: a difference from then on is drift.
            public var settingsHash: String?

            public init() {}
        }

        public struct Producer: Codable, Sendable, Hashable {
            public var kind: String?
            public var name: String?
            public var runID: String?
        }

        public struct NamedValue: Codable, Sendable, Hashable {
            public var name: String
            public var value: String
        }

        public struct LatestVersion: Codable, Sendable, Hashable {
            public var name: String
            public var digest: String
            public var manifestURI: String?
            public var objectCount: Int64?
            public var sizeBytes: Int64?
            public var verified: Bool?
            public var reason: String?
            public var producer: Producer?
            @OrEmpty public var metrics: [NamedValue]
            public var time: Timestamp?

            public init(name: String, digest: String) {
                self.name = name
                self.digest = digest
                metrics = []
            }
        }

        public struct AliasStatus: Codable, Sendable, Hashable {
            public var name: String
            public var version: String
            public var digest: String?
            public var time: Timestamp?
        }

        public struct Version: Codable, Sendable, Hashable {
            public var name: String
            public var digest: String
            public var sizeBytes: Int64?
            public var verified: Bool?
            public var time: Timestamp?
        }

        public var observedGeneration: Int64
        public var state: String?
        @OrEmpty public var conditions: [Kubernetes.Condition]
        public var uri: String?
        public var bucket: BucketStatus?
        public var latestVersion: LatestVersion?
        @OrEmpty public var aliases: [AliasStatus]
        @OrEmpty public var versions: [Version]
        public var versionCount: Int?
        public var storage: Storage?
        public var retention: Retention?
        public var transfer: Transfer?
        public var deletion: Deletion?
        @OrEmpty public var signedURLs: [SignedURL]
        @OrEmpty public var drift: [SettingDrift]
        @OrEmpty public var resources: [CloudResource]

        public init() {
            observedGeneration = -1
            conditions = []
            aliases = []
            versions = []
            signedURLs = []
            drift = []
            resources = []
        }

        /// What must survive even when the API server refuses the full status: versions, ledger, conditions.
        public var minimal: Status {
            var status = Status()
            status.observedGeneration = observedGeneration
            status.conditions = conditions
            status.uri = uri
            // Without it a drifted bucket would be taken for a changed spec.
            status.bucket = bucket
            status.latestVersion = latestVersion
            status.versions = versions
            status.versionCount = versionCount
            status.retention = retention
            status.signedURLs = signedURLs
            status.resources = resources
            return status
        }
    }
}
