internal import Encoding
internal import HTTP

/// storage v1: what a request does, and the reply to it. The state is `StorageState`'s.
struct StorageAPI: Sendable {
    let configuration: CloudConfiguration
    let store: BlobStore

    /// What a request meets besides the state.
    struct Context: Sendable {
        var request: HTTPRequest
        var now: Timestamp
        var script: CloudScript
        /// A chunk keeps only this many of its bytes (`FaultAction.keepOnly`).
        var chunkLimit: Int?
        /// Who calls, as policies name them, and what the project's policy gives; nil for callers without a token that is
        /// known here.
        var caller: Caller?

        struct Caller: Sendable {
            var member: String
            var projectPolicy: IAMPolicy
        }

        /// Links in replies lead back to where the request came: Google's own host, or the emulator by its address.
        var origin: String {
            request.url.authority.hasSuffix("googleapis.com") ? "https://storage.googleapis.com" : request.url.origin
        }
    }

    init(configuration: CloudConfiguration) {
        self.configuration = configuration
        store = BlobStore(directory: configuration.stateDirectory.map { "\($0)/objects" })
    }

    /// What a request comes to.
    enum Outcome: Sendable {
        case reply(HTTPReply)
        /// Its bytes are to be written and hashed, without the state's lock; then it goes on.
        case write(UploadWrite)

        static func json(_ value: JSONValue) -> Outcome { .reply(.json(value)) }
    }

    /// Does it, or all of it that comes before an upload's bytes.
    func perform(
        _ call: StorageCall, _ context: Context, state: inout StorageState
    ) throws(CloudError) -> Outcome {
        switch call {
        case .listBuckets: .json(try listBuckets(context, state))
        case .insertBucket: .json(try insertBucket(context, &state))
        case .bucket(let name): .json(try getBucket(name, context, state))
        case .patchBucket(let name): .json(try patchBucket(name, context, &state))
        case .deleteBucket(let name): .reply(try deleteBucket(name, context, &state))
        case .listObjects(let bucket): .json(try listObjects(bucket, context, state))
        case .object(let bucket, let name): .json(try object(bucket, name, context, state).json)
        case .media(let bucket, let name): .reply(try media(try object(bucket, name, context, state).object, context))
        case .deleteObject(let bucket, let name): .reply(try deleteObject(bucket, name, context, &state))
        case .insertObject(let bucket): try insertObject(bucket, context, &state)
        case .upload(let session): .write(try upload(session, context, &state))
        case .cancelUpload(let session): .reply(try cancelUpload(session, &state))
        case .patchObject(let bucket, let name): .json(try patchObject(bucket, name, context, &state))
        case .restoreObject(let bucket, let name): .json(try restoreObject(bucket, name, context, &state))
        case .compose(let bucket, let name): .json(try compose(bucket, name, context, &state))
        case .rewrite(let source, let destination): .json(try rewrite(source, to: destination, context, &state))
        case .restoreBucket(let name): .json(try restoreBucket(name, context, &state))
        case .lockRetention(let name): .json(try lockRetention(name, context, &state))
        case .serviceAccount: .json(serviceAccount)
        case .policy(let bucket): .json(try policy(bucket, context, state))
        case .setPolicy(let bucket): .json(try setPolicy(bucket, context, &state))
        case .testPermissions(let bucket): .json(try testPermissions(bucket, context, state))
        case .listNotifications(let bucket): .json(try listNotifications(bucket, context, state))
        case .insertNotification(let bucket): .json(try insertNotification(bucket, context, &state))
        case .notification(let bucket, let id): .json(try notification(bucket, id, context, state))
        case .deleteNotification(let bucket, let id): .reply(try deleteNotification(bucket, id, context, &state))
        }
    }

    // MARK: Reading objects

    private func object(
        _ bucketName: String, _ name: String, _ context: Context, _ state: StorageState
    ) throws(CloudError) -> (object: StoredObject, json: JSONValue) {
        let bucket = try bucket(bucketName, context, state)
        let generation = try Preconditions.number(context.request.url, "generation")
        if context.request.url.queryValue("softDeleted") == "true" {
            let found = try softDeleted(name, in: bucket, context)
            return (found.object, json(found, bucket: bucketName, context))
        }
        guard let object = bucket.object(name, generation: generation) else {
            throw Self.notFound("No such object: \(bucketName)/\(name)")
        }
        try Preconditions(context.request.url).check(
            generation: object.generation, metageneration: object.metageneration, isRead: true)
        return (object, json(object, bucket: bucketName, context))
    }

    private static let pieceBytes: Int64 = 256 << 10

    private func media(_ object: StoredObject, _ context: Context) throws(CloudError) -> HTTPReply {
        let blob = object.blob
        var headers: HTTPHeaders = [
            "Content-Type": object.attributes["contentType"]?.stringValue ?? "application/octet-stream",
            "ETag": object.etag,
            "X-Goog-Generation": String(object.generation), "X-Goog-Metageneration": String(object.metageneration),
            "X-Goog-Hash": "crc32c=\(blob.crc32c)" + (object.componentCount == nil ? ",md5=\(blob.md5)" : ""),
            "X-Goog-Storage-Class": object.storageClass,
            "X-Goog-Stored-Content-Length": String(blob.size), "Accept-Ranges": "bytes",
        ]
        var range = 0..<blob.size
        var status = 200
        if let header = context.request.headers["Range"], let wanted = Self.byteRange(header, size: blob.size) {
            guard !wanted.isEmpty else {
                throw CloudError(
                    status: 416, reason: "requestedRangeNotSatisfiable", message: "Request range not satisfiable",
                    location: "Range")
            }
            range = wanted
            status = 206
            headers["Content-Range"] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(blob.size)"
        }
        if range.count <= Int(Self.pieceBytes) * 4 {
            return HTTPReply(status: status, headers: headers, body: try blob.read(range))
        }
        let whole = range
        return HTTPReply(
            status: status, headers: headers,
            body: .stream { writer throws(APIError) in
                var offset = whole.lowerBound
                while offset < whole.upperBound {
                    let end = min(offset + Self.pieceBytes, whole.upperBound)
                    try await writer.write(try Self.read(blob, offset..<end))
                    offset = end
                }
            })
    }

