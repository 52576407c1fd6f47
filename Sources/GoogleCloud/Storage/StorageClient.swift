internal import Encoding
public import HTTP

/// Cloud Storage: storage v1 at `https://storage.googleapis.com/`.
///
/// Buckets and lists here; bytes in `StorageClient+Upload.swift` and `StorageClient+Download.swift`.
public struct StorageClient: Sendable {
    static let origin = "https://storage.googleapis.com"
    let client: GoogleCloudClient
    let transfers: TransferSettings

    public init(_ client: GoogleCloudClient, transfers: TransferSettings = TransferSettings()) {
        self.client = client
        self.transfers = transfers
    }
}

// MARK: Buckets

extension StorageClient {
    /// Maps to `POST storage/v1/b?project=P`.
    ///
    /// - Throws: `.alreadyExists` when somebody has the name: read the bucket to learn whether it is ours.
    public func insertBucket(_ bucket: BucketConfiguration, project: String) async throws(APIError) -> Bucket {
        let operation = "storage.buckets.insert"
        try NameKind.bucket.check(bucket.name, operation: operation)
        let query = [HTTPURL.QueryItem("project", try NameKind.project.check(project, operation: operation))]
        do throws(APIError) {
            return try await client.value(call("buckets.insert", .post, ["b"], query: query, body: bucket))
        } catch {
            // The service says `conflict` here, which elsewhere means: observe again.
            guard error.code == .conflict else { throw error }
            var error = error
            error.code = .alreadyExists
            throw error
        }
    }

    /// Maps to `GET storage/v1/b/B?projection=noAcl`.
    ///
    /// - Throws: `.notFound`; `.forbidden` when it belongs to somebody who does not let us look.
    public func bucket(_ name: String) async throws(APIError) -> Bucket {
        try await client.value(
            call(
                "buckets.get", .get, ["b", .checked(.bucket, name)], query: [HTTPURL.QueryItem("projection", "noAcl")]))
    }

    /// The project's buckets, all pages. Maps to `GET storage/v1/b?project=P`.
    ///
    /// - Parameter softDeleted: those that were deleted and can be restored, instead of the others.
    /// - Throws: `.unavailable` when a location did not answer: what is not in the list does not exist.
    public func buckets(
        project: String, prefix: String? = nil, softDeleted: Bool = false
    ) async throws(APIError) -> [Bucket] {
        let operation = "storage.buckets.list"
        let query = [HTTPURL.QueryItem("project", try NameKind.project.check(project, operation: operation))]
            .adding("projection", "noAcl").adding("prefix", prefix).adding("softDeleted", softDeleted)
        return try await client.list(call("buckets.list", .get, ["b"], query: query), "items", limit: 100_000)
            .complete(operation: operation)
    }

    /// Maps to `PATCH storage/v1/b/B?ifMetagenerationMatch=N`.
    ///
    /// - Throws: `.preconditionFailed` when the bucket has changed since it was read.
    public func patchBucket(
        _ name: String, _ patch: BucketPatch, ifMetagenerationMatch metageneration: Int64
    ) async throws(APIError) -> Bucket {
        try await client.value(
            call(
                "buckets.patch", .patch, ["b", .checked(.bucket, name)],
                query: [HTTPURL.QueryItem]().adding("ifMetagenerationMatch", metageneration)
                    .adding("projection", "noAcl"), body: patch))
    }

    /// Locks the bucket's retention policy: from then on nobody can shorten or remove it, and the bucket can be deleted
    /// only when every object has outlived it. Maps to `POST storage/v1/b/B/lockRetentionPolicy?ifMetagenerationMatch=N`.
    ///
    /// - Throws: `.preconditionFailed` when the bucket has changed since it was read, `.invalid` when it has no policy.
    public func lockRetentionPolicy(
        ofBucket name: String, ifMetagenerationMatch metageneration: Int64
    ) async throws(APIError) -> Bucket {
        try await client.value(
            call(
                "buckets.lockRetentionPolicy", .post, ["b", .checked(.bucket, name), "lockRetentionPolicy"],
                query: [HTTPURL.QueryItem]().adding("ifMetagenerationMatch", metageneration)))
    }

