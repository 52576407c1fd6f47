internal import Encoding
public import HTTP

/// What was downloaded.
public struct DownloadedObject: Sendable, Hashable {
    /// Of the bytes that came, in base64; for a whole object compared with the service's.
    public var crc32c: String
    /// Bytes that came.
    public var size: Int64
    public var generation: Int64?
    public var contentType: String?
}

extension StorageClient {
    /// Streams an object's bytes to a sink, in order, each once. A broken download goes on where it broke, in the same
    /// generation.
    ///
    /// Maps to `GET storage/v1/b/B/o/O?alt=media`.
    ///
    /// - Parameters:
    ///   - range: only these bytes; nil is all, and then the CRC32C is checked.
    ///   - sink: gets pieces of no certain size; an error of its ends the download.
    /// - Throws: `.notFound`, `.preconditionFailed` when the object was replaced in the middle, `.malformedResponse`
    ///   when the checksum differs (the sink has already got the bytes), `.unavailable` or `.timeout` when the retries
    ///   are used up.
    // Not inlined: Swift 6.3.1's optimizer crashes on a caller in this module that does not use what it returns.
    @inline(never)
    public func download(
        _ name: String, in bucket: String, range: Range<Int64>? = nil, generation: Int64? = nil,
        to sink: (_ bytes: [UInt8]) async throws(APIError) -> Void
    ) async throws(APIError) -> DownloadedObject {
        var state = DownloadState(name: name, bucket: bucket, range: range, generation: generation)
        if let range, range.isEmpty {
            return DownloadedObject(crc32c: CRC32C().base64, size: 0, generation: generation)
        }
        var failureCount = 0
        while true {
            let before = state.received
            switch try await attempt(&state, sink: sink) {
            case .finished:
                try state.verify()
                return state.result
            case .interrupted(let error):
                failureCount = state.received > before ? 1 : failureCount + 1
                guard failureCount <= transfers.retries else { throw error }
                try await pause(attempt: failureCount, after: error)
            }
        }
    }

    /// Reads an object's bytes into memory.
    ///
    /// - Throws: as `download`; `.tooLarge` beyond `limit` bytes.
    public func read(
        _ name: String, in bucket: String, range: Range<Int64>? = nil, generation: Int64? = nil,
        limit: Int = 64 << 20
    ) async throws(APIError) -> (bytes: [UInt8], object: DownloadedObject) {
        var bytes: [UInt8] = []
        let object = try await download(name, in: bucket, range: range, generation: generation) {
            chunk throws(APIError) in
            guard bytes.count + chunk.count <= limit else {
                throw APIError(
                    .tooLarge, operation: DownloadState.operation, message: "\(name) has more than \(limit) bytes")
            }
            bytes += chunk
        }
        return (bytes, object)
    }
}

private enum AttemptResult {
    case finished
    case interrupted(APIError)
}

extension StorageClient {
    /// One request, read to its end. Only interruptions are results; the rest is thrown.
    private func attempt(
        _ state: inout DownloadState, sink: (_ bytes: [UInt8]) async throws(APIError) -> Void
    ) async throws(APIError) -> AttemptResult {
        var call = try call(
            "objects.get", .get, ["b", .checked(.bucket, state.bucket), "o", .checked(.object, state.name)],
            query: state.query)
        call.headers["Accept"] = "*/*"
        call.headers["Range"] = state.rangeHeader
        call.timeout = transfers.timeout
        do throws(APIError) {
            let stream = try await client.open(call)
            defer { stream.cancel() }
            try await state.accept(stream)
            while let chunk = try await stream.next() {
                try await state.deliver(chunk, to: sink)
            }
        } catch {
            if state.sinkFailed { throw error }
            guard Self.isInterruption(error) else { throw error }
            return .interrupted(error)
        }
        return state.isComplete
            ? .finished
            : .interrupted(
                APIError(.unavailable, operation: DownloadState.operation, message: "the download ended too early"))
    }
}

private struct DownloadState {
    static let operation = "storage.objects.get"