    /// Once the head of a reply is out, a disk that fails can only cut the connection.
    private static func read(_ blob: Blob, _ range: Range<Int64>) throws(APIError) -> [UInt8] {
        do throws(CloudError) {
            return try blob.read(range)
        } catch {
            throw APIError(.unavailable, operation: "storage.objects.get", message: error.message)
        }
    }

    /// `bytes=a-b`, `bytes=a-` or `bytes=-n`; empty when it lies behind the end, nil when it is none of these (which
    /// means: the whole object).
    private static func byteRange(_ header: String, size: Int64) -> Range<Int64>? {
        guard header.hasPrefix("bytes=") else { return nil }
        let ends = header.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2 else { return nil }
        if ends[0].isEmpty {
            guard let count = Int64(ends[1]), count >= 0 else { return nil }
            return max(0, size - count)..<size
        }
        guard let first = Int64(ends[0]), first >= 0 else { return nil }
        let last = ends[1].isEmpty ? size - 1 : Int64(ends[1]) ?? -1
        guard last >= first || first >= size else { return nil }
        return first >= size ? size..<size : first..<min(last + 1, size)
    }

    // MARK: Deleting objects

    private func deleteObject(
        _ bucketName: String, _ name: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> HTTPReply {
        let bucket = try bucket(bucketName, context, state)
        let generation = try Preconditions.number(context.request.url, "generation")
        let object = bucket.object(name, generation: generation)
        try Preconditions(context.request.url).check(
            generation: object?.generation ?? 0, metageneration: object?.metageneration ?? 0)
        guard let object else { throw Self.notFound("No such object: \(bucketName)/\(name)") }
        if generation != nil || !bucket.isVersioned { try bucket.checkRemovable(object, now: context.now) }
        if generation == nil {
            state.buckets[bucketName]?.retireLive(name, now: context.now)
        } else {
            state.buckets[bucketName]?.remove(name, generation: object.generation, now: context.now)
        }
        return HTTPReply(status: 204)
    }

    // MARK: Shared

    /// - Throws: 404; 403 for another project's bucket.
    func bucket(_ name: String, _ context: Context, _ state: StorageState) throws(CloudError) -> StoredBucket {
        if context.script.foreignBuckets.contains(name) {
            throw CloudError(
                status: 403, reason: "forbidden",
                message: "The caller does not have storage.buckets.get access to the Google Cloud Storage bucket.")
        }
        guard let bucket = state.buckets[name] else { throw Self.notFound("The specified bucket does not exist.") }
        return bucket
    }

    static func notFound(_ message: String) -> CloudError {
        CloudError(status: 404, reason: "notFound", message: message)
    }

    static func invalid(_ message: String, location: String? = nil) -> CloudError {
        CloudError(status: 400, reason: "invalid", message: message, location: location)
    }

    /// A JSON body of a message.
    ///
    /// - Throws: 400 for what is no JSON and, more strictly than the service, for unknown or server-set members.
    static func message(_ name: String, _ body: some Collection<UInt8>) throws(CloudError) -> JSONValue {
        guard let value = try? JSONValue(parsing: body), value.objectValue != nil else {
            throw CloudError(status: 400, reason: "parseError", message: "Parse Error")
        }
        guard let violation = StorageSchema.messages.violations(in: value, message: name).first else { return value }
        throw invalid(violation.description)
    }

    func json(_ object: StoredObject, bucket: String, _ context: Context) -> JSONValue {
        let path = "b/\(bucket)/o/\(HTTPURL.encodedSegment(object.name))"
        var value = object.attributes
        let members: [String: JSONValue] = [
            "kind": "storage#object", "id": .string("\(bucket)/\(object.name)/\(object.generation)"),
            "name": .string(object.name), "bucket": .string(bucket),
            "generation": .string(String(object.generation)),
            "metageneration": .string(String(object.metageneration)),
            "size": .string(String(object.blob.size)), "crc32c": .string(object.blob.crc32c),
            "storageClass": .string(object.storageClass),
            "timeCreated": .string(object.created.description), "updated": .string(object.updated.description),
            "timeStorageClassUpdated": .string(object.classChanged.description),
            "etag": .string(object.etag),
            "selfLink": .string("\(context.origin)/storage/v1/\(path)"),
            "mediaLink": .string(
                "\(context.origin)/download/storage/v1/\(path)?generation=\(object.generation)&alt=media"),
        ]
        for (key, member) in members { value[key] = member }
        if let count = object.componentCount {
            value["componentCount"] = .integer(Int64(count))
        } else {
            value["md5Hash"] = .string(object.blob.md5)
        }
        if let deleted = object.deleted { value["timeDeleted"] = .string(deleted.description) }
        return value
    }
}