    /// Deletes an empty bucket. Maps to `DELETE storage/v1/b/B?ifMetagenerationMatch=N`.
    ///
    /// - Throws: `.conflict` when objects (noncurrent versions count) are in it, `.preconditionFailed` when it has
    ///   changed, `.notFound`.
    public func deleteBucket(_ name: String, ifMetagenerationMatch metageneration: Int64) async throws(APIError) {
        try await client.reply(
            call(
                "buckets.delete", .delete, ["b", .checked(.bucket, name)],
                query: [HTTPURL.QueryItem]().adding("ifMetagenerationMatch", metageneration)))
    }

    /// Brings a soft-deleted bucket back, without its objects: they are restored one by one.
    /// Maps to `POST storage/v1/b/B/restore?generation=G`.
    ///
    /// - Throws: `.notFound` when its time is over, `.conflict` when there is one of this name again.
    public func restoreBucket(_ name: String, generation: Int64) async throws(APIError) -> Bucket {
        try await client.value(
            call(
                "buckets.restore", .post, ["b", .checked(.bucket, name), "restore"],
                query: [HTTPURL.QueryItem]().adding("generation", generation)))
    }
}

// MARK: Objects

extension StorageClient {
    /// Metadata of the live version, or of one generation. Maps to `GET storage/v1/b/B/o/O`.
    ///
    /// - Throws: `.notFound`.
    public func object(
        _ name: String, in bucket: String, generation: Int64? = nil
    ) async throws(APIError) -> StorageObject {
        try await client.value(
            call(
                "objects.get", .get, ["b", .checked(.bucket, bucket), "o", .checked(.object, name)],
                query: [HTTPURL.QueryItem]().adding("generation", generation)))
    }

    /// All pages. Maps to `GET storage/v1/b/B/o`.
    ///
    /// - Throws: `.tooLarge` beyond the query's limit, `.notFound` when there is no such bucket.
    public func objects(
        in bucket: String, _ query: ObjectQuery = ObjectQuery()
    ) async throws(APIError) -> ObjectListing {
        let call = try objectListing(bucket, query)
        let pages = try await client.pages(of: ObjectPage.self, call, limit: query.limit)
        return ObjectListing(
            objects: pages.flatMap { $0.items ?? [] }, prefixes: pages.flatMap { $0.prefixes ?? [] })
    }

    /// Shows the objects page by page, the query's limit of them and the rest of that page at most: for what is counted
    /// and not kept. Maps to `GET storage/v1/b/B/o`.
    ///
    /// - Returns: whether these were all.
    /// - Throws: `.notFound` when there is no such bucket.
    public func visitObjects(
        in bucket: String, _ query: ObjectQuery, _ visit: (StorageObject) -> Void
    ) async throws(APIError) -> Bool {
        let call = try objectListing(bucket, query)
        var trail = PageTrail(operation: call.operation, limit: .max)
        var next = call
        var count = 0
        while true {
            let page: ObjectPage = try await client.value(next)
            for object in page.items ?? [] { visit(object) }
            count += page.count
            guard let token = try trail.next(after: page.nextPageToken, count: page.count) else { return true }
            guard count < query.limit else { return false }
            next = call.page(token)
        }
    }

    private func objectListing(_ bucket: String, _ query: ObjectQuery) throws(APIError) -> GoogleCall {
        let items = [HTTPURL.QueryItem("projection", "noAcl")]
            .adding("maxResults", Int64(min(max(query.pageSize, 1), 1000))).adding("prefix", query.prefix)
            .adding("delimiter", query.delimiter).adding("matchGlob", query.matchGlob)
            .adding("versions", query.versions).adding("softDeleted", query.softDeleted)
        return try call("objects.list", .get, ["b", .checked(.bucket, bucket), "o"], query: items)
    }