    let name: String
    let bucket: String
    let range: Range<Int64>?
    /// As asked for; `pinned` is what the first reply told.
    let generation: Int64?
    var pinned: Int64?
    var received: Int64 = 0
    var expectedSize: Int64?
    var expectedCRC32C: String?
    var contentType: String?
    var crc = CRC32C()
    var sinkFailed = false

    init(name: String, bucket: String, range: Range<Int64>?, generation: Int64?) {
        self.name = name
        self.bucket = bucket
        self.range = range
        self.generation = generation
    }

    var query: [HTTPURL.QueryItem] {
        let version = (generation ?? pinned).map { HTTPURL.QueryItem("generation", String($0)) }
        return [.init("alt", "media")] + (version.map { [$0] } ?? [])
    }

    var rangeHeader: String? {
        if let range { return "bytes=\(range.lowerBound + received)-\(range.upperBound - 1)" }
        return received > 0 ? "bytes=\(received)-" : nil
    }

    /// Without a length in the reply, its regular end is the object's end.
    var isComplete: Bool { expectedSize.map { received == $0 } ?? true }

    /// Checks the head of a reply and remembers what it tells about the object.
    mutating func accept(_ stream: HTTPStream) async throws(APIError) {
        let wanted = rangeHeader == nil ? 200 : 206
        guard stream.status == wanted else {
            if stream.status == 404, pinned != nil, generation == nil {
                throw APIError(
                    .preconditionFailed, operation: Self.operation,
                    message: "\(name) was replaced while it was read", httpStatus: 404)
            }
            if (200..<300).contains(stream.status) {
                throw APIError(
                    .malformedResponse, operation: Self.operation,
                    message: "the reply does not hold the bytes that were asked for", httpStatus: stream.status)
            }
            let body = try await stream.collect(limit: 256 << 10)
            throw GoogleCloudErrors.error(
                HTTPResponse(status: stream.status, headers: stream.headers, body: body), operation: Self.operation)
        }
        if pinned == nil { pinned = stream.headers["X-Goog-Generation"].flatMap { Int64($0) } }
        contentType = stream.headers["Content-Type"]
        guard expectedSize == nil else { return }
        guard range == nil else {
            // A range may reach beyond the object's end.
            expectedSize = Self.rangeSize(stream.headers["Content-Range"])
            return
        }
        expectedSize = stream.headers["X-Goog-Stored-Content-Length"].flatMap { Int64($0) }
        expectedCRC32C = Self.crc32c(stream.headers)
    }

    mutating func deliver(
        _ chunk: [UInt8], to sink: (_ bytes: [UInt8]) async throws(APIError) -> Void
    ) async throws(APIError) {
        received += Int64(chunk.count)
        crc.update(chunk)
        do throws(APIError) {
            try await sink(chunk)
        } catch {
            sinkFailed = true
            throw error
        }
    }

    func verify() throws(APIError) {
        guard range == nil, let expectedCRC32C, expectedCRC32C != crc.base64 else { return }
        throw APIError(
            .malformedResponse, operation: Self.operation,
            message: "the CRC32C of \(name) is \(crc.base64), the bucket says \(expectedCRC32C)")
    }

    var result: DownloadedObject {
        DownloadedObject(
            crc32c: crc.base64, size: received, generation: generation ?? pinned, contentType: contentType)
    }

    /// `bytes 10-19/100` has 10 bytes.
    private static func rangeSize(_ header: String?) -> Int64? {
        guard let header, header.hasPrefix("bytes ") else { return nil }
        let ends = header.dropFirst(6).prefix { $0 != "/" }.split(separator: "-").map { Int64($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last else { return nil }
        return last - first + 1
    }

    /// `X-Goog-Hash: crc32c=…,md5=…`, in one field or in several.
    private static func crc32c(_ headers: HTTPHeaders) -> String? {
        for field in headers.fields where field.name.lowercased() == "x-goog-hash" {
            for part in field.value.split(separator: ",") {
                let text = part.drop { $0 == " " }
                if text.hasPrefix("crc32c=") { return String(text.dropFirst(7)) }
            }
        }
        return nil
    }
}
