internal import Encoding
internal import HTTP
internal import Synchronization

/// An upload whose bytes are to be written.
struct UploadWrite: Sendable {
    enum Content: Sendable {
        /// All bytes of an object; they are counted in `StorageState.bytesUnderWay`.
        case object(UploadSession, ArraySlice<UInt8>)
        /// The session's id and its bytes.
        case chunk(String, UploadBytes, ContentRange)
    }

    var context: StorageAPI.Context
    var content: Content
}

/// Writing and hashing take most of an upload's time: they happen without the state's lock.
extension StorageAPI {
    func reply(to upload: UploadWrite, _ state: borrowing Mutex<SimulatedCloud.State>) -> HTTPReply {
        do throws(CloudError) {
            switch upload.content {
            case .object(let session, let media):
                return try write(session, media, upload.context, state)
            case .chunk(let id, let bytes, let range):
                return try bytes.pending.withLock { pending throws(CloudError) in
                    try write(id, range, &pending, upload.context, state)
                }
            }
        } catch {
            return error.storageReply
        }
    }

    private func write(
        _ session: UploadSession, _ media: ArraySlice<UInt8>, _ context: Context,
        _ state: borrowing Mutex<SimulatedCloud.State>
    ) throws(CloudError) -> HTTPReply {
        try session.bytes.pending.withLock { pending throws(CloudError) in
            do throws(CloudError) {
                try pending.append(media)
            } catch {
                state.withLock { $0.storage.bytesUnderWay -= Int64(media.count) }
                throw error
            }
            return try state.withLock { state throws(CloudError) in
                state.storage.bytesUnderWay -= Int64(media.count)
                return .json(try finish(session, &pending, context, &state.storage))
            }
        }
    }

    /// Before its turn came, other requests may have added bytes, completed the session or cancelled it; while its bytes
    /// are written, it can be cancelled.
    private func write(
        _ id: String, _ range: ContentRange, _ pending: inout PendingBlob, _ context: Context,
        _ state: borrowing Mutex<SimulatedCloud.State>
    ) throws(CloudError) -> HTTPReply {
        let kept = pending.size
        let bytes = try state.withLock { state throws(CloudError) in
            _ = try session(id, context, &state.storage)
            let bytes = try newBytes(range, kept: kept, context)
            try checkSpace(bytes.count, state.storage)
            state.storage.sessions[id]?.size = kept + Int64(bytes.count)
            return bytes
        }
        do throws(CloudError) {
            try pending.append(bytes)
        } catch {
            let size = pending.size
            state.withLock { $0.storage.sessions[id]?.size = size }
            throw error
        }
        if context.chunkLimit != nil { return .lost }
        return try state.withLock { state throws(CloudError) in
            try reply(id, range, &pending, context, &state.storage)
        }
    }

    /// With the object, when its last byte is there.
    private func reply(
        _ id: String, _ range: ContentRange, _ pending: inout PendingBlob, _ context: Context,
        _ state: inout StorageState
    ) throws(CloudError) -> HTTPReply {
        let session = try session(id, context, &state)
        let size = pending.size
        guard range.total == size else {
            if range.total.map({ size > $0 }) == true {
                throw Self.invalid("The upload has more bytes than it said.", location: "Content-Range")
            }
            return Self.incomplete(size)
        }
        state.sessions[id] = nil
        do throws(CloudError) {
            return .json(try finish(session, &pending, context, &state))
        } catch {
            state.lostSessions.insert(id)
            throw error
        }
    }
}
