/// Where inputs come from and outputs go: a bucket, a folder, or memory in tests.
///
/// Places are URIs (`gs://bucket/path`, `/folder/path`); those that end in "/" are prefixes. Each closure retries by
/// itself what may pass, and throws `.storageUnavailable` (or `.localStorage`) when it gives up.
public struct TrainingStorage: Sendable {
    /// The bytes, or nil when there is no such object. Checksums are compared on the way.
    public var read: @Sendable (_ uri: String) async throws(TrainingError) -> [UInt8]?
    /// Stores an object as a whole: readers see the old bytes or the new ones.
    public var write:
        @Sendable (_ uri: String, _ bytes: [UInt8], _ contentType: String) async throws(TrainingError) -> Void
    /// The URIs of all objects below a prefix, in no certain order; none when nothing is there.
    public var list: @Sendable (_ prefix: String) async throws(TrainingError) -> [String]
    /// Deletes an object; it need not exist.
    public var delete: @Sendable (_ uri: String) async throws(TrainingError) -> Void

    public init(
        read: @escaping @Sendable (_ uri: String) async throws(TrainingError) -> [UInt8]?,
        write:
            @escaping @Sendable (_ uri: String, _ bytes: [UInt8], _ contentType: String) async throws(TrainingError) ->
            Void,
        list: @escaping @Sendable (_ prefix: String) async throws(TrainingError) -> [String],
        delete: @escaping @Sendable (_ uri: String) async throws(TrainingError) -> Void
    ) {
        self.read = read
        self.write = write
        self.list = list
        self.delete = delete
    }
}
