/// A place in Cloud Storage: `gs://bucket/path`. A path that is empty or ends in "/" is a prefix.
public struct StorageURI: Sendable, Hashable, LosslessStringConvertible {
    public let bucket: String
    /// Without a leading "/"; may be empty.
    public let path: String

    /// Nil when bucket or path are not what Cloud Storage allows.
    public init?(bucket: String, path: String) {
        guard GoogleNames.isBucket(bucket), path.isEmpty || GoogleNames.isObject(path) else { return nil }
        self.bucket = bucket
        self.path = path
    }

    /// Reads `gs://bucket[/path]`.
    public init?(_ description: String) {
        guard description.hasPrefix("gs://") else { return nil }
        let rest = description.dropFirst(5)
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        self.init(bucket: String(rest[..<end]), path: String(rest[end...].dropFirst()))
    }

    public var description: String { "gs://\(bucket)/\(path)" }

    /// Whether other objects can lie below it.
    public var isPrefix: Bool { path.isEmpty || path.hasSuffix("/") }

    /// The place below this prefix; nil when this is none or the result is not a valid name.
    public func appending(_ relative: String) -> StorageURI? {
        isPrefix ? StorageURI(bucket: bucket, path: path + relative) : nil
    }
}
