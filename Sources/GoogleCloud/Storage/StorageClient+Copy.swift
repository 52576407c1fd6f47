internal import Encoding
public import HTTP

/// An object's place, and which version.
public struct ObjectLocation: Sendable, Hashable {
    public var bucket: String
    public var name: String
    /// nil: the live one.
    public var generation: Int64?

    public init(bucket: String, name: String, generation: Int64? = nil) {
        self.bucket = bucket
        self.name = name
        self.generation = generation
    }
}

/// A part of a composed object.
public struct ComposeSource: Sendable, Hashable {
    public var name: String
    /// This version; nil: the live one.
    public var generation: Int64?
    /// Only if the live version is this one.
    public var ifGenerationMatch: Int64?

    public init(name: String, generation: Int64? = nil, ifGenerationMatch: Int64? = nil) {
        self.name = name
        self.generation = generation
        self.ifGenerationMatch = ifGenerationMatch
    }
}

extension ComposeSource: Encodable {
    private enum CodingKeys: String, CodingKey { case name, generation, objectPreconditions }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encodeIfPresent(generation.map { String($0) }, forKey: .generation)
        try container.encodeIfPresent(
            ifGenerationMatch.map { ["ifGenerationMatch": String($0)] }, forKey: .objectPreconditions)
    }
}

extension StorageClient {
    /// The API's limit for one request.
    public static let maximumComposeSources = 32

    /// Joins objects of one bucket to one, without moving their bytes. The result has a CRC32C and no MD5.
    ///
    /// Maps to `POST storage/v1/b/B/o/O/compose`.
    ///
    /// - Parameters:
    ///   - sources: 1 to 32, in order.
    ///   - match: only if the destination's live generation is this one; 0: only if there is none. With nil a repeated
    ///     call overwrites.
    /// - Throws: `.preconditionFailed`, `.notFound` when a part is missing, `.invalid`.
    public func compose(
        _ sources: [ComposeSource], to name: String, in bucket: String,
        contentType: String = "application/octet-stream", ifGenerationMatch match: Int64? = nil
    ) async throws(APIError) -> StorageObject {
        struct Body: Encodable {
            var sourceObjects: [ComposeSource]
            var destination: [String: String]
        }
        let operation = "storage.objects.compose"
        guard (1...Self.maximumComposeSources).contains(sources.count) else {
            throw APIError(
                .invalid, operation: operation,
                message: "1 to \(Self.maximumComposeSources) objects can be joined, not \(sources.count)")
        }
        for source in sources { try NameKind.object.check(source.name, operation: operation) }
        return try await client.value(
            call(
                "objects.compose", .post, ["b", .checked(.bucket, bucket), "o", .checked(.object, name), "compose"],
                query: [HTTPURL.QueryItem]().adding("ifGenerationMatch", match),
                body: Body(sourceObjects: sources, destination: ["contentType": contentType])))
    }

    /// Copies an object in one request; a large one, or one that changes place or class, is better rewritten.
    ///
    /// Maps to `POST storage/v1/b/B/o/O/copyTo/b/D/o/P`.
    ///
    /// - Throws: `.preconditionFailed`, `.notFound`.
    public func copyObject(
        _ source: ObjectLocation, to destination: ObjectLocation, ifGenerationMatch match: Int64? = nil
    ) async throws(APIError) -> StorageObject {
        try await client.value(
            call("objects.copy", .post, Self.path(source, "copyTo", destination), query: Self.query(source, match)))
    }

    /// Copies an object of any size between any buckets, in as many requests as it takes. Interruptions are retried and
    /// go on where they were. When a reply was lost and the precondition then fails because the copy is already there,
    /// that counts as success.
    ///
    /// Maps to `POST storage/v1/b/B/o/O/rewriteTo/b/D/o/P?rewriteToken=T`.
    ///
    /// - Parameters:
    ///   - match: only if the destination's live generation is this one; 0: only if there is none.
    ///   - progress: bytes copied and bytes in all, after each request.
    /// - Throws: `.preconditionFailed`, `.notFound`, `.malformedResponse` when the copy does not advance, `.unavailable`
    ///   or `.timeout` when the retries are used up.
    public func rewriteObject(
        _ source: ObjectLocation, to destination: ObjectLocation, ifGenerationMatch match: Int64? = nil,
        progress: (_ copied: Int64, _ total: Int64) -> Void = { _, _ in }
    ) async throws(APIError) -> StorageObject {
        var state = RewriteState()
        while true {
            var call = try call(
                "objects.rewrite", .post, Self.path(source, "rewriteTo", destination),
                query: Self.query(source, match).adding("rewriteToken", state.token))
            call.timeout = transfers.timeout
            do throws(APIError) {
                let reply: RewriteReply = try await client.value(call)
                progress(reply.totalBytesRewritten, reply.objectSize)
                if let object = try state.accept(reply) { return object }
            } catch {
                if error.code == .preconditionFailed, state.failureCount > 0,
                    let object = try await copy(of: source, at: destination)
                {
                    return object
                }
                guard Self.isInterruption(error), state.failureCount < transfers.retries else { throw error }
                state.failureCount += 1
                try await pause(attempt: state.failureCount, after: error)
            }
        }
    }

