internal import Encoding
public import HTTP

/// The bytes of an upload: read by position, because a broken upload goes back.
public struct UploadSource: Sendable {
    public let size: Int64
    let read: @Sendable (_ offset: Int64, _ count: Int) async throws(APIError) -> [UInt8]

    /// - Parameter read: exactly `count` bytes from `offset`; the same bytes each time.
    public init(
        size: Int64, read: @escaping @Sendable (_ offset: Int64, _ count: Int) async throws(APIError) -> [UInt8]
    ) {
        self.size = size
        self.read = read
    }

    public static func bytes(_ bytes: [UInt8]) -> UploadSource {
        UploadSource(size: Int64(bytes.count)) { offset, count in
            Array(bytes[Int(offset)..<(Int(offset) + count)])
        }
    }
}

/// What goes with the bytes.
public struct UploadOptions: Sendable, Hashable {
    public var contentType: String
    /// Only if the live generation is this one; 0: only if there is none.
    public var ifGenerationMatch: Int64?
    public var metadata: [String: String]?

    public init(
        contentType: String = "application/octet-stream", ifGenerationMatch: Int64? = nil,
        metadata: [String: String]? = nil
    ) {
        self.contentType = contentType
        self.ifGenerationMatch = ifGenerationMatch
        self.metadata = metadata
    }
}

extension StorageClient {
    /// Stores an object, as one request up to `resumableThresholdBytes` and as a resumable upload above.
    ///
    /// Interruptions are retried. The CRC32C goes with the metadata, so that the service refuses altered bytes, and the
    /// reply's is compared. When a reply was lost and the precondition then fails because the object is already there as
    /// it was sent (bytes, type and metadata), that counts as success. With `ifGenerationMatch` 0 that is looked at after
    /// the first request too: a connection that was reused and broke is sent over again below this layer.
    ///
    /// Maps to `POST upload/storage/v1/b/B/o?uploadType=multipart|resumable`.
    ///
    /// - Throws: `.preconditionFailed` when `ifGenerationMatch` does not hold, `.malformedResponse` when the stored
    ///   checksum differs, `.unavailable` or `.timeout` when the retries are used up.
    public func upload(
        _ source: UploadSource, to name: String, in bucket: String, options: UploadOptions = UploadOptions()
    ) async throws(APIError) -> StorageObject {
        try NameKind.bucket.check(bucket, operation: Self.insert)
        try NameKind.object.check(name, operation: Self.insert)
        var upload = Upload(source: source, name: name, bucket: bucket, options: options, crc32c: "")
        let object: StorageObject
        if source.size > Int64(transfers.resumableThresholdBytes) {
            upload.crc32c = try await checksum(source)
            object = try await resumable(upload)
        } else {
            let bytes = try await read(source, offset: 0, count: Int(source.size))
            upload.crc32c = CRC32C(of: bytes).base64
            object = try await multipart(upload, bytes)
        }
        guard object.size == source.size, object.crc32c == upload.crc32c else {
            throw APIError(
                .malformedResponse, operation: Self.insert,
                message: "\(name) was stored with another size or CRC32C than it was sent with")
        }
        return object
    }

    /// Stores bytes.
    ///
    /// - Throws: as `upload(_:to:in:options:)` with a source.
    public func upload(
        _ bytes: [UInt8], to name: String, in bucket: String, options: UploadOptions = UploadOptions()
    ) async throws(APIError) -> StorageObject {
        try await upload(.bytes(bytes), to: name, in: bucket, options: options)
    }
}

private struct Upload: Sendable {
    var source: UploadSource
    var name: String
    var bucket: String
    var options: UploadOptions
    var crc32c: String

    var query: [HTTPURL.QueryItem] {
        options.ifGenerationMatch.map { [.init("ifGenerationMatch", String($0))] } ?? []
    }

    /// Whether an object is what this upload would have made.
    func isStored(as object: StorageObject) -> Bool {
        object.size == source.size && object.crc32c == crc32c && object.contentType == options.contentType
            && (object.metadata ?? [:]) == (options.metadata ?? [:])
    }

    var metadata: JSONValue {
        var value: JSONValue = [
            "name": .string(name), "contentType": .string(options.contentType), "crc32c": .string(crc32c),
        ]
        if let metadata = options.metadata { value["metadata"] = .object(metadata.mapValues(JSONValue.string)) }
        return value
    }
}

extension StorageClient {
    private static let insert = "storage.objects.insert"

    private func checksum(_ source: UploadSource) async throws(APIError) -> String {
        var crc = CRC32C()
        var offset: Int64 = 0
        while offset < source.size {
            let bytes = try await read(source, offset: offset, count: Int(min(1 << 20, source.size - offset)))
            crc.update(bytes)
            offset += Int64(bytes.count)
        }
        return crc.base64
    }

    private func read(_ source: UploadSource, offset: Int64, count: Int) async throws(APIError) -> [UInt8] {
        let bytes = try await source.read(offset, count)
        guard bytes.count == count else {
            throw APIError(.invalid, operation: Self.insert, message: "the source is shorter than it said")
        }
        return bytes
    }

