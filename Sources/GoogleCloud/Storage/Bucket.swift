/// A bucket as Cloud Storage returns it: the fields that we read. Names as in storage v1.
public struct Bucket: Decodable, Sendable, Hashable {
    public var name: String
    /// With our label, what says that the bucket is ours.
    @Int64String public var projectNumber: Int64
    /// Grows with every change of the bucket's settings: the precondition of patch and delete.
    @Int64String public var metageneration: Int64
    /// Upper case.
    public var location: String?
    public var locationType: String?
    public var storageClass: String?
    public var labels: [String: String]?
    public var iamConfiguration: IAMConfiguration?
    public var versioning: Versioning?
    public var softDeletePolicy: SoftDeletePolicy?
    public var lifecycle: Lifecycle?
    public var autoclass: Autoclass?
    public var retentionPolicy: RetentionPolicy?
    public var encryption: BucketEncryption?
    public var timeCreated: String?
    public var updated: String?
    /// Which bucket of this name; what a restore asks for.
    @Int64String public var generation: Int64 = 0
    /// RFC 3339; since when it is deleted and can be restored.
    public var softDeleteTime: String?
    /// RFC 3339; when it is gone for good.
    public var hardDeleteTime: String?

    public init(
        name: String, projectNumber: Int64, metageneration: Int64, location: String? = nil,
        locationType: String? = nil, storageClass: String? = nil, labels: [String: String]? = nil,
        iamConfiguration: IAMConfiguration? = nil, versioning: Versioning? = nil,
        softDeletePolicy: SoftDeletePolicy? = nil, lifecycle: Lifecycle? = nil, autoclass: Autoclass? = nil,
        retentionPolicy: RetentionPolicy? = nil, encryption: BucketEncryption? = nil, timeCreated: String? = nil,
        updated: String? = nil
    ) {
        self.name = name
        self.projectNumber = projectNumber
        self.metageneration = metageneration
        self.location = location
        self.locationType = locationType
        self.storageClass = storageClass
        self.labels = labels
        self.iamConfiguration = iamConfiguration
        self.versioning = versioning
        self.softDeletePolicy = softDeletePolicy
        self.lifecycle = lifecycle
        self.autoclass = autoclass
        self.retentionPolicy = retentionPolicy
        self.encryption = encryption
        self.timeCreated = timeCreated
        self.updated = updated
    }
}

/// Who decides on access: always uniform, never public in our buckets.
public struct IAMConfiguration: Codable, Sendable, Hashable {
    public var uniformBucketLevelAccess: UniformBucketLevelAccess?
    /// `enforced` or `inherited`.
    public var publicAccessPrevention: String?

    /// Access by IAM only, without object ACLs.
    public struct UniformBucketLevelAccess: Codable, Sendable, Hashable {
        public var enabled: Bool?

        public init(enabled: Bool) { self.enabled = enabled }
    }

    public init(uniformBucketLevelAccess: UniformBucketLevelAccess?, publicAccessPrevention: String?) {
        self.uniformBucketLevelAccess = uniformBucketLevelAccess
        self.publicAccessPrevention = publicAccessPrevention
    }

    /// Uniform access, public access prevention enforced.
    public static let locked = IAMConfiguration(
        uniformBucketLevelAccess: .init(enabled: true), publicAccessPrevention: "enforced")
}

/// Whether overwritten and deleted objects are kept as noncurrent versions.
public struct Versioning: Codable, Sendable, Hashable {
    public var enabled: Bool?

    public init(enabled: Bool) { self.enabled = enabled }
}

/// How long deleted objects can be restored: 0 (off), or 604800 to 7776000 seconds.
public struct SoftDeletePolicy: Codable, Sendable, Hashable {
    @Int64String public var retentionDurationSeconds: Int64

    public init(retentionDurationSeconds: Int64) { self.retentionDurationSeconds = retentionDurationSeconds }
}

/// Whether Cloud Storage itself moves objects to cheaper classes while nobody reads them.
public struct Autoclass: Codable, Sendable, Hashable {
    public var enabled: Bool
    /// `NEARLINE` (the service's default) or `ARCHIVE`: how far down objects go.
    public var terminalStorageClass: String?

