internal import Encoding

/// An object (one generation of it) as Cloud Storage describes it. Names as in storage v1.
public struct StorageObject: Codable, Sendable, Hashable {
    public var name: String
    public var bucket: String?
    /// Bytes.
    @Int64String public var size: Int64
    /// Castagnoli, big-endian, base64; always there.
    public var crc32c: String?
    /// Base64; absent for composed objects.
    public var md5Hash: String?
    /// Which content; the precondition of overwrite and delete.
    @Int64String public var generation: Int64
    /// Which metadata of this generation.
    @Int64String public var metageneration: Int64
    public var contentType: String?
    public var storageClass: String?
    /// RFC 3339.
    public var timeCreated: String?
    /// RFC 3339.
    public var updated: String?
    /// RFC 3339; since when a noncurrent version is one.
    public var timeDeleted: String?
    /// The user's own.
    public var metadata: [String: String]?
    /// RFC 3339; the user's own, read by lifecycle rules. It can only move forward.
    public var customTime: String?
    /// Of a composed object: from how many parts.
    public var componentCount: Int?
    /// RFC 3339; since when it is deleted and can be restored.
    public var softDeleteTime: String?
    /// RFC 3339; when it is gone for good.
    public var hardDeleteTime: String?

    public init(
        name: String, bucket: String? = nil, size: Int64, crc32c: String?, md5Hash: String? = nil,
        generation: Int64, metageneration: Int64 = 1, contentType: String? = nil, storageClass: String? = nil,
        timeCreated: String? = nil, updated: String? = nil, timeDeleted: String? = nil,
        metadata: [String: String]? = nil
    ) {
        self.name = name
        self.bucket = bucket
        self.size = size
        self.crc32c = crc32c
        self.md5Hash = md5Hash
        self.generation = generation
        self.metageneration = metageneration
        self.contentType = contentType
        self.storageClass = storageClass
        self.timeCreated = timeCreated
        self.updated = updated
        self.timeDeleted = timeDeleted
        self.metadata = metadata
    }
}

/// A change of an object's metadata (JSON merge patch): nil leaves a field as it is.
public struct ObjectPatch: Sendable, Hashable {
    public var contentType: String?
    /// Sets these; nil values remove theirs, others stay.
    public var metadata: [String: String?]?
    /// RFC 3339; it can only move forward.
    public var customTime: String?

    public init(contentType: String? = nil, metadata: [String: String?]? = nil, customTime: String? = nil) {
        self.contentType = contentType
        self.metadata = metadata
        self.customTime = customTime
    }
}

extension ObjectPatch: Encodable {
    private enum CodingKeys: String, CodingKey { case contentType, metadata, customTime }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(contentType, forKey: .contentType)
        // `null` removes an entry, so nil values must reach the wire.
        try container.encodeIfPresent(
            metadata?.mapValues { $0.map(JSONValue.string) ?? .null }, forKey: .metadata)
        try container.encodeIfPresent(customTime, forKey: .customTime)
    }
}

/// Which objects of a bucket.
public struct ObjectQuery: Sendable, Hashable {
    public var prefix: String?
    /// "/" lists one level: deeper names appear once, in `prefixes`.
    public var delimiter: String?
    /// A glob over the whole name: `**` crosses "/", `*` does not.
    public var matchGlob: String?
    /// Noncurrent versions too.
    public var versions: Bool
    /// Those that were deleted and can be restored, instead of the others.
    public var softDeleted = false
    /// Objects a page; the service's maximum is 1000.
    public var pageSize: Int
    /// More objects and prefixes than this are an error.
    public var limit: Int

    public init(
        prefix: String? = nil, delimiter: String? = nil, matchGlob: String? = nil, versions: Bool = false,
        pageSize: Int = 1000, limit: Int = 100_000
    ) {
        self.prefix = prefix
        self.delimiter = delimiter
        self.matchGlob = matchGlob
        self.versions = versions
        self.pageSize = pageSize
        self.limit = limit
    }
}

/// What a query found: in order of name, then of generation.
public struct ObjectListing: Sendable, Hashable {
    public var objects: [StorageObject]
    public var prefixes: [String]

    public init(objects: [StorageObject] = [], prefixes: [String] = []) {
        self.objects = objects
        self.prefixes = prefixes
    }
}
