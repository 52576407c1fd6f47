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
        try Self.check(bucket: bucket.name, operation: operation)
        guard GoogleNames.isProject(project) else {
            throw APIError(.invalid, operation: operation, message: "not a project id")
        }
        let body = try GoogleCall.encode(bucket, operation: operation)
        let url = url(["storage", "v1", "b"], [.init("project", project)])
        do throws(APIError) {
            return try await client.value(GoogleCall(operation, .post, url, json: body))
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
        let operation = "storage.buckets.get"
        return try await client.value(
            GoogleCall(operation, .get, try bucketURL(name, operation, [.init("projection", "noAcl")])))
    }

    /// The project's buckets, all pages. Maps to `GET storage/v1/b?project=P`.
    public func buckets(project: String, prefix: String? = nil) async throws(APIError) -> [Bucket] {
        struct Page: Decodable, ResultPage {
            var items: [Bucket]?
            var nextPageToken: String?
            var count: Int { items?.count ?? 0 }
        }
        let operation = "storage.buckets.list"
        guard GoogleNames.isProject(project) else {
            throw APIError(.invalid, operation: operation, message: "not a project id")
        }
        var query: [HTTPURL.QueryItem] = [.init("project", project), .init("projection", "noAcl")]
        if let prefix { query.append(.init("prefix", prefix)) }
        let call = GoogleCall(operation, .get, url(["storage", "v1", "b"], query))
        return try await client.pages(of: Page.self, call, limit: 100_000).flatMap { $0.items ?? [] }
    }

    /// Maps to `PATCH storage/v1/b/B?ifMetagenerationMatch=N`.
    ///
    /// - Throws: `.preconditionFailed` when the bucket has changed since it was read.
    public func patchBucket(
        _ name: String, _ patch: BucketPatch, ifMetagenerationMatch metageneration: Int64
    ) async throws(APIError) -> Bucket {
        let operation = "storage.buckets.patch"
        let url = try bucketURL(
            name, operation, [.init("ifMetagenerationMatch", String(metageneration)), .init("projection", "noAcl")])
        let body = try GoogleCall.encode(patch, operation: operation)
        return try await client.value(GoogleCall(operation, .patch, url, json: body))
    }

    /// Deletes an empty bucket. Maps to `DELETE storage/v1/b/B?ifMetagenerationMatch=N`.
    ///
    /// - Throws: `.conflict` when objects (noncurrent versions count) are in it, `.preconditionFailed` when it has
    ///   changed, `.notFound`.
    public func deleteBucket(_ name: String, ifMetagenerationMatch metageneration: Int64) async throws(APIError) {
        let operation = "storage.buckets.delete"
        let url = try bucketURL(name, operation, [.init("ifMetagenerationMatch", String(metageneration))])
        try await client.reply(GoogleCall(operation, .delete, url))
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
        let operation = "storage.objects.get"
        let url = try objectURL(name, in: bucket, operation, generation.map { [.init("generation", String($0))] } ?? [])
        return try await client.value(GoogleCall(operation, .get, url))
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

    private func objectListing(_ bucket: String, _ query: ObjectQuery) throws(APIError) -> GoogleCall {
        let operation = "storage.objects.list"
        var items: [HTTPURL.QueryItem] = [
            .init("projection", "noAcl"), .init("maxResults", String(min(max(query.pageSize, 1), 1000))),
        ]
        if let prefix = query.prefix { items.append(.init("prefix", prefix)) }
        if let delimiter = query.delimiter { items.append(.init("delimiter", delimiter)) }
        if let glob = query.matchGlob { items.append(.init("matchGlob", glob)) }
        if query.versions { items.append(.init("versions", "true")) }
        try Self.check(bucket: bucket, operation: operation)
        return GoogleCall(operation, .get, url(["storage", "v1", "b", bucket, "o"], items))
    }

    /// The first objects, at most `pageSize`: for work in batches. None only when there is none. Maps to
    /// `GET storage/v1/b/B/o`.
    ///
    /// - Throws: `.notFound` when there is no such bucket.
    public func firstObjects(in bucket: String, _ query: ObjectQuery) async throws(APIError) -> [StorageObject] {
        let call = try objectListing(bucket, query)
        var next = call
        while true {
            let page: ObjectPage = try await client.value(next)
            if let items = page.items, !items.isEmpty { return items }
            // A page may be empty and still have a successor.
            guard let token = page.nextPageToken, !token.isEmpty else { return [] }
            next.url.query = call.url.query + [HTTPURL.QueryItem("pageToken", token)]
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
        let operation = "storage.objects.delete"
        var query: [HTTPURL.QueryItem] = []
        if let generation { query.append(.init("generation", String(generation))) }
        if let match { query.append(.init("ifGenerationMatch", String(match))) }
        try await client.reply(GoogleCall(operation, .delete, try objectURL(name, in: bucket, operation, query)))
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
    func url(_ segments: [String], _ query: [HTTPURL.QueryItem] = []) -> HTTPURL {
        HTTPURL(origin: Self.origin, segments: segments, query: query)
    }

    private func bucketURL(
        _ bucket: String, _ operation: String, _ query: [HTTPURL.QueryItem]
    ) throws(APIError) -> HTTPURL {
        try Self.check(bucket: bucket, operation: operation)
        return url(["storage", "v1", "b", bucket], query)
    }

    func objectURL(
        _ name: String, in bucket: String, _ operation: String, _ query: [HTTPURL.QueryItem]
    ) throws(APIError) -> HTTPURL {
        try Self.check(bucket: bucket, object: name, operation: operation)
        return url(["storage", "v1", "b", bucket, "o", name], query)
    }

    static func check(bucket: String, object: String? = nil, operation: String) throws(APIError) {
        guard GoogleNames.isBucket(bucket) else {
            throw APIError(.invalid, operation: operation, message: "not the name of a bucket")
        }
        guard object.map(GoogleNames.isObject) ?? true else {
            throw APIError(
                .invalid, operation: operation, message: "an object's name has 1 to 1024 bytes and no line breaks")
        }
    }
}
