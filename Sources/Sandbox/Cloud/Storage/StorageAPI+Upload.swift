internal import Encoding
internal import HTTP

extension StorageAPI {
    func insertObject(
        _ bucketName: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> Outcome {
        let bucket = try bucket(bucketName, context, state)
        let request = context.request
        var attributes: JSONValue = [:]
        var media = request.body[...]
        switch request.url.queryValue("uploadType") {
        case "media":
            attributes["contentType"] = .string(request.headers["Content-Type"] ?? "application/octet-stream")
        case "multipart":
            let parts = try MultipartBody(contentType: request.headers["Content-Type"], body: request.body)
            attributes = try Self.message("Object", parts.metadata)
            if attributes["contentType"] == nil { attributes["contentType"] = .string(parts.mediaType) }
            media = parts.media
        case "resumable":
            if !request.body.isEmpty { attributes = try Self.message("Object", request.body) }
            if attributes["contentType"] == nil {
                attributes["contentType"] = .string(
                    request.headers["X-Upload-Content-Type"] ?? "application/octet-stream")
            }
        default:
            throw Self.invalid("Invalid upload request.", location: "uploadType")
        }
        let name = try Self.objectName(request.url.queryValue("name") ?? attributes["name"]?.stringValue)
        attributes["name"] = nil
        attributes["bucket"] = nil
        let preconditions = try Preconditions(request.url)
        let live = bucket.object(name)
        try preconditions.check(generation: live?.generation ?? 0, metageneration: live?.metageneration ?? 0)
        if let hash = request.headers["X-Goog-Hash"] { Self.read(hash: hash, into: &attributes) }
        let session = UploadSession(
            bucket: bucketName, name: name, attributes: attributes, preconditions: preconditions,
            bytes: UploadBytes(store.pending()), started: context.now)
        if request.url.queryValue("uploadType") == "resumable" {
            return .reply(startSession(session, context, &state))
        }
        try checkSpace(media.count, state)
        state.bytesUnderWay += Int64(media.count)
        return .write(UploadWrite(context: context, content: .object(session, media)))
    }

    private func startSession(
        _ session: UploadSession, _ context: Context, _ state: inout StorageState
    ) -> HTTPReply {
        let id = state.nextSessionID(now: context.now)
        state.sessions[id] = session
        let location = HTTPURL(
            origin: context.origin, segments: ["upload", "storage", "v1", "b", session.bucket, "o"],
            query: [.init("uploadType", "resumable"), .init("name", session.name), .init("upload_id", id)])
        return HTTPReply(status: 200, headers: ["Location": location.text, "X-GUploader-UploadID": id])
    }

    // MARK: Chunks

    private static let chunkMultiple: Int64 = 256 << 10
    private static let sessionLifetime: Duration = .seconds(7 * 86400)

    /// A chunk or a query: it goes on when its session's earlier requests are done.
    func upload(
        _ id: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> UploadWrite {
        let session = try session(id, context, &state)
        return UploadWrite(context: context, content: .chunk(id, session.bytes, try ContentRange(context.request)))
    }

    func session(
        _ id: String, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> UploadSession {
        guard let session = state.sessions[id] else {
            throw Self.missingSession(isLost: state.lostSessions.contains(id))
        }
        guard context.now < session.started + Self.sessionLifetime else {
            state.sessions[id] = nil
            state.lostSessions.insert(id)
            throw Self.missingSession(isLost: true)
        }
        return session
    }

    func cancelUpload(_ id: String, _ state: inout StorageState) throws(CloudError) -> HTTPReply {
        guard state.sessions.removeValue(forKey: id) != nil else {
            throw Self.missingSession(isLost: state.lostSessions.contains(id))
        }
        state.lostSessions.insert(id)
        return HTTPReply(status: 499)
    }

    /// The bytes that are new. A chunk may begin before what has been kept, but not behind it.
    func newBytes(
        _ range: ContentRange, kept: Int64, _ context: Context
    ) throws(CloudError) -> ArraySlice<UInt8> {
        guard let bytes = range.bytes else { return [] }
        guard bytes.lowerBound <= kept else {
            throw Self.invalid(
                "Invalid request. According to the Content-Range header, the upload offset is \(bytes.lowerBound) "
                    + "byte(s), which exceeds already uploaded size of \(kept) byte(s).", location: "Content-Range")
        }
        let isLast = range.total == bytes.upperBound
        guard isLast || (bytes.upperBound - bytes.lowerBound) % Self.chunkMultiple == 0 else {
            throw Self.invalid(
                "Invalid request. The number of bytes uploaded is required to be equal or greater than 262144, except "
                    + "for the final request (it's recommended to be the exact multiple of 262144).",
                location: "Content-Range")
        }
        let new = context.request.body.dropFirst(Int(min(kept - bytes.lowerBound, Int64(context.request.body.count))))
        return context.chunkLimit.map { new.prefix($0) } ?? new
    }

    static func incomplete(_ kept: Int64) -> HTTPReply {
        var headers: HTTPHeaders = ["Content-Length": "0"]
        if kept > 0 { headers["Range"] = "bytes=0-\(kept - 1)" }
        return HTTPReply(status: 308, headers: headers)
    }

    static func missingSession(isLost: Bool) -> CloudError {
        isLost
            ? CloudError(status: 410, reason: "gone", message: "The upload session is gone.")
            : CloudError(status: 404, reason: "notFound", message: "No such upload session.")
    }

    // MARK: The object

    func finish(
        _ session: UploadSession, _ pending: inout PendingBlob, _ context: Context, _ state: inout StorageState
    ) throws(CloudError) -> JSONValue {
        let bucket = try bucket(session.bucket, context, state)
        let live = bucket.object(session.name)
        try session.preconditions.check(
            generation: live?.generation ?? 0, metageneration: live?.metageneration ?? 0)
        if let live, !bucket.isVersioned { try bucket.checkRemovable(live, now: context.now) }
        let blob = try pending.finished()
        var attributes = session.attributes
        for (key, actual, title) in [("crc32c", blob.crc32c, "CRC32C"), ("md5Hash", blob.md5, "MD5 hash")] {
            if let provided = attributes[key]?.stringValue, provided != actual {
                throw Self.invalid("Provided \(title) \"\(provided)\" doesn't match calculated \(title) \"\(actual)\".")
            }
            attributes[key] = nil
        }
        let storageClass = attributes["storageClass"]?.stringValue ?? bucket.storageClass
        let object = StoredObject(
            name: session.name, generation: state.nextGeneration(now: context.now), attributes: attributes,
            storageClass: storageClass, blob: blob, created: context.now, updated: context.now,
            classChanged: context.now)
        state.buckets[session.bucket]?.put(object, now: context.now)
        limitSoftDeleted(&state)
        return json(object, bucket: session.bucket, context)
    }

    func checkSpace(_ more: Int, _ state: StorageState) throws(CloudError) {
        guard state.usedBytes + Int64(more) <= configuration.maximumStorageBytes else {
            throw CloudError(
                status: 403, reason: "quotaExceeded",
                message: "The sandbox's storage limit of \(configuration.maximumStorageBytes) bytes is reached.")
        }
    }

    static func objectName(_ name: String?) throws(CloudError) -> String {
        guard let name, !name.isEmpty else {
            throw CloudError(status: 400, reason: "required", message: "Required", location: "name")
        }
        guard name.utf8.count <= 1024, name != ".", name != "..", !name.contains("\r"), !name.contains("\n") else {
            throw invalid("Invalid object name.", location: "name")
        }
        return name
    }

    /// `crc32c=…,md5=…`
    private static func read(hash: String, into attributes: inout JSONValue) {
        for part in hash.split(separator: ",") {
            let text = part.drop { $0 == " " }
            if text.hasPrefix("crc32c=") { attributes["crc32c"] = .string(String(text.dropFirst(7))) }
            if text.hasPrefix("md5=") { attributes["md5Hash"] = .string(String(text.dropFirst(4))) }
        }
    }
}

/// `Content-Range` of an upload: `bytes 0-262143/*`, `bytes */1000`; absent means the whole object.
struct ContentRange: Sendable {
    /// Nil for a status query.
    var bytes: Range<Int64>?
    /// Nil while it is not known.
    var total: Int64?

    init(_ request: HTTPRequest) throws(CloudError) {
        let count = Int64(request.body.count)
        guard let header = request.headers["Content-Range"] else {
            bytes = 0..<count
            total = count
            return
        }
        let failure = StorageAPI.invalid("Failed to parse Content-Range header.", location: "Content-Range")
        guard header.hasPrefix("bytes ") else { throw failure }
        let parts = header.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw failure }
        if parts[1] != "*" {
            guard let number = Int64(parts[1]), number >= 0 else { throw failure }
            total = number
        }
        if parts[0] == "*" {
            guard count == 0 else { throw failure }
            return
        }
        let ends = parts[0].split(separator: "-").map { Int64($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first >= 0, last >= first,
            last - first + 1 == count, total.map({ last < $0 }) ?? true
        else { throw failure }
        bytes = first..<(last + 1)
    }
}