    public init(enabled: Bool, terminalStorageClass: String? = nil) {
        self.enabled = enabled
        self.terminalStorageClass = terminalStorageClass
    }
}

/// For how long after their creation objects can be neither deleted nor overwritten.
public struct RetentionPolicy: Codable, Sendable, Hashable {
    /// Seconds; 1 to 3155760000.
    @Int64String public var retentionPeriod: Int64
    /// The service's: the policy can only grow, for ever.
    public var isLocked: Bool?

    public init(retentionPeriod: Int64, isLocked: Bool? = nil) {
        self.retentionPeriod = retentionPeriod
        self.isLocked = isLocked
    }
}

/// The key that new objects are encrypted with.
public struct BucketEncryption: Codable, Sendable, Hashable {
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    public var defaultKmsKeyName: String?

    public init(defaultKmsKeyName: String?) { self.defaultKmsKeyName = defaultKmsKeyName }
}

/// At most 100 rules.
public struct Lifecycle: Codable, Sendable, Hashable {
    public var rule: [LifecycleRule]?

    public init(rule: [LifecycleRule]) { self.rule = rule }
}

/// What happens to objects that meet every part of the condition.
public struct LifecycleRule: Codable, Sendable, Hashable {
    /// What happens.
    public struct Action: Codable, Sendable, Hashable {
        /// `Delete`, `SetStorageClass` or `AbortIncompleteMultipartUpload`.
        public var type: String
        /// With `SetStorageClass`.
        public var storageClass: String?

        public init(type: String, storageClass: String? = nil) {
            self.type = type
            self.storageClass = storageClass
        }
    }

    /// All parts must hold; 0 is a value like any other. Dates are `YYYY-MM-DD`.
    public struct Condition: Codable, Sendable, Hashable {
        /// Days since creation.
        public var age: Int?
        public var createdBefore: String?
        public var customTimeBefore: String?
        public var noncurrentTimeBefore: String?
        public var daysSinceCustomTime: Int?
        public var daysSinceNoncurrentTime: Int?
        public var isLive: Bool?
        public var numNewerVersions: Int?
        public var matchesPrefix: [String]?
        public var matchesSuffix: [String]?
        public var matchesStorageClass: [String]?
        /// RE2; for projects that Google allows it.
        public var matchesPattern: String?
        /// A decimal number.
        public var sizeAboveBytes: String?
        /// A decimal number.
        public var sizeBelowBytes: String?

        public init(
            age: Int? = nil, createdBefore: String? = nil, customTimeBefore: String? = nil,
            noncurrentTimeBefore: String? = nil, daysSinceCustomTime: Int? = nil,
            daysSinceNoncurrentTime: Int? = nil, isLive: Bool? = nil, numNewerVersions: Int? = nil,
            matchesPrefix: [String]? = nil, matchesSuffix: [String]? = nil, matchesStorageClass: [String]? = nil,
            matchesPattern: String? = nil,
            sizeAboveBytes: Int64? = nil, sizeBelowBytes: Int64? = nil
        ) {
            self.age = age
            self.createdBefore = createdBefore
            self.customTimeBefore = customTimeBefore
            self.noncurrentTimeBefore = noncurrentTimeBefore
            self.daysSinceCustomTime = daysSinceCustomTime
            self.daysSinceNoncurrentTime = daysSinceNoncurrentTime
            self.isLive = isLive
            self.numNewerVersions = numNewerVersions
            self.matchesPrefix = matchesPrefix
            self.matchesSuffix = matchesSuffix
            self.matchesStorageClass = matchesStorageClass
            self.matchesPattern = matchesPattern
            self.sizeAboveBytes = sizeAboveBytes.map { String($0) }
            self.sizeBelowBytes = sizeBelowBytes.map { String($0) }
        }
    }

    public var action: Action
    public var condition: Condition

    public init(action: Action, condition: Condition) {
        self.action = action
        self.condition = condition
    }
}
