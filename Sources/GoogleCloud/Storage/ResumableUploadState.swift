internal import HTTP

/// Where a resumable upload stands: facts in, the next request out. Pure.
///
/// After anything that leaves open what the service has kept (a cut connection, 5xx), the service is asked before more
/// bytes go. A lost session starts from the first byte.
struct ResumableUploadState: Equatable {
    enum Command: Equatable {
        case start
        case send(HTTPURL, offset: Int64, count: Int)
        case query(HTTPURL)
        /// The failures or lost sessions are too many.
        case giveUp
    }

    let size: Int64
    let chunkBytes: Int
    let retries: Int
    private(set) var session: HTTPURL?
    /// Bytes that the service has confirmed.
    private(set) var offset: Int64 = 0
    private(set) var isUncertain = false
    /// In a row, without progress.
    private(set) var failureCount = 0
    private(set) var restartCount = 0

    init(size: Int64, chunkBytes: Int, retries: Int) {
        self.size = size
        self.chunkBytes = chunkBytes
        self.retries = retries
    }

    var next: Command {
        if failureCount > retries || restartCount > retries { return .giveUp }
        guard let session else { return .start }
        // With every byte confirmed but no object in reply, only a query can tell.
        if isUncertain || offset >= size { return .query(session) }
        return .send(session, offset: offset, count: Int(min(Int64(chunkBytes), size - offset)))
    }

    mutating func sessionStarted(_ url: HTTPURL) {
        session = url
        offset = 0
        isUncertain = false
    }

    /// 308: the service has kept this many bytes.
    ///
    /// - Returns: false when that is more than there are.
    mutating func bytesConfirmed(_ count: Int64) -> Bool {
        guard (0...size).contains(count) else { return false }
        if count > offset { failureCount = 0 } else { failureCount += 1 }
        offset = count
        isUncertain = false
        return true
    }

    mutating func requestFailed() {
        failureCount += 1
        isUncertain = session != nil
    }

    /// 404 or 410.
    mutating func sessionLost() {
        session = nil
        offset = 0
        isUncertain = false
        restartCount += 1
    }
}
