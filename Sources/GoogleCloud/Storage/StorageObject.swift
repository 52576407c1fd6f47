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

/// Which objects of a bucket.
public struct ObjectQuery: Sendable, Hashable {
    public var prefix: String?
    /// "/" lists one level: deeper names appear once, in `prefixes`.
    public var delimiter: String?
    /// A glob over the whole name: `**` crosses "/", `*` does not.
    public var matchGlob: String?
    /// Noncurrent versions too.
    public var versions: Bool
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
