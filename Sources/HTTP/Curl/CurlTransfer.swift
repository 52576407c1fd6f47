import Synchronization

/// One request under way, shared by the task that waits for it and the event thread that moves its bytes.
final class CurlTransfer: Sendable {
    typealias Head = CurlTransferState.Head

    /// Whether the body is collected or streamed.
    enum Kind {
        case collected, streamed
    }

    /// What the event thread does with bytes that arrived.
    enum Receipt {
        case taken, paused, refused
    }

    private struct State {
        var transfer: CurlTransferState
        var body: [UInt8] = []
        var uploaded = 0
        var isPaused = false

        /// False when a failed reply has sent as much as is kept of it.
        mutating func keep(
            _ bytes: UnsafeBufferPointer<UInt8>, isCollected: Bool, limit: Int
        ) throws(CurlTransferState.Refusal) -> Bool {
            if isCollected, let head = transfer.head, head.status >= 400 {
                body.append(contentsOf: bytes.prefix(max(0, limit - body.count)))
                return body.count < limit
            }
            try transfer.received(bodyBytes: bytes.count)
            if isCollected { body.append(contentsOf: bytes) }
            return true
        }
    }

    /// What is kept of an error's body: enough for any `Status`, and a proxy's page does no harm.
    static let errorBodyBytes = 1 << 20

    let id: UInt64
    let request: HTTPRequest
    let kind: Kind
    private let pipe: BytePipe
    private let head = OneShot<Result<Head, APIError>>()
    private let response = OneShot<Result<HTTPResponse, APIError>>()
    private let state: Mutex<State>

    /// - Parameter onChange: told when a paused stream has room again, and when its reader has gone.
    init(
        id: UInt64, request: HTTPRequest, kind: Kind, bufferBytes: Int,
        onChange: @escaping @Sendable (BytePipe.Change) -> Void
    ) {
        self.id = id
        self.request = request
        self.kind = kind
        pipe = BytePipe(capacity: bufferBytes, operation: request.operation, onChange: onChange)
        let limit = kind == .collected ? request.maximumResponseBytes : nil
        state = Mutex(State(transfer: CurlTransferState(maximumBodyBytes: limit)))
    }

    // MARK: The waiting task's side

    func wholeResponse() async -> Result<HTTPResponse, APIError> { await response.value() }
    func responseHead() async -> Result<Head, APIError> { await head.value() }
    func next() async throws(APIError) -> [UInt8]? { try await pipe.next() }

    /// The reader goes; the pipe tells the event thread.
    func closeStream() { pipe.close() }

    // MARK: The event thread's side

    /// Grows with every byte that moves.
    var activity: Int { state.withLock { $0.transfer.activity } }

    var hasHead: Bool { state.withLock { $0.transfer.head != nil } }

    /// Whether a slow reader holds the transfer back: its silence does not count then.
    var isPaused: Bool { state.withLock { $0.isPaused } }

    func resumed() { state.withLock { $0.isPaused = false } }

    /// False ends the transfer.
    func received(headerLine line: UnsafeBufferPointer<UInt8>) -> Bool {
        let outcome: Result<Head?, CurlTransferState.Refusal> = state.withLock { state in
            do throws(CurlTransferState.Refusal) {
                return .success(try state.transfer.received(headerLine: line) ? state.transfer.head : nil)
            } catch {
                return .failure(error)
            }
        }
        switch outcome {
        case .success(let complete):
            if let complete { head.set(.success(complete)) }
            return true
        case .failure(let refusal):
            finish(.failure(.refused(refusal, request: request)))
            return false
        }
    }

    func received(body bytes: UnsafeBufferPointer<UInt8>) -> Receipt {
        if kind == .streamed, !pipe.offer(bytes) {
            state.withLock { $0.isPaused = true }
            return .paused
        }
        let outcome: Result<Bool, CurlTransferState.Refusal> = state.withLock { state in
            do throws(CurlTransferState.Refusal) {
                return .success(try state.keep(bytes, isCollected: kind == .collected, limit: errorBodyLimit))
            } catch {
                return .failure(error)
            }
        }
        switch outcome {
        case .success(true): return .taken
        case .success(false):
            // The status of an error counts, whatever page comes with it.
            finish(.success(()))
            return .refused
        case .failure(let refusal):
            finish(.failure(.refused(refusal, request: request)))
            return .refused
        }
    }

    private var errorBodyLimit: Int { min(request.maximumResponseBytes, CurlTransfer.errorBodyBytes) }

    /// Copies the next part of the request's body; 0 at its end.
    func readBody(into buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        state.withLock { state in
            let count = min(buffer.count, request.body.count - state.uploaded)
            guard count > 0 else { return 0 }
            request.body.withUnsafeBufferPointer { body in
                _ = buffer.update(fromContentsOf: body[state.uploaded..<state.uploaded + count])
            }
            state.uploaded += count
            state.transfer.sentBody()
            return count
        }
    }

    /// Sends the body again from an offset, when libcurl repeats a request on a new connection.
    func seekBody(to offset: Int) -> Bool {
        guard (0...request.body.count).contains(offset) else { return false }
        state.withLock { $0.uploaded = offset }
        return true
    }

    /// Ends the transfer; only the first call counts.
    func finish(_ result: Result<Void, APIError>) {
        let (received, body) = state.withLock { state in
            defer { state.body = [] }
            return (state.transfer.head, state.body)
        }
        let complete: Result<Head, APIError> = result.flatMap {
            received.map(Result.success)
                ?? .failure(
                    APIError(.malformedResponse, operation: request.operation, message: "the reply has no head"))
        }
        response.set(complete.map { HTTPResponse(status: $0.status, headers: $0.headers, body: body) })
        head.set(complete)
        pipe.finish(result)
    }
}