    /// The first objects, at most `pageSize`: for work in batches. None only when there is none. Maps to
    /// `GET storage/v1/b/B/o`.
    ///
    /// - Throws: `.notFound` when there is no such bucket.
    public func firstObjects(in bucket: String, _ query: ObjectQuery) async throws(APIError) -> [StorageObject] {
        let call = try objectListing(bucket, query)
        var trail = PageTrail(operation: call.operation, limit: .max)
        var next = call
        while true {
            let page: ObjectPage = try await client.value(next)
            if let items = page.items, !items.isEmpty { return items }
            // A page may be empty and still have a successor.
            guard let token = try trail.next(after: page.nextPageToken, count: 0) else { return [] }
            next = call.page(token)
        }
    }

    /// Maps to `DELETE storage/v1/b/B/o/O`.
    ///
    /// - Parameters:
    ///   - generation: deletes exactly this version for good; nil deletes the live one (which a versioned bucket keeps
    ///     as noncurrent).
    ///   - match: only if the live generation is this one.
    /// - Throws: `.notFound`, `.preconditionFailed`.
    public func deleteObject(
        _ name: String, in bucket: String, generation: Int64? = nil, ifGenerationMatch match: Int64? = nil
    ) async throws(APIError) {
        try await client.reply(
            call(
                "objects.delete", .delete, ["b", .checked(.bucket, bucket), "o", .checked(.object, name)],
                query: [HTTPURL.QueryItem]().adding("generation", generation).adding("ifGenerationMatch", match)))
    }

    /// Changes an object's metadata. Maps to `PATCH storage/v1/b/B/o/O?ifMetagenerationMatch=N`.
    ///
    /// - Parameters:
    ///   - generation: this version; nil: the live one.
    ///   - match: only if its metageneration is this one.
    /// - Throws: `.preconditionFailed`, `.notFound`.
    public func patchObject(
        _ name: String, in bucket: String, _ patch: ObjectPatch, generation: Int64? = nil,
        ifMetagenerationMatch match: Int64? = nil
    ) async throws(APIError) -> StorageObject {
        try await client.value(
            call(
                "objects.patch", .patch, ["b", .checked(.bucket, bucket), "o", .checked(.object, name)],
                query: [HTTPURL.QueryItem]().adding("generation", generation)
                    .adding("ifMetagenerationMatch", match), body: patch))
    }

    /// Brings a soft-deleted object back as the live one. Maps to `POST storage/v1/b/B/o/O/restore?generation=G`.
    ///
    /// - Parameters:
    ///   - generation: as a list with `softDeleted` has it.
    ///   - match: only if the live generation is this one; 0: only if there is none.
    /// - Throws: `.notFound` when its time is over, `.preconditionFailed`.
    public func restoreObject(
        _ name: String, in bucket: String, generation: Int64, ifGenerationMatch match: Int64? = nil
    ) async throws(APIError) -> StorageObject {
        try await client.value(
            call(
                "objects.restore", .post,
                ["b", .checked(.bucket, bucket), "o", .checked(.object, name), "restore"],
                query: [HTTPURL.QueryItem]().adding("generation", generation).adding("ifGenerationMatch", match)))
    }
}

private struct ObjectPage: Decodable, ResultPage {
    var items: [StorageObject]?
    var prefixes: [String]?
    var nextPageToken: String?
    var count: Int { (items?.count ?? 0) + (prefixes?.count ?? 0) }
}

// MARK: URLs

extension StorageClient {
    /// A call below `storage/v1/`.
    func call(
        _ operation: String, _ method: HTTPMethod, _ path: [PathPart], query: [HTTPURL.QueryItem] = [],
        body: (any Encodable)? = nil
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "storage.\(operation)", method, origin: Self.origin, path: ["storage", "v1"] + path, query: query,
            body: body)
    }

    /// Where the bytes of a bucket's objects go to.
    func uploadURL(_ bucket: String, _ query: [HTTPURL.QueryItem]) throws(APIError) -> HTTPURL {
        try GoogleCall(
            "storage.objects.insert", .post, origin: Self.origin,
            path: ["upload", "storage", "v1", "b", .checked(.bucket, bucket), "o"], query: query
        ).url
    }
}