    /// The stored object when a precondition failed because it is there as it was to be: what a lost reply leaves behind.
    ///
    /// - Parameter isRepeated: whether an earlier request may have had an effect that we did not learn of.
    private func stored(
        _ upload: Upload, after error: APIError, isRepeated: Bool
    ) async throws(APIError) -> StorageObject? {
        guard error.code == .preconditionFailed, isRepeated || upload.options.ifGenerationMatch == 0 else { return nil }
        do throws(APIError) {
            let object = try await object(upload.name, in: upload.bucket)
            return upload.isStored(as: object) ? object : nil
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }

    // MARK: One request

    private func multipart(_ upload: Upload, _ bytes: [UInt8]) async throws(APIError) -> StorageObject {
        let call = try multipartCall(upload, bytes)
        var attempt = 0
        while true {
            do throws(APIError) {
                return try await client.value(call)
            } catch {
                if let object = try await stored(upload, after: error, isRepeated: attempt > 0) { return object }
                guard Self.isInterruption(error), attempt < transfers.retries else { throw error }
                attempt += 1
                try await pause(attempt: attempt, after: error)
            }
        }
    }

    private func multipartCall(_ upload: Upload, _ media: [UInt8]) throws(APIError) -> GoogleCall {
        let boundary = "part-\(String(UInt64.random(in: .min ... .max), radix: 36))-\(upload.crc32c.utf8.count)"
        var body: [UInt8] = []
        body.reserveCapacity(media.count + 1024)
        body += "--\(boundary)\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".utf8
        body += upload.metadata.serialized()
        // The type stands in the metadata; here it would have to be checked for line breaks.
        body += "\r\n--\(boundary)\r\nContent-Type: application/octet-stream\r\n\r\n".utf8
        body += media
        body += "\r\n--\(boundary)--\r\n".utf8
        let url = try uploadURL(upload.bucket, [.init("uploadType", "multipart")] + upload.query)
        var call = GoogleCall(Self.insert, .post, url)
        call.headers["Content-Type"] = "multipart/related; boundary=\(boundary)"
        call.body = body
        call.timeout = transfers.timeout
        return call
    }

    // MARK: Resumable

    private func resumable(_ upload: Upload) async throws(APIError) -> StorageObject {
        var state = ResumableUploadState(
            size: upload.source.size, chunkBytes: transfers.effectiveChunkBytes, retries: transfers.retries)
        var lastError = APIError(
            .unavailable, operation: Self.insert, message: "the upload session was lost too often")
        while true {
            do throws(APIError) {
                if let object = try await step(upload, &state, lastError: lastError) { return object }
            } catch {
                if let object = try await stored(upload, after: error, isRepeated: state.isResumed) { return object }
                guard Self.isInterruption(error), state.next != .giveUp else { throw error }
                lastError = error
                state.requestFailed()
                if state.next != .giveUp { try await pause(attempt: state.failureCount, after: error) }
            }
        }
    }

    /// One request; the object when it was the last.
    private func step(
        _ upload: Upload, _ state: inout ResumableUploadState, lastError: APIError
    ) async throws(APIError) -> StorageObject? {
        let call: GoogleCall
        switch state.next {
        case .giveUp:
            throw lastError
        case .start:
            state.sessionStarted(try await startSession(upload))
            return nil
        case .query(let session):
            call = chunkCall(session, range: "bytes */\(state.size)", body: [])
        case .send(let session, let offset, let count):
            let bytes = try await read(upload.source, offset: offset, count: count)
            call = chunkCall(
                session, range: "bytes \(offset)-\(offset + Int64(count) - 1)/\(state.size)", body: bytes)
        }
        let response = try await client.exchange(call)
        switch response.status {
        case 200, 201:
            return try call.decode(from: response)
        case 308:
            guard let count = Self.confirmedBytes(response.headers["Range"]), state.bytesConfirmed(count) else {
                throw APIError(
                    .malformedResponse, operation: Self.insert, message: "the upload's Range cannot be right",
                    httpStatus: 308)
            }
            return nil
        case 404, 410:
            state.sessionLost()
            return nil
        default:
            throw GoogleCloudErrors.error(response, operation: Self.insert)
        }
    }

    private func startSession(_ upload: Upload) async throws(APIError) -> HTTPURL {
        let url = try uploadURL(
            upload.bucket, [.init("uploadType", "resumable"), .init("name", upload.name)] + upload.query)
        var call = GoogleCall(Self.insert, .post, url, json: upload.metadata)
        call.headers["X-Upload-Content-Length"] = String(upload.source.size)
        let response = try await client.reply(call)
        // Only path and query are taken: nothing in a reply moves the upload to another host.
        guard let location = response.headers["Location"].flatMap({ HTTPURL($0) }),
            location.path.hasPrefix("/upload/storage/v1/b/"), location.queryValue("upload_id") != nil
        else {
            throw APIError(
                .malformedResponse, operation: Self.insert, message: "the reply names no upload session",
                httpStatus: response.status)
        }
        return HTTPURL(origin: Self.origin, path: location.path, query: location.query)
    }

    private func chunkCall(_ session: HTTPURL, range: String, body: [UInt8]) -> GoogleCall {
        var call = GoogleCall(Self.insert, .put, session)
        call.headers["Content-Range"] = range
        call.body = body
        call.timeout = transfers.timeout
        return call
    }

    /// `bytes=0-N` means N+1 bytes; no header means none.
    private static func confirmedBytes(_ range: String?) -> Int64? {
        guard let range else { return 0 }
        guard range.hasPrefix("bytes=0-"), let last = Int64(range.dropFirst(8)), last >= 0, last < .max else {
            return nil
        }
        return last + 1
    }
}

extension ResumableUploadState {
    /// Whether an earlier request may have had an effect that we did not learn of.
    fileprivate var isResumed: Bool { failureCount > 0 || restartCount > 0 }
}
