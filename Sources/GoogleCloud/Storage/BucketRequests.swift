internal import Encoding

/// A new bucket.
public struct BucketConfiguration: Encodable, Sendable, Hashable {
    public var name: String
    /// Cannot be changed later.
    public var location: String
    /// `STANDARD`, `NEARLINE`, `COLDLINE`, `ARCHIVE`.
    public var storageClass: String?
    public var labels: [String: String]?
    public var iamConfiguration: IAMConfiguration?
    public var versioning: Versioning?
    public var softDeletePolicy: SoftDeletePolicy?
    public var lifecycle: Lifecycle?
    public var autoclass: Autoclass?
    public var retentionPolicy: RetentionPolicy?
    public var encryption: BucketEncryption?

    public init(
        name: String, location: String, storageClass: String? = nil, labels: [String: String]? = nil,
        iamConfiguration: IAMConfiguration? = .locked, versioning: Versioning? = nil,
        softDeletePolicy: SoftDeletePolicy? = nil, lifecycle: Lifecycle? = nil, autoclass: Autoclass? = nil,
        retentionPolicy: RetentionPolicy? = nil, encryption: BucketEncryption? = nil
    ) {
        self.name = name
        self.location = location
        self.storageClass = storageClass
        self.labels = labels
        self.iamConfiguration = iamConfiguration
        self.versioning = versioning
        self.softDeletePolicy = softDeletePolicy
        self.lifecycle = lifecycle
        self.autoclass = autoclass
        self.retentionPolicy = retentionPolicy
        self.encryption = encryption
    }
}

/// A change of a bucket's settings (JSON merge patch): nil leaves a setting as it is, lists replace.
public struct BucketPatch: Sendable, Hashable {
    public var storageClass: String?
    /// Sets these labels; nil values remove theirs, others stay.
    public var labels: [String: String?]?
    public var iamConfiguration: IAMConfiguration?
    public var versioning: Versioning?
    public var softDeletePolicy: SoftDeletePolicy?
    /// `Lifecycle(rule: [])` removes all rules.
    public var lifecycle: Lifecycle?
    public var autoclass: Autoclass?
    /// A locked one can only be made longer.
    public var retentionPolicy: RetentionPolicy?
    public var encryption: BucketEncryption?

    public init(
        storageClass: String? = nil, labels: [String: String?]? = nil, iamConfiguration: IAMConfiguration? = nil,
        versioning: Versioning? = nil, softDeletePolicy: SoftDeletePolicy? = nil, lifecycle: Lifecycle? = nil,
        autoclass: Autoclass? = nil, retentionPolicy: RetentionPolicy? = nil, encryption: BucketEncryption? = nil
    ) {
        self.storageClass = storageClass
        self.labels = labels
        self.iamConfiguration = iamConfiguration
        self.versioning = versioning
        self.softDeletePolicy = softDeletePolicy
        self.lifecycle = lifecycle
        self.autoclass = autoclass
        self.retentionPolicy = retentionPolicy
        self.encryption = encryption
    }

    /// Whether it changes nothing.
    public var isEmpty: Bool { self == BucketPatch() }
}

extension BucketPatch: Encodable {
    private enum CodingKeys: String, CodingKey {
        case storageClass, labels, iamConfiguration, versioning, softDeletePolicy, lifecycle, autoclass
        case retentionPolicy, encryption
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(storageClass, forKey: .storageClass)
        // `null` removes a label, so nil values must reach the wire.
        try container.encodeIfPresent(
            labels?.mapValues { $0.map(JSONValue.string) ?? .null }, forKey: .labels)
        try container.encodeIfPresent(iamConfiguration, forKey: .iamConfiguration)
        try container.encodeIfPresent(versioning, forKey: .versioning)
        try container.encodeIfPresent(softDeletePolicy, forKey: .softDeletePolicy)
        try container.encodeIfPresent(lifecycle, forKey: .lifecycle)
        try container.encodeIfPresent(autoclass, forKey: .autoclass)
        try container.encodeIfPresent(retentionPolicy, forKey: .retentionPolicy)
        try container.encodeIfPresent(encryption, forKey: .encryption)
    }
}
