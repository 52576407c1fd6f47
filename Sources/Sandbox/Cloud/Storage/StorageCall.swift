internal import HTTP

/// A call of storage v1 that is understood; path and method are known, the body is not read yet.
enum StorageCall: Sendable {
    case listBuckets, insertBucket
    case bucket(String), patchBucket(String), deleteBucket(String)
    case listObjects(String), insertObject(String)
    case object(String, String), media(String, String), deleteObject(String, String)
    /// A chunk, a status query or a cancellation of a resumable upload.
    case upload(session: String), cancelUpload(session: String)

    /// The id by which faults and counters know it.
    var method: String {
        switch self {
        case .listBuckets: "storage.buckets.list"
        case .insertBucket: "storage.buckets.insert"
        case .bucket: "storage.buckets.get"
        case .patchBucket: "storage.buckets.patch"
        case .deleteBucket: "storage.buckets.delete"
        case .listObjects: "storage.objects.list"
        case .insertObject: "storage.objects.insert"
        case .object: "storage.objects.get"
        case .media: "storage.objects.get.media"
        case .deleteObject: "storage.objects.delete"
        case .upload: "storage.objects.insert.chunk"
        case .cancelUpload: "storage.objects.insert.cancel"
        }
    }

    private var parameters: Set<String> {
        switch self {
        case .listBuckets: ["project", "prefix", "maxResults", "pageToken", "projection"]
        case .insertBucket: ["project", "projection", "enableObjectRetention", "predefinedAcl"]
        case .bucket, .patchBucket: ["projection"]
        case .deleteBucket: []
        case .listObjects:
            [
                "prefix", "delimiter", "startOffset", "endOffset", "versions", "matchGlob", "maxResults", "pageToken",
                "projection", "includeTrailingDelimiter",
            ]
        case .insertObject: ["uploadType", "name", "contentEncoding", "projection"]
        case .object, .media: ["generation", "projection"]
        case .deleteObject: ["generation"]
        case .upload, .cancelUpload: ["uploadType", "upload_id", "name"]
        }
    }

    private static let commonParameters: Set<String> = [
        "alt", "fields", "prettyPrint", "quotaUser", "key", "userProject",
    ]

    /// Reads verb and path. Stricter than the service, which ignores query parameters that it does not know.
    ///
    /// - Throws: 404 for methods that do not exist, 400 for names and parameters that cannot be.
    init(_ request: HTTPRequest) throws(CloudError) {
        guard let segments = request.url.decodedSegments else {
            throw CloudError(status: 400, reason: "invalid", message: "The path is not valid UTF-8.")
        }
        self = try Self.resolve(request.method, segments, request.url)
        let known = parameters.union(Self.commonParameters).union(Preconditions.parameters)
        if let unknown = request.url.query.first(where: { !known.contains($0.name) }) {
            throw CloudError(
                status: 400, reason: "invalidParameter", message: "Unknown query parameter \(unknown.name).",
                location: unknown.name)
        }
    }

    private static func resolve(
        _ method: HTTPMethod, _ segments: [String], _ url: HTTPURL
    ) throws(CloudError) -> StorageCall {
        if segments.starts(with: ["upload", "storage", "v1", "b"]) {
            return try upload(method, Array(segments.dropFirst(4)), url)
        }
        if segments.starts(with: ["download", "storage", "v1", "b"]), segments.count == 7, segments[5] == "o",
            method == .get
        {
            return .media(segments[4], segments[6])
        }
        guard segments.starts(with: ["storage", "v1", "b"]) else { throw unknownMethod }
        let rest = Array(segments.dropFirst(3))
        switch (method, rest.count) {
        case (.get, 0): return .listBuckets
        case (.post, 0): return .insertBucket
        case (.get, 1): return .bucket(rest[0])
        case (.patch, 1): return .patchBucket(rest[0])
        case (.delete, 1): return .deleteBucket(rest[0])
        case (.get, 2) where rest[1] == "o": return .listObjects(rest[0])
        case (.get, 3) where rest[1] == "o":
            return url.queryValue("alt") == "media" ? .media(rest[0], rest[2]) : .object(rest[0], rest[2])
        case (.delete, 3) where rest[1] == "o": return .deleteObject(rest[0], rest[2])
        default: throw unknownMethod
        }
    }

    private static func upload(
        _ method: HTTPMethod, _ rest: [String], _ url: HTTPURL
    ) throws(CloudError) -> StorageCall {
        guard rest.count == 2, rest[1] == "o" else { throw unknownMethod }
        let session = url.queryValue("upload_id")
        switch (method, session) {
        case (.post, nil): return .insertObject(rest[0])
        case (.put, .some(let session)): return .upload(session: session)
        case (.delete, .some(let session)): return .cancelUpload(session: session)
        default: throw unknownMethod
        }
    }

    private static let unknownMethod = CloudError(
        status: 404, reason: "notFound", message: "The sandbox's Cloud Storage has no such method.")
}
