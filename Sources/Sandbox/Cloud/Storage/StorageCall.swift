internal import HTTP

/// A call of storage v1 that is understood; path and method are known, the body is not read yet.
enum StorageCall: Sendable {
    case listBuckets, insertBucket
    case bucket(String), patchBucket(String), deleteBucket(String)
    case listObjects(String), insertObject(String)
    case object(String, String), media(String, String), deleteObject(String, String)
    /// A chunk, a status query or a cancellation of a resumable upload.
    case upload(session: String), cancelUpload(session: String)
    case patchObject(String, String), restoreObject(String, String), compose(String, String)
    case rewrite(source: ObjectName, destination: ObjectName)
    case restoreBucket(String), lockRetention(String), serviceAccount
    case policy(String), setPolicy(String), testPermissions(String)
    case listNotifications(String), insertNotification(String)
    case notification(String, id: String), deleteNotification(String, id: String)

    /// A bucket and a name in it.
    struct ObjectName: Sendable, Hashable {
        var bucket: String
        var name: String
    }

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
        case .patchObject: "storage.objects.patch"
        case .restoreObject: "storage.objects.restore"
        case .compose: "storage.objects.compose"
        case .rewrite: "storage.objects.rewrite"
        case .restoreBucket: "storage.buckets.restore"
        case .lockRetention: "storage.buckets.lockRetentionPolicy"
        case .serviceAccount: "storage.projects.serviceAccount.get"
        case .policy: "storage.buckets.getIamPolicy"
        case .setPolicy: "storage.buckets.setIamPolicy"
        case .testPermissions: "storage.buckets.testIamPermissions"
        case .listNotifications: "storage.notifications.list"
        case .insertNotification: "storage.notifications.insert"
        case .notification: "storage.notifications.get"
        case .deleteNotification: "storage.notifications.delete"
        }
    }

    private var parameters: Set<String> {
        switch self {
        case .listBuckets:
            ["project", "prefix", "maxResults", "pageToken", "projection", "softDeleted", "returnPartialSuccess"]
        case .insertBucket: ["project", "projection", "enableObjectRetention", "predefinedAcl"]
        case .bucket: ["projection", "generation", "softDeleted"]
        case .patchBucket: ["projection"]
        case .deleteBucket: []
        case .listObjects:
            [
                "prefix", "delimiter", "startOffset", "endOffset", "versions", "matchGlob", "maxResults", "pageToken",
                "projection", "includeTrailingDelimiter", "softDeleted",
            ]
        case .insertObject: ["uploadType", "name", "contentEncoding", "projection"]
        case .object, .media: ["generation", "projection", "softDeleted"]
        case .deleteObject: ["generation"]
        case .patchObject: ["generation", "projection"]
        case .restoreObject, .restoreBucket: ["generation", "projection", "copySourceAcl"]
        case .compose: ["kmsKeyName"]
        case .rewrite:
            Preconditions.sourceParameters.union([
                "rewriteToken", "maxBytesRewrittenPerCall", "sourceGeneration", "projection",
            ])
        case .policy: ["optionsRequestedPolicyVersion"]
        case .testPermissions: ["permissions"]
        case .setPolicy, .serviceAccount, .listNotifications, .insertNotification, .notification,
            .deleteNotification, .lockRetention:
            []
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
        if method == .get, segments.count == 5, segments.starts(with: ["storage", "v1", "projects"]),
            segments[4] == "serviceAccount"
        {
            return .serviceAccount
        }
        guard segments.starts(with: ["storage", "v1", "b"]) else { throw unknownMethod }
        let rest = Array(segments.dropFirst(3))
        if let call = other(method, rest) { return call }
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

    /// Policies, notifications, and what makes objects from others.
    private static func other(_ method: HTTPMethod, _ rest: [String]) -> StorageCall? {
        guard rest.count >= 2, let bucket = rest.first else { return nil }
        switch (method, rest.count, rest[1]) {
        case (.get, 2, "iam"): return .policy(bucket)
        case (.put, 2, "iam"): return .setPolicy(bucket)
        case (.get, 3, "iam") where rest[2] == "testPermissions": return .testPermissions(bucket)
        case (.post, 2, "restore"): return .restoreBucket(bucket)
        case (.post, 2, "lockRetentionPolicy"): return .lockRetention(bucket)
        case (.get, 2, "notificationConfigs"): return .listNotifications(bucket)
        case (.post, 2, "notificationConfigs"): return .insertNotification(bucket)
        case (.get, 3, "notificationConfigs"): return .notification(bucket, id: rest[2])
        case (.delete, 3, "notificationConfigs"): return .deleteNotification(bucket, id: rest[2])
        case (.patch, 3, "o"): return .patchObject(bucket, rest[2])
        case (.post, 4, "o") where rest[3] == "compose": return .compose(bucket, rest[2])
        case (.post, 4, "o") where rest[3] == "restore": return .restoreObject(bucket, rest[2])
        case (.post, 8, "o") where rest[3] == "rewriteTo" && rest[4] == "b" && rest[6] == "o":
            return .rewrite(
                source: ObjectName(bucket: bucket, name: rest[2]),
                destination: ObjectName(bucket: rest[5], name: rest[7]))
        default: return nil
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

extension StorageCall {
    /// What the caller must be allowed to do; nil where the session's address is the permission.
    var permission: String? {
        switch self {
        case .listBuckets: "storage.buckets.list"
        case .insertBucket: "storage.buckets.create"
        case .bucket, .listNotifications, .notification: "storage.buckets.get"
        case .patchBucket, .insertNotification, .deleteNotification, .lockRetention: "storage.buckets.update"
        case .deleteBucket: "storage.buckets.delete"
        case .restoreBucket: "storage.buckets.restore"
        case .policy: "storage.buckets.getIamPolicy"
        case .setPolicy: "storage.buckets.setIamPolicy"
        case .listObjects: "storage.objects.list"
        case .insertObject, .compose, .rewrite: "storage.objects.create"
        case .object, .media: "storage.objects.get"
        case .patchObject: "storage.objects.update"
        case .deleteObject: "storage.objects.delete"
        case .restoreObject: "storage.objects.restore"
        case .upload, .cancelUpload, .testPermissions, .serviceAccount: nil
        }
    }
}