    /// One request of a rewrite, for whoever remembers by himself how far it is.
    ///
    /// Maps to `POST storage/v1/b/B/o/O/rewriteTo/b/D/o/P?rewriteToken=T`.
    ///
    /// - Parameters:
    ///   - match: only if the destination's live generation is this one; 0: only if there is none.
    ///   - token: of the last request for the same source and destination; nil begins.
    /// - Throws: `.preconditionFailed`, `.notFound`, `.invalid` for a token that is too old.
    public func rewriteStep(
        _ source: ObjectLocation, to destination: ObjectLocation, ifGenerationMatch match: Int64?, token: String?
    ) async throws(APIError) -> RewriteStep {
        var call = try call(
            "objects.rewrite", .post, Self.path(source, "rewriteTo", destination),
            query: Self.query(source, match).adding("rewriteToken", token))
        call.timeout = transfers.timeout
        let reply: RewriteReply = try await client.value(call)
        if reply.done == true, let object = reply.resource {
            return RewriteStep(object: object, token: "", copiedBytes: reply.totalBytesRewritten)
        }
        guard let next = reply.rewriteToken, !next.isEmpty else {
            throw APIError(
                .malformedResponse, operation: "storage.objects.rewrite", message: "the copy does not come to an end")
        }
        return RewriteStep(object: nil, token: next, copiedBytes: reply.totalBytesRewritten)
    }

    /// The destination when it has the source's bytes: what a lost reply leaves behind.
    private func copy(
        of source: ObjectLocation, at destination: ObjectLocation
    ) async throws(APIError) -> StorageObject? {
        let original = try await object(source.name, in: source.bucket, generation: source.generation)
        do throws(APIError) {
            let copy = try await object(destination.name, in: destination.bucket)
            let isSame = copy.size == original.size && copy.crc32c != nil && copy.crc32c == original.crc32c
            return isSame ? copy : nil
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }

    private static func path(
        _ source: ObjectLocation, _ verb: PathPart, _ destination: ObjectLocation
    ) -> [PathPart] {
        [
            "b", .checked(.bucket, source.bucket), "o", .checked(.object, source.name), verb,
            "b", .checked(.bucket, destination.bucket), "o", .checked(.object, destination.name),
        ]
    }

    private static func query(_ source: ObjectLocation, _ match: Int64?) -> [HTTPURL.QueryItem] {
        [].adding("sourceGeneration", source.generation).adding("ifGenerationMatch", match)
    }
}

/// How far a rewrite is.
public struct RewriteStep: Sendable, Hashable {
    /// The copy, once it is complete.
    public var object: StorageObject?
    /// What the next request names; empty at the end.
    public var token: String
    public var copiedBytes: Int64
}

private struct RewriteReply: Decodable {
    @Int64String var totalBytesRewritten: Int64
    @Int64String var objectSize: Int64
    var done: Bool?
    var rewriteToken: String?
    var resource: StorageObject?
}

/// Where a rewrite stands. It ends: each reply must bring it on.
private struct RewriteState {
    /// So many replies in a row may be without progress.
    static let patience = 5

    var token: String?
    var failureCount = 0
    private var copied: Int64 = -1
    private var idleCount = 0

    init() {}

    /// - Returns: the copy when it is complete.
    mutating func accept(_ reply: RewriteReply) throws(APIError) -> StorageObject? {
        if reply.done == true, let object = reply.resource { return object }
        idleCount = reply.totalBytesRewritten > copied ? 0 : idleCount + 1
        guard let next = reply.rewriteToken, !next.isEmpty, idleCount < Self.patience else {
            throw APIError(
                .malformedResponse, operation: "storage.objects.rewrite", message: "the copy does not come to an end")
        }
        copied = max(copied, reply.totalBytesRewritten)
        token = next
        failureCount = 0
        return nil
    }
}
